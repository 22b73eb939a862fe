"""The three-way merge of everything that has a key: blocks, tasks, constants, settings, layers.

Edits are made to our text, so that it keeps its layout; where both sides changed a piece differently ours stays for now
and a `Conflict` says so. The lines of `sharing` and `history` are left to those who know what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import attrs

from mtsldsl.spec.outline import Node, Outline, Piece, as_lines, first_line, indent_at, indent_of, without
from mtsldsl.spec.threeway import Conflict, decided
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, line_ending

RUNTIME = ("sharing", "history")
"""The blocks that the runtime keeps."""


def merge_pieces(base: Outline, ours: Outline, theirs: Outline) -> tuple[list[TextEdit], list[Conflict]]:
    """The edits of our text that bring in the other side's changes, and what could not be brought in."""
    merging = _Merging(base, ours, theirs)
    merging.container(base.pieces, ours.pieces, theirs.pieces, 0, "")
    return merging.edits, merging.conflicts


@attrs.define
class _Merging:
    """A merge while it is made."""

    base: Outline
    ours: Outline
    theirs: Outline
    edits: list[TextEdit] = attrs.field(factory=list)
    conflicts: list[Conflict] = attrs.field(factory=list)

    # What is done to our text

    def conflict(self, key: str, reason: str, ours: Sequence[Piece], theirs: Sequence[Piece]) -> None:
        """Take note of what cannot be merged: pieces of ours against neighbouring pieces of the other side."""
        section, before = _before(self.theirs, theirs[0].key) if theirs else (None, ())
        keys = tuple(piece.key for piece in ours)
        pieces = (*keys, *(piece.key for piece in theirs))
        self.conflicts.append(Conflict(key, reason, keys, tuple(self.lines(theirs)), pieces, before, section))

    def lines(self, theirs: Sequence[Piece]) -> Iterator[str]:
        """The lines of neighbouring pieces of the other side, with the comments that it put above the first."""
        if theirs:
            known = {comment.text for comment in self.base.comments().get(theirs[0].key, ())}
            indent = indent_at(self.theirs.text, theirs[0].node.span.start)
            yield from (indent + each.text for each in theirs[0].leading if each.text not in known)
            text = self.theirs.text[theirs[0].start : theirs[-1].end].removesuffix("\n")
            yield from (line.removesuffix("\r") for line in text.split("\n"))

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
        place = start
        for piece in theirs:
            if piece.key in mine:
                place = _end_of_run(ours, piece.key, {*old, *new})
            elif piece.key in old:
                self.restored(old[piece.key], piece)
            else:
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
        if _is_runtime(piece):
            return
        if old.node == piece.node:
            self.edits.append(without(self.ours, piece))
        else:
            self.conflict(piece.key, "theirs removes what ours changes", [piece], [])

    def restored(self, old: Piece, other: Piece) -> None:
        """A piece of the other side that we took away."""
        if not _is_runtime(other) and old.node != other.node:
            self.conflict(other.key, "ours removes what theirs changes", [], [other])

    def sections(self, old: Piece | None, piece: Piece, other: Piece) -> None:
        """Merge a block that both sides have."""
        assert isinstance(piece.node, tree.Section)
        assert isinstance(other.node, tree.Section)
        labels = decided(_labels(old), _labels(piece), _labels(other))
        if labels is None:
            self.conflict(piece.key, _differently(old, piece, other), [piece], [other])
            return
        if labels[0] != _labels(piece):
            mine, theirs = (
                node.labels[0].span.to(node.labels[-1].span) if node.labels else node.kind.span
                for node in (piece.node, other.node)
            )
            self.edits.append(TextEdit(mine.start, mine.end, theirs.text))
        if _is_runtime(piece):
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
        for place, before, left, right in _chunks(base, ours, theirs):
            orders = [[piece.key for piece in pieces] for pieces in (before, left, right)]
            if orders[2] in (orders[0], orders[1]):
                continue
            if orders[1] != orders[0]:
                where = f"backbone.{(left or right)[0].node.span.text.split()[0]}"
                self.conflict(where, "both sides change which layers stand here", left, right)
                settled.update(orders[1], orders[2])
                continue
            offset = ours[place - 1].end if place else start
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
                if piece.key not in mine:
                    self.insert(offset, piece, indent)
                    done.add(piece.key)
                    continue
                pick = decided(old[piece.key].node, mine[piece.key].node, piece.node) if piece.key in old else None
                if pick is None:
                    self.conflict(piece.key, "theirs moves what both sides change", [], [piece])
                else:
                    chosen = mine[piece.key] if pick[0] == mine[piece.key].node else piece
                    self.insert(offset, piece, indent, chosen.node.span.text)
                done.add(piece.key)
        return done


def _is_runtime(piece: Piece) -> bool:
    return isinstance(piece.node, tree.Section) and piece.node.kind.text in RUNTIME


def _labels(piece: Piece | None) -> tuple[tree.Name, ...] | None:
    return piece.node.labels if piece and isinstance(piece.node, tree.Section) else None


def _before(outline: Outline, key: str) -> tuple[str | None, tuple[str, ...]]:
    """The section of a piece, if it is an item, and the keys of the pieces before it, from the nearest on."""
    for top in outline.pieces:
        keys = [child.key for child in top.children]
        if key in keys:
            return top.key, tuple(reversed(keys[: keys.index(key)]))
    tops = [piece.key for piece in outline.pieces]
    return None, tuple(reversed(tops[: tops.index(key)]))


def _end_of_run(pieces: Sequence[Piece], key: str, known: set[str]) -> int:
    """The end of a piece and of those after it that nobody else has."""
    index = next(index for index, piece in enumerate(pieces) if piece.key == key)
    while index + 1 < len(pieces) and pieces[index + 1].key not in known:
        index += 1
    return pieces[index].end


def _blank_above(text: str, piece: Piece) -> bool:
    first = piece.leading[0].span.start if piece.leading else piece.node.span.start
    start = text.rfind("\n", 0, first) + 1
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
    first, second = ([piece.key for piece in pieces] for pieces in (left, right))
    return [(*each,) for each in SequenceMatcher(None, first, second, autojunk=False).get_opcodes()]


def _chunks(
    base: Sequence[Piece], ours: Sequence[Piece], theirs: Sequence[Piece]
) -> Iterator[tuple[int, Sequence[Piece], Sequence[Piece], Sequence[Piece]]]:
    """What stands between layers that all three have in one order: where it begins in ours, and the three sides."""
    matches = []
    for other in (ours, theirs):
        pairs: dict[int, int] = {}
        for kind, first, last, other_first, _ in _opcodes(base, other):
            if kind == "equal":
                pairs |= {index: other_first + index - first for index in range(first, last)}
        matches.append(pairs)
    start = (0, 0, 0)
    for index in [index for index in range(len(base)) if index in matches[0] and index in matches[1]]:
        end = (index, matches[0][index], matches[1][index])
        yield start[1], base[start[0] : end[0]], ours[start[1] : end[1]], theirs[start[2] : end[2]]
        start = (end[0] + 1, end[1] + 1, end[2] + 1)
    yield start[1], base[start[0] :], ours[start[1] :], theirs[start[2] :]
