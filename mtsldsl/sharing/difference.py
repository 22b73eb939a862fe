"""What turns one sharing into another, layer by layer, as merges and splits of components."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import Component, Partition
from mtsldsl.sharing.sharing import Sharing
from mtsldsl.sharing.text import format_partition


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
class Diff(Record):
    """The changes that turn one sharing into another, by layer; within a layer in the order in which they apply."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> Iterator[Change]:
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
        return tuple(change for change in self.changes if change.is_merge)

    @property
    def splits(self) -> tuple[Change, ...]:
        """The splits alone."""
        return tuple(change for change in self.changes if not change.is_merge)

    def inverse(self) -> Diff:
        """The changes that lead back: `diff(a, b).inverse() == diff(b, a)`."""
        # Changes of different tasks commute, so only those that touch the same tasks have to be turned round.
        linked: list[tuple[str, Component, list[Change]]] = []
        for change in self.changes:
            touched, changes = frozenset[str]().union(*change.before), [change]
            apart: list[tuple[str, Component, list[Change]]] = []
            for layer, tasks, earlier in linked:
                if layer == change.layer and not tasks.isdisjoint(touched):
                    touched, changes = touched | tasks, [*earlier, *changes]
                else:
                    apart.append((layer, tasks, earlier))
            linked = [*apart, (change.layer, touched, changes)]
        return Diff(tuple(change.inverse() for _, _, changes in linked for change in reversed(changes)))


def diff(first: Sharing, second: Sharing) -> Diff:
    """The least list of merges and splits that turns `first` into `second`.

    Least: a merge of n components counts as n - 1 pairwise ones, a split into n likewise, and no list has a smaller
    sum. Where tasks that are linked by components of either sharing need one split and one merge, the split comes
    first (no copy is made for tasks that neither sharing puts together); where that would take more, they are merged
    first and then split, which is the shortest way between two partitions (partitions form a semimodular lattice).
    Raises ValueError where backbones or tasks differ.
    """
    second = first.comparable(second)
    changes: list[Change] = []
    for layer in first.backbone.layers:
        before, after = first[layer], second[layer]
        if before != after:
            changes += _layer_changes(layer, before, after, first.tasks)
    return Diff(tuple(changes))


def _layer_changes(layer: str, before: Partition, after: Partition, tasks: tuple[str, ...]) -> Iterator[Change]:
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
            yield Change(layer, (broken[0],), sets.parted(broken[0], common))
            yield Change(layer, sets.parted(made[0], common), (made[0],))
        else:
            yield Change(layer, old, (block,))
            yield Change(layer, (block,), new)


def apply(sharing: Sharing, change: Diff) -> Sharing:
    """The sharing after all of the changes: `apply(a, diff(a, b)) == b`.

    Works on any sharing that has the components which the changes start from. Raises SharingError where one is missing
    or the result would not be valid; the layers are changed all at once, so no order of them can be in the way.
    """
    current: dict[str, set[Component]] = {}
    for step in change:
        if step.layer not in current:
            if step.layer not in sharing.backbone:
                raise SharingError(step.layer, (), "there is no such layer", code="MTL401")
            current[step.layer] = set(sharing[step.layer])
        components = current[step.layer]
        for component in step.before:
            if component not in components:
                raise SharingError(
                    step.layer,
                    sorted(component),
                    f"`{format_partition((component,), sorted(component))}` is none of its components",
                    code="MTL407",
                )
        components.difference_update(step.before)
        components.update(step.after)
    if not current:
        return sharing
    return Sharing(sharing.backbone, sharing.tasks, {**sharing.components, **current})
