"""Numbers of things, in words."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """How many there are of something: `1 step`, `2 steps`, and with a plural of its own `0 batches`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
