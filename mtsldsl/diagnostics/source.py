"""A text with a name, and places in it."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

import attrs

from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False, slots=False)
class Source(Record):
    """A text and the name a person knows it by (a path as typed, or `<string>`).

    `bom` says that the file began with a byte order mark, which is no part of the text but is written back. `path` is
    the file that the text lies in, None where it lies in none; what the text names is looked for beside it.
    """

    name: str
    text: str = attrs.field(repr=False)
    bom: bool = attrs.field(default=False, eq=False, repr=False)
    path: str | None = attrs.field(default=None, eq=False, repr=False)

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(index + 1 for index, character in enumerate(self.text) if character == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, columns in code points."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line ending."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] if number < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@attrs.frozen(eq=False, repr=False)
class Span(Record):
    """The half-open range `[start, end)` of code points of a source. Spans never take part in comparisons of nodes."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The covered text."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line of the first character, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column of the first character, from 1."""
        return self.source.position(self.start)[1]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
