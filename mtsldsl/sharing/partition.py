"""Set partitions of the tasks: the row of a layer whose copies serve disjoint sets of tasks. They form a lattice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Component: TypeAlias = frozenset[str]
"""The tasks that one copy of a layer serves."""


class Partition(tuple[Component, ...]):
    """Disjoint, non-empty components that cover the tasks, ordered by the first of their tasks."""

    __slots__ = ()

    @property
    def components(self) -> tuple[Component, ...]:
        """The components; a partition is the tuple of them."""
        return self

    def of(self, task: str) -> tuple[Component, ...]:
        """The one component that serves a task; KeyError where none does."""
        for component in self:
            if task in component:
                return (component,)
        raise KeyError(task)

    def renamed(self, names: Mapping[str, str]) -> Partition:
        """With other names of tasks."""
        return Partition(frozenset(names.get(task, task) for task in component) for component in self)


def canonical(components: Iterable[Component], rank: Mapping[str, int]) -> Partition:
    """The components ordered by the first of their tasks; `rank` is each task's place in the order of the tasks."""
    return Partition(sorted(components, key=lambda component: min(map(rank.__getitem__, component))))


def in_order(component: Iterable[str], tasks: Sequence[str]) -> tuple[str, ...]:
    """The members of `component` in the order of `tasks`."""
    members = frozenset(component)
    return tuple(task for task in tasks if task in members)


def all_in_order(components: Iterable[Iterable[str]], tasks: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """`in_order` of each component, in time that grows with their members and not with components times tasks."""
    rank = {task: place for place, task in enumerate(tasks)}
    return tuple(tuple(sorted(rank.keys() & component, key=rank.__getitem__)) for component in components)


def single(tasks: Sequence[str]) -> Partition:
    """All tasks in one component."""
    return Partition((frozenset(tasks),))


def singletons(tasks: Sequence[str]) -> Partition:
    """Each task in a component of its own."""
    return Partition(frozenset((task,)) for task in tasks)


def owners(partition: Partition) -> dict[str, int]:
    """For every task the index of its component."""
    return {task: index for index, component in enumerate(partition) for task in component}


def refines(fine: Partition, coarse: Partition) -> bool:
    """Whether every component of `fine` lies inside one component of `coarse`; both partition the same tasks."""
    if fine is coarse or len(coarse) == 1:
        return True
    if len(fine) < len(coarse):
        return False
    owner = owners(coarse)
    return all(len({owner[task] for task in component}) == 1 for component in fine)


def meet(first: Partition, second: Partition, tasks: Sequence[str]) -> Partition:
    """The coarsest partition that refines both: tasks stay together where both keep them together."""
    if first is second:
        return first
    one, other = owners(first), owners(second)
    blocks: dict[tuple[int, int], list[str]] = {}
    for task in tasks:
        blocks.setdefault((one[task], other[task]), []).append(task)
    return Partition(map(frozenset, blocks.values()))


def join(first: Partition, second: Partition, tasks: Sequence[str]) -> Partition:
    """The finest partition that both refine: tasks come together where a chain of shared components links them."""
    if first is second:
        return first
    blocks = [set(component) for component in first]
    for component in second:
        touched = [block for block in blocks if not block.isdisjoint(component)]
        untouched = [block for block in blocks if block.isdisjoint(component)]
        blocks = [*untouched, set().union(*touched)]
    rank = {task: place for place, task in enumerate(tasks)}
    return canonical(map(frozenset, blocks), rank)


def parted(tasks: Iterable[str], partition: Partition) -> Partition:
    """The non-empty intersections of `tasks` with the components: several where the partition keeps them apart."""
    wanted = frozenset(tasks)
    return Partition(common for component in partition if (common := wanted & component))
