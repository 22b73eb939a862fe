"""A text as the lines that a person means: one for each item, block's first line, closing brace and comment.

A logical line holds its words whatever the line ends between them; the comments between two words go with the second.
"""

from __future__ import annotations

from enum import Enum

import attrs

from mtsldsl.diagnostics import Source
from mtsldsl.records import Record
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.layout import CLOSING, OPENING
from mtsldsl.syntax.parser import tokens

BLANK = " \t\r\f"
"""What may stand between two words of a physical line, and behind a comment without being part of it."""

_TIGHT_BEFORE = frozenset({"COMMA", "COLON", "_RANGE", *CLOSING})
_TIGHT_AFTER = frozenset({"_RANGE", *OPENING})


@attrs.frozen(eq=False, repr=False)
class Remark(Record):
    """A comment; `trailing` says that something stands before it on its physical line."""

    text: str
    trailing: bool


@attrs.frozen(eq=False, repr=False)
class Word(Record):
    """A token: its kind in the grammar, whether a space parts it from the word before, the comments before it."""

    text: str
    kind: str
    space: bool
    remarks: tuple[Remark, ...] = ()


class Role(Enum):
    """What a logical line is."""

    REMARK = "a comment on a line of its own"
    OPEN = "the first line of a block, its `{` included"
    CLOSE = "the `}` of a block"
    ITEM = "everything else: an entry, a definition, the header"


@attrs.frozen(eq=False, repr=False)
class LogicalLine(Record):
    """One line as it is meant; `blank` says that a blank line stands before it, `tail` is the comment behind it."""

    role: Role
    words: tuple[Word, ...]
    blank: bool
    tail: str | None = None


def read_lines(source: Source) -> list[LogicalLine]:
    """The logical lines of a text that parses."""
    reader = _Reader(source.text)
    pieces: list[tuple[int, int, str, str]] = [
        (token.start_pos or 0, token.end_pos or 0, token.type, str(token)) for token in tokens(source)
    ]
    pieces += [(each.span.start, each.span.end, "COMMENT", each.text) for each in find_comments(source)]
    for piece in sorted(pieces):
        reader.take(*piece)
    reader.end_line()
    return reader.lines


@attrs.define
class _Reader:
    text: str
    lines: list[LogicalLine] = attrs.field(factory=list)
    words: list[Word] = attrs.field(factory=list)
    pending: list[tuple[int, int, Remark]] = attrs.field(factory=list)  # comments behind the last word
    start: int = 0  # of the line's first word
    end: int = 0  # of the last word
    placed: int = 0  # the end of the last line that is in `lines`
    depth: int = 0  # brackets open

    def take(self, start: int, end: int, kind: str, text: str) -> None:
        """The next token or comment of the text."""
        if kind == "_NEWLINE":
            self.end_line()
        elif kind == "COMMENT":
            remark = Remark(
                text.rstrip(BLANK), bool(self.lines or self.words) and "\n" not in self.text[self.end : start]
            )
            self.pending.append((start, end, remark))
            self.end = end
            if not self.words:
                self._place_pending()
        elif kind == "RBRACE":
            self.end_line()
            self.start = start
            self._add(kind, text, end)
            self._place(Role.CLOSE)
        else:
            if not self.words:
                self.start = start
            self._add(kind, text, end)
            if kind == "LBRACE":
                self._place(Role.OPEN)

    def end_line(self) -> None:
        """The line's words are complete."""
        if self.words:
            self._place(Role.ITEM)
        self._place_pending()

    def _add(self, kind: str, text: str, end: int) -> None:
        self.depth -= kind in CLOSING
        remarks = tuple(remark for _, _, remark in self.pending)
        self.pending = []
        self.words.append(Word(text, kind, self._spaced(kind), remarks))
        self.depth += kind in OPENING
        self.end = end

    def _spaced(self, kind: str) -> bool:
        if not self.words or kind in _TIGHT_BEFORE:
            return False
        before = self.words[-1].kind
        if before in _TIGHT_AFTER or (kind == "LPAR" and before in ("NAME", "DOTTED")):
            return False
        return not (self.depth and "EQUAL" in (kind, before))

    def _place(self, role: Role) -> None:
        """Close the line; a pending comment on its last physical line is its tail."""
        end, tail = self.end, None
        if self.pending and self.pending[0][2].trailing:
            _, end, remark = self.pending.pop(0)
            tail = remark.text
        self.lines.append(LogicalLine(role, tuple(self.words), self._blank_before(self.start), tail))
        self.words = []
        self.placed = end

    def _place_pending(self) -> None:
        for start, end, remark in self.pending:
            last = self.lines[-1] if self.lines else None
            if remark.trailing and last and last.tail is None:
                self.lines[-1] = attrs.evolve(last, tail=remark.text)
            else:
                word = Word(remark.text, "COMMENT", False)
                self.lines.append(LogicalLine(Role.REMARK, (word,), self._blank_before(start)))
            self.placed = end
        self.pending = []

    def _blank_before(self, start: int) -> bool:
        return bool(self.lines) and self.text.count("\n", self.placed, start) > 1
