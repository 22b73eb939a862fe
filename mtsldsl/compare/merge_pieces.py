"""The three-way merge of everything that has a key: blocks, tasks, constants, settings, layers.

Edits are made to our text, so that it keeps its layout. Where both sides changed a piece differently, a `Conflict` says
so, and the text gets what the side says that is asked for. The lines of `sharing` and `history` are left to those who
know what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

import attrs

from mtsldsl.compare.merge_order import merged_order
from mtsldsl.compare.outline import Node, Outline, Piece, as_lines, first_line, indent_of, without
from mtsldsl.compare.threeway import Conflict, decided
from mtsldsl.diagnostics import Span
from mtsldsl.records import Record
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, line_ending

RUNTIME = ("sharing", "history")
"""The blocks that the runtime keeps."""


def is_runtime(node: Node) -> bool:
    """Whether it is one of the blocks that the runtime keeps."""
    return isinstance(node, tree.Section) and node.kind.text in RUNTIME


def merge_pieces(
    base: Outline, ours: Outline, theirs: Outline, take: str = "ours", rivals: Mapping[str, str] | None = None
) -> tuple[list[TextEdit], list[Conflict]]:
    """The edits of our text that bring in the other side's changes, and what both sides changed differently.

    There the text says what the side `take` says. `rivals` are pieces that are one, under our name and theirs.
    """
    merging = _Merging(base, ours, theirs, take, rivals or {})
    merging.container(base.pieces, ours.pieces, theirs.pieces, 0, "")
    return merging.edits, merging.conflicts


def merged_layers(base: Outline, ours: Outline, theirs: Outline, take: str) -> list[str]:
    """The keys of the layers in the order that `merge_pieces` gives them; `take` decides where that is in conflict."""
    sides = [_backbone(each) for each in (base, ours, theirs)]
    found: list[str] = []
    for chunk in _chunks(*sides):
        _, left, right = chunk.sides()
        order = chunk.outcome()
        found += _keys(left if take == "ours" else right) if order is None else order
        found += _keys(sides[0][chunk.end[0] : chunk.end[0] + 1])  # which all three have
    return found


def _backbone(outlined: Outline) -> Sequence[Piece]:
    return next((piece.children for piece in outlined.pieces if piece.key == "backbone"), ())


def estranged(ours: Outline, theirs: Outline) -> Outline:
    """A base since which both sides changed everything, so that all that differs is in conflict."""
    span = Span(ours.file.source, 0, 0)
    other_than_all = tree.Header(tree.Name("", span), tree.Number(0, span), span)

    def former(pieces: Sequence[Piece], others: Sequence[Piece]) -> tuple[Piece, ...]:
        found = {piece.key: piece for piece in (*others, *pieces)}
        right = {piece.key: piece.children for piece in others}
        return tuple(
            attrs.evolve(piece, node=other_than_all, children=children(piece, right.get(piece.key, ())))
            for piece in found.values()
        )

    def children(piece: Piece, others: Sequence[Piece]) -> tuple[Piece, ...]:
        if piece.key == "backbone" and _keys(piece.children) != _keys(others):
            return ()  # then the layers are in conflict as a whole
        return former(piece.children, others)

    return attrs.evolve(ours, pieces=former(ours.pieces, theirs.pieces))


def merged_labels(
    base: tree.Section | None, ours: tree.Section, theirs: tree.Section
) -> tuple[tuple[tree.Name, ...]] | None:
    """The labels that a block is to have, as `decided` gives them; a list of tasks has those that either side added."""
    sides = [section and section.labels for section in (base, ours, theirs)]
    pick = decided(*sides)
    if pick or not (base and ours.listed and theirs.listed):
        return pick and (pick[0] or (),)
    before, mine, other = ([label.text for label in section.labels] for section in (base, ours, theirs))
    kept = {name for name in (*mine, *other) if name not in before or (name in mine and name in other)}
    order = merged_order(before, mine, other, kept)
    nodes = {label.text: label for label in (*theirs.labels, *ours.labels)}
    return None if order.undecided else (tuple(nodes[name] for name in order.names),)


@attrs.define
class _Merging:
    """A merge while it is made."""

    base: Outline
    ours: Outline
    theirs: Outline
    take: str
    rivals: Mapping[str, str]
    edits: list[TextEdit] = attrs.field(factory=list)
    conflicts: list[Conflict] = attrs.field(factory=list)

    # What is done to our text

    def conflict(self, key: str, reason: str, ours: Sequence[Piece], theirs: Sequence[Piece]) -> None:
        """Take note of what cannot be merged: neighbouring pieces of ours against such of the other side."""
        self.note(key, reason, *ours, *theirs)
        if self.take == "ours":
            return
        text = self.ours.text
        if ours and theirs:
            self.edits.append(as_lines(text, _top(text, ours[0]), self.lines(theirs), ours[-1].end))
        elif theirs:
            blank = (
                [""]
                if not _section_of(self.theirs, theirs[0].key) and _blank_above(self.theirs.text, theirs[0])
                else []
            )
            self.edits.append(as_lines(text, self.place(theirs[0].key), [*blank, *self.lines(theirs)]))
        else:
            self.edits += [without(self.ours, piece) for piece in ours]

    def note(self, key: str, reason: str, *pieces: Piece) -> None:
        """Take note of a conflict."""
        self.conflicts.append(Conflict(key, reason, tuple(dict.fromkeys(piece.key for piece in pieces))))

    def lines(self, theirs: Sequence[Piece]) -> Iterator[str]:
        """The lines of neighbouring pieces of the other side, from the comments above the first on."""
        text = self.theirs.text[_top(self.theirs.text, theirs[0]) : theirs[-1].end].removesuffix("\n")
        yield from (line.removesuffix("\r") for line in text.split("\n"))

    def place(self, key: str) -> int:
        """Where a piece of the other side would stand in our text: after the last one before it that is there."""
        mine, section = self.ours.everything(), _section_of(self.theirs, key)
        siblings = [piece.key for piece in (section.children if section else self.theirs.pieces)]
        for before in reversed(siblings[: siblings.index(key)]):
            if before in mine:
                return mine[before].end
        return first_line(self.ours.text, mine[section.key]) if section else 0

    def insert(self, offset: int, piece: Piece, indent: str, text: str | None = None) -> None:
        """Put a piece of the other side, without the comments around it, at the start of a line of ours."""
        lines = [indent + (text or piece.node.span.text)]
        if not indent and _blank_above(self.theirs.text, piece):
            lines.insert(0, "")
        self.edits.append(as_lines(self.ours.text, offset, lines))

    def replace(self, piece: Piece, other: Piece) -> None:
        """Give a piece of ours what the other side says."""
        mine, theirs = piece.node.span, other.node.span
        if isinstance(piece.node, tree.Entry) and isinstance(other.node, tree.Entry):
            mine, theirs = piece.node.value.span, other.node.value.span
        text = theirs.text.replace("\r\n", "\n").replace("\n", line_ending(self.ours.text))
        self.edits.append(TextEdit(mine.start, mine.end, text))

    # Which of it is done

    def container(
        self, base: Sequence[Piece], ours: Sequence[Piece], theirs: Sequence[Piece], start: int, indent: str
    ) -> None:
        """Merge pieces whose order does not matter; `start` is where the first of ours would begin."""
        old, mine, new = ({piece.key: piece for piece in pieces} for pieces in (base, ours, theirs))
        for piece in ours:
            if piece.key in new:
                self.pair(old.get(piece.key), piece, new[piece.key])
            elif piece.key in old:
                self.removed(old[piece.key], piece)
            elif self.rivals.get(piece.key) in new:
                self.conflict(piece.key, "each side gives it another name", [piece], [new[self.rivals[piece.key]]])
        place = start
        for piece in theirs:
            if piece.key in mine:
                place = _end_of_run(ours, piece.key, {*old, *new})
            elif piece.key in old:
                self.restored(old[piece.key], piece)
            elif piece.key not in self.rivals.values():
                self.insert(place, piece, indent)

    def pair(self, old: Piece | None, piece: Piece, other: Piece) -> None:
        """Merge a piece that both sides have."""
        if isinstance(piece.node, tree.Section) and isinstance(other.node, tree.Section):
            self.sections(old, piece, other)
            return
        pick = decided(old and old.node, piece.node, other.node)
        if pick is None:
            self.conflict(piece.key, _differently(old, piece, other), [piece], [other])
        elif pick[0] != piece.node:
            self.replace(piece, other)

    def removed(self, old: Piece, piece: Piece) -> None:
        """A piece of ours that the other side took away."""
        if is_runtime(piece.node):
            return
        if old.node == piece.node:
            self.edits.append(without(self.ours, piece))
        else:
            self.conflict(piece.key, "theirs removes what ours changes", [piece], [])

    def restored(self, old: Piece, other: Piece) -> None:
        """A piece of the other side that we took away."""
        if not is_runtime(other.node) and old.node != other.node:
            self.conflict(other.key, "ours removes what theirs changes", [], [other])

    def sections(self, old: Piece | None, piece: Piece, other: Piece) -> None:
        """Merge a block that both sides have."""
        before = old.node if old and isinstance(old.node, tree.Section) else None
        mine, theirs = piece.node, other.node
        assert isinstance(mine, tree.Section)
        assert isinstance(theirs, tree.Section)
        labels = merged_labels(before, mine, theirs)
        if labels is None or mine.listed != theirs.listed:
            self.conflict(piece.key, _differently(old, piece, other), [piece], [other])
            return
        if labels[0] != mine.labels:
            span = mine.labels[0].span.to(mine.labels[-1].span) if mine.labels else mine.kind.span
            names = ", ".join(label.text for label in labels[0])
            self.edits.append(TextEdit(span.start, span.end, names if mine.labels else f"{span.text} {names}"))
        if is_runtime(mine):
            return
        start, indent = first_line(self.ours.text, piece), indent_of(self.ours.text, piece)
        children = (old.children if old else (), piece.children, other.children)
        if piece.key == "backbone":
            self.layers(*children, start, indent)
        else:
            self.container(*children, start, indent)

    # The layers, whose order says what each of them reads

    def layers(
        self, base: Sequence[Piece], ours: Sequence[Piece], theirs: Sequence[Piece], start: int, indent: str
    ) -> None:
        """Merge layers: where both sides changed which stand between two that all three have, that is a conflict."""
        old, mine, new = ({piece.key: piece for piece in pieces} for pieces in (base, ours, theirs))
        settled: set[str] = set()
        for chunk in _chunks(base, ours, theirs):
            _, left, right = chunk.sides()
            if chunk.outcome() is None:
                self.conflict((left or right)[0].key, "both sides change which layers stand here", left, right)
                settled |= chunk.keys()
            elif chunk.outcome() != _keys(left):
                offset = ours[chunk.start[1] - 1].end if chunk.start[1] else start
                settled |= self.taken(offset, left, right, (old, mine, new), indent)
        for key in (*mine, *(key for key in new if key not in mine)):
            if key in settled:
                continue
            if key in mine and key in new:
                self.pair(old.get(key), mine[key], new[key])
            elif key in mine and key in old:
                self.removed(old[key], mine[key])
            elif key in new and key in old:
                self.restored(old[key], new[key])

    def taken(
        self,
        offset: int,
        left: Sequence[Piece],
        right: Sequence[Piece],
        every: tuple[dict[str, Piece], dict[str, Piece], dict[str, Piece]],
        indent: str,
    ) -> set[str]:
        """Bring layers of ours into the order of the other side's; the answer is the layers that are dealt with."""
        old, mine, new = every
        done = set()
        for kind, first, last, other_first, other_last in _opcodes(left, right):
            if kind == "equal":
                offset = left[last - 1].end
                continue
            for piece in left[first:last]:
                if piece.key in new:  # it moves, and its comments with it
                    self.edits.append(without(self.ours, piece))
            for piece in right[other_first:other_last]:
                done.add(piece.key)
                if piece.key not in mine:
                    self.insert(offset, piece, indent)
                    continue
                pick = decided(old[piece.key].node, mine[piece.key].node, piece.node) if piece.key in old else None
                if pick is None:
                    self.note(piece.key, "theirs moves what both sides change", piece)
                    pick = (mine[piece.key].node if self.take == "ours" else piece.node,)
                chosen = mine[piece.key] if pick[0] == mine[piece.key].node else piece
                self.insert(offset, piece, indent, chosen.node.span.text)
        return done


@attrs.frozen(eq=False, repr=False)
class _Chunk(Record):
    """Layers of the three sides from `start` to `end`, between two that all have in one order."""

    whole: tuple[Sequence[Piece], Sequence[Piece], Sequence[Piece]]
    start: tuple[int, int, int]
    end: tuple[int, int, int]

    def sides(self) -> tuple[Sequence[Piece], Sequence[Piece], Sequence[Piece]]:
        """The layers of base, ours and theirs."""
        before, left, right = (each[a:b] for each, a, b in zip(self.whole, self.start, self.end, strict=True))
        return before, left, right

    def outcome(self) -> list[str] | None:
        """The layers that are to stand here; None where both sides changed which, each in its own way."""
        before, left, right = map(_keys, self.sides())
        pick = decided(before, left, right)
        return pick and pick[0]

    def keys(self) -> set[str]:
        """The layers of any side."""
        return {key for side in self.sides() for key in _keys(side)}

    def entangled(self, other: _Chunk) -> bool:
        """Whether a layer that moved would come to stand in both, or in neither on one of the sides."""
        mine, theirs = self.outcome(), other.outcome()
        if mine is None or theirs is None:
            return not self.keys().isdisjoint(other.keys())
        return not set(mine).isdisjoint(theirs)


def _chunks(base: Sequence[Piece], ours: Sequence[Piece], theirs: Sequence[Piece]) -> list[_Chunk]:
    """All layers of the three sides, in chunks that can be decided one by one."""
    matches = []
    for other in (ours, theirs):
        pairs: dict[int, int] = {}
        for kind, first, last, other_first, _ in _opcodes(base, other):
            if kind == "equal":
                pairs |= {index: other_first + index - first for index in range(first, last)}
        matches.append(pairs)
    whole, start, chunks = (base, ours, theirs), (0, 0, 0), []
    for index in [index for index in range(len(base)) if index in matches[0] and index in matches[1]]:
        end = (index, matches[0][index], matches[1][index])
        chunks.append(_Chunk(whole, start, end))
        start = (end[0] + 1, end[1] + 1, end[2] + 1)
    chunks.append(_Chunk(whole, start, (len(base), len(ours), len(theirs))))
    return _untangled(chunks)


def _untangled(chunks: list[_Chunk]) -> list[_Chunk]:
    for first, chunk in enumerate(chunks):
        for last in range(len(chunks) - 1, first, -1):
            if chunk.entangled(chunks[last]):
                joined = attrs.evolve(chunk, end=chunks[last].end)
                return _untangled([*chunks[:first], joined, *chunks[last + 1 :]])
    return chunks


def _keys(pieces: Sequence[Piece]) -> list[str]:
    return [piece.key for piece in pieces]


def _section_of(outlined: Outline, key: str) -> Piece | None:
    """The block that a piece is an item of."""
    return next((top for top in outlined.pieces if key in _keys(top.children)), None)


def _top(text: str, piece: Piece) -> int:
    """The start of the line that a piece, or the first comment above it, begins on."""
    first = piece.leading[0].span.start if piece.leading else piece.node.span.start
    return text.rfind("\n", 0, first) + 1


def _end_of_run(pieces: Sequence[Piece], key: str, known: set[str]) -> int:
    """The end of a piece and of those after it that nobody else has."""
    index = next(index for index, piece in enumerate(pieces) if piece.key == key)
    while index + 1 < len(pieces) and pieces[index + 1].key not in known:
        index += 1
    return pieces[index].end


def _blank_above(text: str, piece: Piece) -> bool:
    start = _top(text, piece)
    return start > 0 and not text[text.rfind("\n", 0, start - 1) + 1 : start].strip()


def _differently(old: Piece | None, piece: Piece, other: Piece) -> str:
    mine, theirs = _short(piece.node), _short(other.node)
    if old is None:
        return f"both sides add it, ours as `{mine}`, theirs as `{theirs}`"
    return f"`{_short(old.node)}` became `{mine}` in ours and `{theirs}` in theirs"


def _short(node: Node) -> str:
    span = node.value.span if isinstance(node, tree.Entry) else node.span
    text = " ".join(span.text.split("{")[0].split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _opcodes(left: Sequence[Piece], right: Sequence[Piece]) -> list[tuple[str, int, int, int, int]]:
    matcher = SequenceMatcher(None, _keys(left), _keys(right), autojunk=False)
    return [(*each,) for each in matcher.get_opcodes()]
