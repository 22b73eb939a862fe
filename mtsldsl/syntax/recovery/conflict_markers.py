"""The markers that git, and `mtsldsl merge`, leave in a text where both sides changed something."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from mtsldsl.diagnostics import Diagnostic, Source, Span
from mtsldsl.records import Record

_MARKER = re.compile(r"^(?P<sign>[<|=>])(?P=sign){6,}(?: [^\r\n]*)?\r?$", re.MULTILINE)

_NO_LINE_END = re.compile(r"[^\r\n]")


@attrs.frozen(eq=False, repr=False)
class MarkedConflict(Record):
    """A conflict in a text: where its lines begin and end, and the lines of our side between its markers.

    Of one with another inside no side is known, so that its side is empty.
    """

    start: int
    end: int
    ours: tuple[int, int]


def marked_conflicts(text: str) -> Iterator[MarkedConflict]:
    """The conflicts of a text that have all their markers; one inside another belongs to that one."""
    opened: list[re.Match[str]] = []
    ours, nested = (0, 0), False
    for found in _MARKER.finditer(text):
        sign, line_end = found["sign"], min(found.end() + 1, len(text))
        if sign == "<":
            opened.append(found)
            nested = len(opened) > 1
            if not nested:
                ours = (line_end, -1)
        elif opened and sign != ">":
            if len(opened) == 1 and ours[1] < 0:
                ours = (ours[0], found.start())
        elif opened:
            first = opened.pop()
            if not opened and ours[1] >= 0:
                yield MarkedConflict(first.start(), line_end, (ours[0], ours[0]) if nested else ours)


def our_side(text: str, *, in_place: bool = False) -> str:
    """The text with our side of every conflict; `in_place` with blank space for what is left out."""
    parts, start = [], 0
    for conflict in marked_conflicts(text):
        first, last = conflict.ours
        left_out = text[conflict.start : first], text[last : conflict.end]
        before, after = (_NO_LINE_END.sub(" ", each) if in_place else "" for each in left_out)
        parts += [text[start : conflict.start], before, text[first:last], after]
        start = conflict.end
    return "".join([*parts, text[start:]])


def unresolved(source: Source) -> tuple[Diagnostic, ...]:
    """A report for each conflict that is still marked in a text."""
    found = []
    for conflict in marked_conflicts(source.text):
        span = Span(source, conflict.start, source.text.index("\n", conflict.start))
        last = source.text.count("\n", 0, conflict.end - 1) + 1
        cause = f"an unresolved merge conflict, lines {span.line} to {last}"
        found.append(Diagnostic("MTL010", cause, "choose what is to stay and remove the markers", span))
    return tuple(found)
