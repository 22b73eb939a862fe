"""Sets that hang together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtsldsl.sharing.partition import in_order


def linked(sets: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """The unions of sets of tasks that overlap, directly or through others."""
    unions: list[frozenset[str]] = []
    for members in sets:
        touching = [union for union in unions if union & members]
        unions = [union for union in unions if not union & members] + [members.union(*touching)]
    return unions


def linked_in_order(sets: Iterable[frozenset[str]], tasks: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The same unions and their members, both in the order of `tasks`."""
    unions = [in_order(union, tasks) for union in linked(sets)]
    return tuple(sorted(unions, key=lambda union: tasks.index(union[0])))
