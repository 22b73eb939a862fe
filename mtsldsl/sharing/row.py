"""The three kinds of row that a layer may have in a sharing: a partition, a cover, or groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mtsldsl.sharing import cover, groups
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.cover import Cover, Use
from mtsldsl.sharing.groups import Group, Groups
from mtsldsl.sharing.partition import Component, Partition

Row: TypeAlias = Partition | Cover | Groups


def tasks_of(component: Component | Use | Group) -> Component:
    """The tasks that a component of a row serves."""
    return component if isinstance(component, frozenset) else component.tasks


def reordered(row: Row, rank: Mapping[str, int]) -> Row:
    """The row for another order of the tasks, by each task's place in it."""
    if isinstance(row, Cover):
        return row
    return row.reordered(rank) if isinstance(row, Groups) else sets.canonical(row, rank)


def refines(first: Row, second: Row) -> bool:
    """Whether the second row of a layer shares all that the first shares: components that lie in its components, or
    pairs of a cover that are among its pairs. Of groups only the same are."""
    if isinstance(first, Cover) and isinstance(second, Cover):
        return cover.included(first, second)
    if isinstance(first, Partition) and isinstance(second, Partition):
        return sets.refines(first, second)
    return first == second


def join(first: Row, second: Row, tasks: Sequence[str], alternatives: Sequence[str]) -> Row:
    """The least row that both refine. Raises ValueError for groups that differ, which have none."""
    if isinstance(first, Cover) and isinstance(second, Cover):
        return cover.union(first, second, alternatives)
    if isinstance(first, Partition) and isinstance(second, Partition):
        return sets.join(first, second, tasks)
    return _equal(first, second)


def meet(first: Row, second: Row, tasks: Sequence[str], alternatives: Sequence[str]) -> Row:
    """The greatest row that refines both. Raises ValueError for groups that differ, which have none."""
    if isinstance(first, Cover) and isinstance(second, Cover):
        return cover.intersection(first, second, alternatives)
    if isinstance(first, Partition) and isinstance(second, Partition):
        return sets.meet(first, second, tasks)
    return _equal(first, second)


def merged(base: Row, ours: Row, theirs: Row, tasks: Sequence[str], alternatives: Sequence[str]) -> Row | None:
    """The row with the changes of both sides; None where they contradict each other."""
    if ours in (theirs, base):
        return theirs
    if theirs == base:
        return ours
    if isinstance(base, Cover) and isinstance(ours, Cover) and isinstance(theirs, Cover):
        return cover.merged(base, ours, theirs, alternatives)
    if isinstance(base, Cover) or isinstance(ours, Cover) or isinstance(theirs, Cover):
        return None
    if isinstance(base, Partition) and isinstance(ours, Partition) and isinstance(theirs, Partition):
        return _merged_partitions(base, ours, theirs, tasks)
    return _merged_groups(groups_of(base), groups_of(ours), groups_of(theirs), tasks)


def groups_of(row: Partition | Groups) -> Groups:
    """The row as groups; those of a partition have no help."""
    return row if isinstance(row, Groups) else Groups(tuple(map(Group, row)))


def _merged_groups(base: Groups, ours: Groups, theirs: Groups, tasks: Sequence[str]) -> Partition | Groups | None:
    served = _merged_partitions(base.served, ours.served, theirs.served, tasks)
    found = None if served is None else groups.merged(base, ours, theirs, served)
    return found if found is None or found.helps else found.served


def _merged_partitions(base: Partition, ours: Partition, theirs: Partition, tasks: Sequence[str]) -> Partition | None:
    if ours in (theirs, base):
        return theirs
    if theirs == base:
        return ours
    if sets.refines(base, ours) and sets.refines(base, theirs):
        return sets.join(ours, theirs, tasks)
    if sets.refines(ours, base) and sets.refines(theirs, base):
        return sets.meet(ours, theirs, tasks)
    return None


def _equal(first: Row, second: Row) -> Row:
    if first != second:
        raise ValueError("groups that differ have neither join nor meet: merge them with a common base (`merge3`)")
    return first
