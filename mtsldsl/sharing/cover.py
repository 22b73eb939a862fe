"""Covers: the row of a layer of alternatives, of which each task uses some. Weights are shared, not what is computed.

A cover is a set of pairs of a task and an alternative, so covers of one layer are ordered by inclusion, and union and
intersection make them a distributive lattice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.records import Record
from mtsldsl.sharing.partition import Component

Pair: TypeAlias = tuple[str, str]
"""A task and an alternative that it uses."""


@attrs.frozen(eq=False, repr=False)
class Use(Record):
    """An alternative of a layer and the tasks that use it: the component of a cover."""

    alternative: str
    tasks: Component


@attrs.frozen(eq=False, repr=False)
class Cover(Record):
    """Which alternatives of a layer are used, and by which tasks, in the order of the layer's alternatives.

    An alternative that no task uses is not there. A task may use several, whose outputs are averaged, or none: then the
    layer gives it zeros.
    """

    components: tuple[Use, ...]

    @classmethod
    def of_pairs(cls, pairs: Iterable[Pair], alternatives: Sequence[str]) -> Cover:
        """The cover of these pairs. ValueError for one of an alternative that is not listed."""
        users: dict[str, set[str]] = {alternative: set() for alternative in alternatives}
        for task, alternative in pairs:
            if alternative not in users:
                raise ValueError(f"there is no alternative `{alternative}`: {suggestion(alternative, users, 'ones')}")
            users[alternative].add(task)
        return cls(tuple(Use(alternative, frozenset(tasks)) for alternative, tasks in users.items() if tasks))

    @classmethod
    def full(cls, alternatives: Iterable[str], tasks: Iterable[str]) -> Cover:
        """Every task uses every alternative."""
        users = frozenset(tasks)
        return cls(tuple(Use(alternative, users) for alternative in alternatives))

    def __iter__(self) -> Iterator[Use]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    @property
    def pairs(self) -> frozenset[Pair]:
        """Every task with every alternative that it uses."""
        return frozenset((task, use.alternative) for use in self.components for task in use.tasks)

    def of(self, task: str) -> tuple[Use, ...]:
        """The alternatives that a task uses, with all who use them; none where the layer gives it zeros."""
        return tuple(use for use in self.components if task in use.tasks)

    def renamed(self, names: Mapping[str, str]) -> Cover:
        """With other names of tasks."""
        return Cover(
            tuple(
                Use(use.alternative, frozenset(names.get(task, task) for task in use.tasks)) for use in self.components
            )
        )


def included(small: Cover, large: Cover) -> bool:
    """Whether every task uses of `large` all that it uses of `small`."""
    return small.pairs <= large.pairs


def union(first: Cover, second: Cover, alternatives: Sequence[str]) -> Cover:
    """The least cover that has both."""
    return Cover.of_pairs(first.pairs | second.pairs, alternatives)


def intersection(first: Cover, second: Cover, alternatives: Sequence[str]) -> Cover:
    """The greatest cover that both have."""
    return Cover.of_pairs(first.pairs & second.pairs, alternatives)


def merged(base: Cover, ours: Cover, theirs: Cover, alternatives: Sequence[str]) -> Cover:
    """What both sides changed since `base`, pair by pair; two sides cannot differ in what both changed."""
    changed = (base.pairs ^ ours.pairs) | (base.pairs ^ theirs.pairs)
    return Cover.of_pairs(base.pairs ^ changed, alternatives)


def switches(
    before: Cover, after: Cover, alternatives: Sequence[str], tasks: Sequence[str]
) -> Iterator[tuple[str, Component, bool]]:
    """The alternatives that tasks begin or cease to use, each with those tasks and whether they begin; in the order of
    the alternatives, then of the first of the tasks."""
    rank = {task: place for place, task in enumerate(tasks)}
    found = []
    for place, alternative in enumerate(alternatives):
        for pairs, on in ((before.pairs - after.pairs, False), (after.pairs - before.pairs, True)):
            changed = frozenset(task for task, name in pairs if name == alternative)
            if changed:
                found.append((place, min(map(rank.__getitem__, changed)), alternative, changed, on))
    for _, _, alternative, changed, on in sorted(found):
        yield alternative, changed, on
