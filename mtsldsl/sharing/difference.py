"""What turns one sharing into another, layer by layer: merges and splits of components, alternatives that tasks begin
and cease to use, groups that others begin and cease to help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.records import Record
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.cover import Cover, switches
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Group, Groups, helping
from mtsldsl.sharing.partition import Component, Partition
from mtsldsl.sharing.row import Row, groups_of
from mtsldsl.sharing.sharing import Sharing
from mtsldsl.sharing.text import format_partition, format_tasks
from mtsldsl.sharing.validity import Given


@attrs.frozen(eq=False, repr=False)
class Change(Record):
    """One merge (several components become one) or split (one becomes several) of a layer's components.

    `before` and `after` partition the same tasks, and one of them is a single component.
    """

    layer: str
    before: Partition
    after: Partition

    @property
    def is_merge(self) -> bool:
        """Whether the change leaves fewer components."""
        return len(self.after) < len(self.before)

    @property
    def copies(self) -> int:
        """By how many copies of the layer the change makes the network larger; negative for a merge."""
        return len(self.after) - len(self.before)

    def inverse(self) -> Change:
        """The change that takes this one back."""
        return Change(self.layer, self.after, self.before)

    def text(self, tasks: Sequence[str]) -> str:
        """The change as a person reads it: `enc1: merge a, b into a + b`."""
        verb = "merge" if self.is_merge else "split"
        before, after = format_partition(self.before, tasks), format_partition(self.after, tasks)
        return f"{self.layer}: {verb} {before} into {after}"


@attrs.frozen(eq=False, repr=False)
class Switch(Record):
    """Tasks that begin (`on`) or cease to use an alternative of a layer."""

    layer: str
    alternative: str
    tasks: Component
    on: bool

    def inverse(self) -> Switch:
        """The change that takes this one back."""
        return attrs.evolve(self, on=not self.on)

    def text(self, tasks: Sequence[str]) -> str:
        """The change as a person reads it: `mix1: switch on conv3 for a + b`."""
        return f"{self.layer}: switch {_on(self.on)} {self.alternative} for {format_tasks(self.tasks, tasks)}"


@attrs.frozen(eq=False, repr=False)
class Help(Record):
    """A task that begins (`on`) or ceases to help to train the network that serves a group of others."""

    layer: str
    group: Component
    task: str
    on: bool

    def inverse(self) -> Help:
        """The change that takes this one back."""
        return attrs.evolve(self, on=not self.on)

    def text(self, tasks: Sequence[str]) -> str:
        """The change as a person reads it: `enc1: switch on the help of depth for normal`."""
        return f"{self.layer}: switch {_on(self.on)} the help of {self.task} for {format_tasks(self.group, tasks)}"


def _on(on: bool) -> str:
    return "on" if on else "off"


AnyChange: TypeAlias = Change | Switch | Help


@attrs.frozen(eq=False, repr=False)
class Diff(Record):
    """The changes that turn one sharing into another, by layer; within a layer in the order in which they apply."""

    changes: tuple[AnyChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> Iterator[AnyChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that change, each once."""
        return tuple(dict.fromkeys(change.layer for change in self.changes))

    @property
    def merges(self) -> tuple[Change, ...]:
        """The merges alone."""
        return tuple(change for change in self.changes if isinstance(change, Change) and change.is_merge)

    @property
    def splits(self) -> tuple[Change, ...]:
        """The splits alone."""
        return tuple(change for change in self.changes if isinstance(change, Change) and not change.is_merge)

    @property
    def switches(self) -> tuple[Switch, ...]:
        """What tasks begin and cease to use of layers of alternatives."""
        return tuple(change for change in self.changes if isinstance(change, Switch))

    @property
    def helps(self) -> tuple[Help, ...]:
        """Who begins and ceases to help a group."""
        return tuple(change for change in self.changes if isinstance(change, Help))

    def inverse(self) -> Diff:
        """The changes that lead back: `diff(a, b).inverse() == diff(b, a)`."""
        found: list[AnyChange] = []
        for layer in self.layers:
            changes = [change for change in self.changes if change.layer == layer]
            helps = [change for change in changes if isinstance(change, Help)]
            found += [change.inverse() for change in changes if isinstance(change, Switch)]
            # help ends before its group goes, and begins once its group has come
            found += [help_.inverse() for help_ in helps if help_.on]
            found += _inverse([change for change in changes if isinstance(change, Change)])
            found += [help_.inverse() for help_ in helps if not help_.on]
        return Diff(tuple(found))


def _inverse(changes: Iterable[Change]) -> list[Change]:
    """The merges and splits of one layer that lead back."""
    # Changes of different tasks commute, so only those that touch the same tasks have to be turned round.
    linked: list[tuple[Component, list[Change]]] = []
    for change in changes:
        touched, together = frozenset[str]().union(*change.before), [change]
        apart: list[tuple[Component, list[Change]]] = []
        for tasks, earlier in linked:
            if tasks.isdisjoint(touched):
                apart.append((tasks, earlier))
            else:
                touched, together = touched | tasks, [*earlier, *together]
        linked = [*apart, (touched, together)]
    return [change.inverse() for _, together in linked for change in reversed(together)]


def diff(first: Sharing, second: Sharing) -> Diff:
    """The least list of changes that turns `first` into `second`: merges and splits, of a cover what tasks begin and
    cease to use, of groups whom they serve and who helps.

    Least: a merge of n components counts as n - 1 pairwise ones, a split into n likewise, and no list has a smaller
    sum. Where tasks that are linked by components of either sharing need one split and one merge, the split comes
    first (no copy is made for tasks that neither sharing puts together); where that would take more, they are merged
    first and then split, which is the shortest way between two partitions (partitions form a semimodular lattice).
    Raises ValueError where backbones or tasks differ.
    """
    second = first.comparable(second)
    changes: list[AnyChange] = []
    for layer in first.backbone.layers:
        before, after = first[layer], second[layer]
        if before != after:
            changes += _row_changes(layer, before, after, first)
    return Diff(tuple(changes))


def _row_changes(layer: str, before: Row, after: Row, sharing: Sharing) -> Iterator[AnyChange]:
    tasks = sharing.tasks
    if isinstance(before, Cover) and isinstance(after, Cover):
        for switched in switches(before, after, sharing.backbone.alternatives(layer), tasks):
            yield Switch(layer, *switched)
    elif isinstance(before, Partition) and isinstance(after, Partition):
        yield from _partition_changes(layer, before, after, tasks)
    elif not isinstance(before, Cover) and not isinstance(after, Cover):
        helps = [Help(layer, *each) for each in helping(groups_of(before), groups_of(after), tasks)]
        yield from (each for each in helps if not each.on)
        yield from _partition_changes(layer, groups_of(before).served, groups_of(after).served, tasks)
        yield from (each for each in helps if each.on)


def _partition_changes(layer: str, before: Partition, after: Partition, tasks: tuple[str, ...]) -> Iterator[Change]:
    common = sets.meet(before, after, tasks)
    for block in sets.join(before, after, tasks):
        old, new = sets.parted(block, before), sets.parted(block, after)
        if len(old) == 1 or len(new) == 1:
            if len(old) != len(new):
                yield Change(layer, old, new)
            continue
        broken = [component for component in old if len(sets.parted(component, common)) > 1]
        made = [component for component in new if len(sets.parted(component, common)) > 1]
        if len(broken) == len(made) == 1:
            yield Change(layer, Partition((broken[0],)), sets.parted(broken[0], common))
            yield Change(layer, sets.parted(made[0], common), Partition((made[0],)))
        else:
            yield Change(layer, old, Partition((block,)))
            yield Change(layer, Partition((block,)), new)


def apply(sharing: Sharing, change: Diff) -> Sharing:
    """The sharing after all of the changes: `apply(a, diff(a, b)) == b`.

    Works on any sharing that has what the changes start from. Raises SharingError where something is missing or the
    result would not be valid; the layers are changed all at once, so no order of them can be in the way.
    """
    changed: dict[str, Given] = {}
    for layer in change.layers:
        if layer not in sharing.backbone:
            remedy = suggestion(layer, sharing.backbone.layers, "layers")
            raise SharingError(layer, (), f"there is no such layer; {remedy}", code="MTL401")
        steps = [step for step in change if step.layer == layer]
        row = sharing[layer]
        changed[layer] = _switched(row, steps) if isinstance(row, Cover) else _regrouped(row, steps)
    return sharing.given({**sharing.components, **changed}) if changed else sharing


def _switched(row: Cover, steps: Iterable[AnyChange]) -> Given:
    users = {use.alternative: set(use.tasks) for use in row}
    for step in steps:
        if not isinstance(step, Switch):
            raise _missing(step, "it is made of alternatives")
        using = users.setdefault(step.alternative, set())
        wrong = step.tasks & using if step.on else step.tasks - using
        if wrong:
            said = "uses it already" if step.on else "does not use it"
            raise _missing(step, f"`{min(wrong)}` {said}: `{step.alternative}`")
        using.symmetric_difference_update(step.tasks)
    return users


def _regrouped(row: Partition | Groups, steps: Iterable[AnyChange]) -> Given:
    helped = {group.tasks: set(group.helped) for group in groups_of(row)}
    for step in steps:
        if isinstance(step, Change):
            for component in step.before:
                if helped.get(component) != set():
                    said = format_tasks(component, sorted(component))
                    raise _missing(step, f"`{said}` is none of its components, or one that others help")
            for component in step.before:
                del helped[component]
            helped.update((component, set()) for component in step.after)
        elif isinstance(step, Help):
            helping = helped.get(step.group)
            if helping is None or (step.task in helping) == step.on:
                raise _missing(step, f"the help of `{step.task}` is not there to change")
            helping ^= {step.task}
        else:
            raise _missing(step, "it is not made of alternatives")
    return [Group(tasks, frozenset(helping)) for tasks, helping in helped.items()]


def _missing(step: AnyChange, reason: str) -> SharingError:
    tasks = step.before[0] if isinstance(step, Change) else step.tasks if isinstance(step, Switch) else step.group
    return SharingError(step.layer, sorted(tasks), reason)
