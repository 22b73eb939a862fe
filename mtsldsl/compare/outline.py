"""A text as pieces with keys, such as `train.epochs`, each with its lines and the comments that belong to it.

Two versions of a text can then be compared piece by piece, wherever the pieces stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Source
from mtsldsl.records import Record
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.edit import TextEdit, apply_edits, line_ending

Node: TypeAlias = tree.Statement | tree.Entry | tree.Call

TAIL = "}"
"""What the key of a section's end, before the closing brace, adds to that of the section; alone, the text's end."""

_INDENT = "  "

_OF_A_KIND = frozenset(("data", "structure"))
"""Blocks whose label is a value and no name: a text has one of them, whatever its label."""


@attrs.frozen(eq=False, repr=False)
class Piece(Record):
    """A statement, or an item of a section.

    `start` and `end` are the whole lines it stands on. Comments: `leading` on lines of their own before it, `opening`
    behind the brace, `trailing` behind its end, `inner` anywhere between. `tail` are those before the closing brace.
    """

    key: str
    node: Node
    start: int
    end: int
    leading: tuple[tree.Comment, ...] = ()
    trailing: tree.Comment | None = None
    opening: tree.Comment | None = None
    inner: tuple[tree.Comment, ...] = ()
    children: tuple[Piece, ...] = ()
    tail: tuple[tree.Comment, ...] = ()

    @property
    def own_comments(self) -> tuple[tree.Comment, ...]:
        """Its comments in order, those of its children left out."""
        ends = [comment for comment in (self.opening, self.trailing) if comment]
        return (*self.leading, *sorted((*self.inner, *ends), key=_start))

    @property
    def all_comments(self) -> tuple[tree.Comment, ...]:
        """Its comments and those of its children, in order."""
        inside = [comment for child in self.children for comment in child.all_comments]
        return tuple(sorted((*self.own_comments, *inside, *self.tail), key=_start))


def _start(comment: tree.Comment) -> int:
    return comment.span.start


@attrs.frozen(eq=False, repr=False)
class Outline(Record):
    """The pieces of a text in order, and its last comments."""

    file: tree.File
    pieces: tuple[Piece, ...]
    tail: tuple[tree.Comment, ...]

    @property
    def text(self) -> str:
        """The text."""
        return self.file.source.text

    def everything(self) -> dict[str, Piece]:
        """Every piece by its key, statements and items alike."""
        return {piece.key: piece for top in self.pieces for piece in (top, *top.children)}

    def comments(self) -> dict[str, tuple[tree.Comment, ...]]:
        """The comments of every piece and tail, by key."""
        found = {key: piece.own_comments for key, piece in self.everything().items()}
        found |= {f"{piece.key}{TAIL}": piece.tail for piece in self.pieces if isinstance(piece.node, tree.Section)}
        return {**found, TAIL: self.tail}


def outline(source: Source) -> Outline:
    """The outline of a text. Raises MtlError where it cannot be parsed."""
    file = parse(source)
    text = source.text
    seen: Counter[str] = Counter()

    def piece(node: Node, section: str, leading: list[tree.Comment], behind: tree.Comment | None) -> Piece:
        key = _key(node, section)
        seen[key] += 1
        if seen[key] > 1:
            key = f"{key} #{seen[key]}"
        start = text.rfind("\n", 0, node.span.start) + 1
        newline = text.find("\n", behind.span.end if behind else node.span.end)
        plain = Piece(key, node, start, newline + 1 if newline >= 0 else len(text), tuple(leading), behind)
        within = [each for each in file.comments if node.span.start <= each.span.start < node.span.end]
        if not isinstance(node, tree.Section):
            return attrs.evolve(plain, inner=tuple(within))
        opening = next((each for each in within if "\n" not in text[node.body.start : each.span.start]), None)
        if opening and any(item.span.start < opening.span.start for item in node.items):
            opening = None
        rest = [each for each in within if each is not opening]
        children, tail = gather(node.items, rest, key)
        return attrs.evolve(plain, opening=opening, children=children, tail=tail)

    def gather(
        nodes: Iterable[Node], comments: Iterable[tree.Comment], section: str
    ) -> tuple[tuple[Piece, ...], tuple[tree.Comment, ...]]:
        waiting = list(comments)
        pieces = []
        for node in nodes:
            leading = []
            while waiting and waiting[0].span.start < node.span.start:
                leading.append(waiting.pop(0))
            waiting = [each for each in waiting if each.span.start >= node.span.end]
            behind = None
            if waiting and "\n" not in text[node.span.end : waiting[0].span.start]:
                behind = waiting.pop(0)
            pieces.append(piece(node, section, leading, behind))
        return tuple(pieces), tuple(waiting)

    pieces, tail = gather(file.statements, file.comments, "")
    return Outline(file, pieces, tail)


def _key(node: Node, section: str) -> str:
    match node:
        case tree.Header():
            return "mtl"
        case tree.Import():
            return f'import "{node.path.value}"'
        case tree.Definition():
            return f"{node.kind.text} {node.name.text}"
        case tree.Section() if node.listed:  # which names are listed is what it says, and not what it is called
            return f"{node.kind.text} [...]"
        case tree.Section():
            labels = [label.text for label in node.labels]
            labels = labels[1:] if node.kind.text in _OF_A_KIND else labels  # what is left is its own name
            return ".".join((node.kind.text, *labels))
        case tree.Entry() if node.last is not None and section == "tuning":  # which goes with no other range
            return f"{section}.{node.key.text}..{node.last.text}"
        case tree.Entry():
            return f"{section}.{node.key.text}"
    # What has no name is known by what it says; its repr leaves out the place.
    return f"{section} {node!r}"


def opened(source: Source, keys: Iterable[str] | None = None) -> Source:
    """The text with the items of the given sections (by default of all) and the braces on different lines."""
    wanted = None if keys is None else set(keys)
    edits = [
        edit
        for piece in outline(source).pieces
        if isinstance(piece.node, tree.Section) and (wanted is None or piece.key in wanted)
        for edit in _opening_edits(piece.node)
    ]
    return attrs.evolve(source, text=apply_edits(source.text, edits)) if edits else source


def _opening_edits(section: tree.Section) -> Iterator[TextEdit]:
    source, body = section.body.source, section.body
    ending, indent = line_ending(source.text), indent_at(source.text, section.span.start)
    if "\n" not in body.text and not body.text.strip():
        yield TextEdit(body.start, body.end, ending + indent)
        return
    first, last = section.items[:1], section.items[-1:]
    if first and not source.text[body.start : first[0].span.start].strip(" \t"):
        yield TextEdit(body.start, first[0].span.start, ending + indent + _INDENT)
    if last and not source.text[last[0].span.end : body.end].strip(" \t"):
        yield TextEdit(last[0].span.end, body.end, ending + indent)


def indent_at(text: str, offset: int) -> str:
    """The blank space that the line of an offset starts with."""
    start = text.rfind("\n", 0, offset) + 1
    return text[start:offset][: len(text[start:offset]) - len(text[start:offset].lstrip(" \t"))]


def without(outlined: Outline, piece: Piece) -> TextEdit:
    """The edit that takes a piece away, with its comments and lines, and a blank line that would be left over."""
    text = outlined.text
    first = piece.leading[0].span.start if piece.leading else piece.node.span.start
    start, end = text.rfind("\n", 0, first) + 1, piece.end
    if start == 0 or not text[text.rfind("\n", 0, start - 1) + 1 : start].strip():
        while (after := text.find("\n", end) + 1) and not text[end:after].strip():
            end = after
    return TextEdit(start, end, "")


def line_of(text: str, comment: tree.Comment) -> TextEdit:
    """The edit that takes away a comment with its line."""
    start = text.rfind("\n", 0, comment.span.start) + 1
    newline = text.find("\n", comment.span.end)
    return TextEdit(start, newline + 1 if newline >= 0 else len(text), "")


def as_lines(text: str, offset: int, lines: Iterable[str], end: int | None = None) -> TextEdit:
    """Whole lines at the start of a line, or at the text's end, in the text's own line ending.

    They are inserted, or take the place of the lines up to `end`.
    """
    ending, end = line_ending(text), offset if end is None else end
    body = "".join(line.replace("\r\n", "\n").replace("\n", ending) + ending for line in lines)
    if end == len(text) and text and not text.endswith("\n"):
        body = (ending if offset == end else "") + body[: -len(ending)]
    return TextEdit(offset, end, body)


def first_line(text: str, section: Piece) -> int:
    """The start of the line after the opening brace of a section."""
    assert isinstance(section.node, tree.Section)
    newline = text.find("\n", section.opening.span.end if section.opening else section.node.body.start)
    return newline + 1 if newline >= 0 else len(text)


def indent_of(text: str, section: Piece) -> str:
    """The blank space before the items of a section that stand on lines of their own."""
    if section.children:
        return indent_at(text, section.children[0].node.span.start)
    return indent_at(text, section.node.span.start) + _INDENT
