"""What each comment of a text belongs to: the words that it stands among or behind, wherever their lines are broken."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from mtsldsl.diagnostics import Span
from mtsldsl.syntax.logical_lines import BLANK
from mtsldsl.syntax.tree import File, Section


def attached(file: File) -> tuple[Span | None, ...]:
    """For each comment of a file, in order, what it stands inside of, or behind on one physical line.

    That is an item, a definition or the first line of a block, and the whole block for a comment behind its `}`; None
    for a comment on a line of its own between them. No layout of the same words and comments changes it.
    """
    parts = sorted(_parts(file), key=itemgetter(0))
    starts = [start for start, _, _ in parts]
    text = file.source.text
    found = []
    for comment in file.comments:
        place = comment.span.start
        index = bisect_right(starts, place) - 1
        _, end, whole = parts[index] if index >= 0 else (0, 0, None)
        near = place < end or not text[end:place].strip(BLANK)
        found.append(whole if near else None)
    return tuple(found)


def _parts(file: File) -> Iterator[tuple[int, int, Span]]:
    """What comments can stand inside of or behind, none within another: start, end, and what the comment belongs to."""
    for statement in file.statements:
        if not isinstance(statement, Section):
            yield statement.span.start, statement.span.end, statement.span
            continue
        head = Span(file.source, statement.span.start, statement.body.start)
        yield head.start, head.end, head
        for item in statement.items:
            yield item.span.start, item.span.end, item.span
        yield statement.body.end, statement.span.end, statement.span
