"""Diagnostics as text: place, code, cause, the line with a caret under the whole span, remedy."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtsldsl.diagnostics.printable import printable
from mtsldsl.diagnostics.source import Span

if TYPE_CHECKING:
    from mtsldsl.diagnostics.diagnostic import Diagnostic

WIDEST = 120
"""Characters of a source line that are shown; of a longer line, the part around the span."""

_BEFORE = 40
"""Characters that a shortened line keeps before the span."""

_CUT = "..."


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic as lines of plain text."""
    place = f"{diagnostic.span}: " if diagnostic.span else ""
    lines = [f"{printable(place)}{diagnostic.severity} {diagnostic.code}: {printable(diagnostic.cause)}"]
    if diagnostic.span:
        lines += _excerpt(diagnostic.span)
    lines.append(f"  remedy: {printable(diagnostic.remedy)}")
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics, those of one text in the order of their places."""
    return "\n".join(render(diagnostic) for diagnostic in diagnostics)


def _excerpt(span: Span) -> list[str]:
    """The span's first line and carets under the part of it that the span covers."""
    text, start = span.source.line(span.line), span.column - 1
    end = min(len(text), start + max(1, span.end - span.start))
    note = " the end of the file" if span.start >= len(span.source.text.rstrip()) and span.start == span.end else ""
    text, start, end = _window(text, min(start, len(text)), max(start, end))
    margin = f"{span.line:>5} | "
    indent = "".join("\t" if character == "\t" else " " * _columns(character) for character in text[:start])
    carets = "^" * max(1, sum(_columns(character) for character in text[start:end]))
    return [f"{margin}{printable(text)}".rstrip(), f"{'':>5} | {indent}{carets}{note}"]


def _window(text: str, start: int, end: int) -> tuple[str, int, int]:
    """A line, and a range of it, cut to `WIDEST` characters around the range."""
    if len(text) <= WIDEST:
        return text, start, end
    first = max(0, min(start - _BEFORE, len(text) - WIDEST))
    last = min(len(text), first + WIDEST)
    left, right = _CUT if first else "", _CUT if last < len(text) else ""
    shift = len(left) - first
    return left + text[first:last] + right, start + shift, min(end, last) + shift


def _columns(character: str) -> int:
    """The columns of a terminal that a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
