"""Groups: the row where each group of tasks has a network of its own, in which other tasks may help to train it.

`segment + depth, (depth) + normal`: depth is served by the first group; it is trained in the second as well, which
helps normal, and dropped there when the network is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.component import helper_name
from mtsldsl.sharing.partition import Component, Partition

Help: TypeAlias = tuple[str, str]
"""A task that helps, and one that the group serves in which it does."""


@attrs.frozen(eq=False, repr=False)
class Group(Record):
    """The tasks that a network serves, and those that are trained in it but served by another."""

    tasks: Component
    helped: Component = frozenset()


@attrs.frozen(eq=False, repr=False)
class Helper(Record):
    """A task in a group that trains it and does not serve it: there it has a head of its own."""

    task: str
    served: Component
    """Whom the group serves."""

    @property
    def name(self) -> str:
        """What that head is called: `depth(normal)`."""
        return helper_name(self.task, self.served)


@attrs.frozen(eq=False, repr=False)
class Groups(Record):
    """Groups whose served tasks are a partition of the tasks, ordered by the first of those that each serves."""

    components: tuple[Group, ...]

    @classmethod
    def of_helps(cls, served: Partition, helps: Iterable[Help]) -> Groups | None:
        """The groups that serve these sets with this help; None where a task helps some of a group and not all."""
        found = []
        pairs = frozenset(helps)
        for tasks in served:
            helping = [frozenset(helper for helper, task in pairs if task == one) - tasks for one in sorted(tasks)]
            if len(set(helping)) > 1:
                return None
            found.append(Group(tasks, helping[0]))
        return cls(tuple(found))

    def __iter__(self) -> Iterator[Group]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    @property
    def served(self) -> Partition:
        """The groups without those that help: a partition of the tasks."""
        return Partition(group.tasks for group in self.components)

    @property
    def helps(self) -> frozenset[Help]:
        """Every task that helps with every task that it helps."""
        return frozenset((helper, task) for group in self.components for helper in group.helped for task in group.tasks)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        """Every task in every group that it helps, in the order of the groups, then by name."""
        return tuple(Helper(task, group.tasks) for group in self.components for task in sorted(group.helped))

    def of(self, task: str) -> tuple[Group, ...]:
        """The one group that serves a task; KeyError where none does."""
        for group in self.components:
            if task in group.tasks:
                return (group,)
        raise KeyError(task)

    def renamed(self, names: Mapping[str, str]) -> Groups:
        """With other names of tasks."""

        def new(tasks: Component) -> Component:
            return frozenset(names.get(task, task) for task in tasks)

        return Groups(tuple(Group(new(group.tasks), new(group.helped)) for group in self.components))

    def reordered(self, rank: Mapping[str, int]) -> Groups:
        """For another order of the tasks, by each task's place in it."""
        first = {group: min(map(rank.__getitem__, group.tasks)) for group in self.components}
        return Groups(tuple(sorted(self.components, key=first.__getitem__)))


def merged(base: Groups, ours: Groups, theirs: Groups, served: Partition) -> Groups | None:
    """What both sides changed since `base`, for groups that serve the sets of `served`; None where help was changed in
    ways that do not go together."""
    changed = (base.helps ^ ours.helps) | (base.helps ^ theirs.helps)
    return Groups.of_helps(served, base.helps ^ changed)


def helping(before: Groups, after: Groups, tasks: Sequence[str]) -> Iterator[tuple[Component, str, bool]]:
    """What begins and ends of the help between two rows: the group, who helps, and whether it begins. Help ends before
    its group goes, and begins once its group has come."""
    old = {group.tasks: group.helped for group in before}
    new = {group.tasks: group.helped for group in after}
    for first, second, on in ((old, new, False), (new, old, True)):
        for served, helped in first.items():
            for task in sets.in_order(helped - second.get(served, frozenset()), tasks):
                yield served, task, on
