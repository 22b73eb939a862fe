"""Lists for a person, which have a bound however long they are."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SHOWN = 10
"""Tasks, pairs of tasks or merges that are all shown, as the ten pairs of five tasks are; the events have more."""

FIRST_SHOWN = 6
"""Of more than that, so many are."""

LONGEST = 200
"""Letters of a line that names all there is."""


def shown(items: Sequence[str], joint: str) -> str:
    """All of a few items; of more the first, and how many there are besides, which are in the events."""
    if len(items) <= MOST_SHOWN:
        return joint.join(items)
    return f"{joint.join(items[:FIRST_SHOWN])} and {len(items) - FIRST_SHOWN} more"


def named(names: Sequence[str]) -> str:
    """Names in a line: the first, and how many there are besides."""
    more = len(names) - FIRST_SHOWN
    listed = ", ".join(f"`{name}`" for name in names[:FIRST_SHOWN])
    return f"{listed} and {more} more" if more > 0 else listed


def first_lines(lines: Sequence[str], noun: str) -> list[str]:
    """All of a few lines; of more the first, and one that says how many there are besides."""
    if len(lines) <= MOST_SHOWN:
        return list(lines)
    return [*lines[:FIRST_SHOWN], f"and {len(lines) - FIRST_SHOWN} {noun} more"]


def cut(line: str) -> str:
    """The line, or its beginning where it is long."""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
