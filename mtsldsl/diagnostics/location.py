"""Where a diagnostic is, in numbers, as other programs want it."""

from __future__ import annotations

import attrs

from mtsldsl.diagnostics.diagnostic import Diagnostic
from mtsldsl.diagnostics.source import Span
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Location(Record):
    """A range of a file: lines and columns from 1, columns in code points, the end behind the last character.

    `file` alone is known where a problem has no place in a text.
    """

    file: str
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None


def locate(span: Span) -> Location:
    """The place of a span."""
    end_line, end_column = span.source.position(span.end)
    return Location(span.source.name, span.line, span.column, end_line, end_column)


def location(diagnostic: Diagnostic, file: str) -> Location:
    """The place of a diagnostic; one without a place is about `file`."""
    return locate(diagnostic.span) if diagnostic.span else Location(file)
