"""Sets that hang together."""

from __future__ import annotations

from collections.abc import Iterable


def linked(sets: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """The unions of sets of tasks that overlap, directly or through others."""
    unions: list[frozenset[str]] = []
    for members in sets:
        touching = [union for union in unions if union & members]
        unions = [union for union in unions if not union & members] + [members.union(*touching)]
    return unions
