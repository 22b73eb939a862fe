"""A sharing: for every layer of a backbone, which tasks are served by the same copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import Component, Partition, in_order
from mtsldsl.sharing.text import format_partition, format_sharing, format_tasks
from mtsldsl.sharing.validity import Components, check, kept_apart


@attrs.frozen(init=False, repr=False)
class Sharing:
    """A valid sharing: each layer's components partition the tasks and refine those of every layer that it reads.

    `components` gives for every layer the tasks of each of its copies. Raises SharingError for the first thing that is
    wrong with them (`problems` finds all), ValueError where there is no task or one is named twice. Two sharings are
    equal where backbone, tasks with their order, and components are.
    """

    backbone: Backbone
    tasks: tuple[str, ...]
    _partitions: tuple[Partition, ...]

    def __init__(self, backbone: Backbone, tasks: Iterable[str], components: Components) -> None:
        names = _names(tasks)
        partitions, found = check(backbone, names, components)
        if found:
            raise found[0]
        self._set(backbone, names, partitions)

    def _set(self, backbone: Backbone, tasks: tuple[str, ...], partitions: Iterable[Partition]) -> None:
        self.__attrs_init__(backbone=backbone, tasks=tasks, partitions=tuple(partitions))

    def _with(self, partitions: Iterable[Partition]) -> Sharing:
        """The same backbone and tasks with partitions that are known to be valid; they are not looked at again."""
        return _trusted(self.backbone, self.tasks, partitions)

    @classmethod
    def each(cls, backbone: Backbone, tasks: Iterable[str]) -> Sharing:
        """Every task alone at every layer: single-task networks."""
        names = _names(tasks)
        return _trusted(backbone, names, [sets.singletons(names)] * len(backbone))

    @classmethod
    def all(cls, backbone: Backbone, tasks: Iterable[str]) -> Sharing:
        """All tasks together at every layer: hard parameter sharing."""
        names = _names(tasks)
        return _trusted(backbone, names, [sets.single(names)] * len(backbone))

    def __getitem__(self, layer: str) -> Partition:
        """The layer's components, ordered by the first of their tasks; KeyError where there is no such layer."""
        return self._partitions[self.backbone.position(layer)]

    @property
    def components(self) -> Mapping[str, Partition]:
        """Every layer's components, in the order of the layers. Made anew at each call: use `s[layer]` for one."""
        return MappingProxyType(dict(zip(self.backbone.layers, self._partitions, strict=True)))

    def component(self, layer: str, task: str) -> Component:
        """The tasks that share `layer` with `task`, itself included; KeyError for an unknown layer or task."""
        for component in self[layer]:
            if task in component:
                return component
        raise KeyError(task)

    def __str__(self) -> str:
        return format_sharing(self)

    def __repr__(self) -> str:
        lines = (
            f"{layer} = {format_partition(parts, self.tasks)}"
            for layer, parts in zip(self.backbone.layers, self._partitions, strict=True)
        )
        return f"Sharing({'; '.join(lines)})"

    def merge(self, layer: str, tasks: Iterable[str]) -> Sharing:
        """Replace the components of `layer` whose union is `tasks` by one.

        Raises SharingError where `tasks` is no union of its components, or does not lie inside one component of every
        layer that it reads. Merging what is merged gives the same sharing.
        """
        group = self._group(layer, tasks)
        current = self[layer]
        for component in current:
            if not component.isdisjoint(group) and not component <= group:
                raise self._refusal(
                    layer,
                    group,
                    f"`{self._said(group)}` is no union of its components: `{self._said(component)}` is one copy, and "
                    f"`{self._said(component - group)}` would be left without it",
                    keeper=layer,
                    apart=(component & group, component - group),
                )
        for source in self.backbone.inputs(layer):
            sides = sets.parted(group, self[source])
            if len(sides) > 1:
                raise kept_apart(layer, group, source, sides, self.tasks, code="MTL407")
        if group in current:
            return self
        first = next(index for index, component in enumerate(current) if component <= group)
        rest = [component for component in current if not component <= group]
        return self._replaced(layer, (*rest[:first], group, *rest[first:]))

    def split(self, layer: str, tasks: Iterable[str]) -> Sharing:
        """Take `tasks` out of their component of `layer`, into a copy of their own.

        Raises SharingError where they are not inside one component, or a layer that reads this one still shares
        between the two sides. Splitting off a whole component gives the same sharing.
        """
        group = self._group(layer, tasks)
        current = self[layer]
        sides = sets.parted(group, current)
        if len(sides) > 1:
            raise self._refusal(
                layer,
                group,
                f"`{self._said(group)}` lies in several of its components: `{format_partition(sides, self.tasks)}`",
                keeper=layer,
                apart=sides,
            )
        whole = next(component for component in current if group <= component)
        if whole == group:
            return self
        others = whole - group
        for reader in self.backbone.readers(layer):
            for component in self[reader]:
                if not component.isdisjoint(group) and not component.isdisjoint(others):
                    raise self._refusal(
                        layer,
                        group,
                        f"`{self._said(group)}` cannot be split off, because `{reader}` reads it and is one copy for "
                        f"`{self._said(component)}`",
                        keeper=reader,
                        apart=(component & group, component & others),
                    )
        kept = [component for component in current if component != whole]
        return self._replaced(layer, sets.canonical([*kept, group, others], self._rank()))

    def frontier(self) -> tuple[tuple[str, Component], ...]:
        """Every layer and set of tasks that share all that the layer reads but not the layer.

        In the order of the layers, then of the tasks. A layer that reads only the input is one whose input all share.
        """
        found: list[tuple[str, Component]] = []
        for layer, current in zip(self.backbone.layers, self._partitions, strict=True):
            if len(current) == 1:
                continue
            shared = sets.single(self.tasks)
            for source in self.backbone.inputs(layer):
                shared = sets.meet(shared, self[source], self.tasks)
            present = frozenset(current)
            found += [(layer, block) for block in shared if block not in present]
        return tuple(found)

    def join(self, other: Sharing) -> Sharing:
        """The least sharing that both refine, layer by layer. ValueError for other backbones or tasks."""
        return self._with(
            sets.join(mine, theirs, self.tasks)
            for mine, theirs in zip(self._partitions, self.comparable(other)._partitions, strict=True)
        )

    def meet(self, other: Sharing) -> Sharing:
        """The greatest sharing that refines both, layer by layer. ValueError for other backbones or tasks."""
        return self._with(
            sets.meet(mine, theirs, self.tasks)
            for mine, theirs in zip(self._partitions, self.comparable(other)._partitions, strict=True)
        )

    def __le__(self, other: Sharing) -> bool:
        """Whether this sharing refines the other at every layer. ValueError for other backbones or tasks."""
        if not isinstance(other, Sharing):
            return NotImplemented
        return all(map(sets.refines, self._partitions, self.comparable(other)._partitions))

    def __ge__(self, other: Sharing) -> bool:
        return other <= self if isinstance(other, Sharing) else NotImplemented

    def __lt__(self, other: Sharing) -> bool:
        return self <= other and self != other if isinstance(other, Sharing) else NotImplemented

    def __gt__(self, other: Sharing) -> bool:
        return other < self if isinstance(other, Sharing) else NotImplemented

    def comparable(self, other: Sharing) -> Sharing:
        """`other`, where it is over the same backbone and the same tasks in the same order; ValueError where not."""
        if self.backbone != other.backbone:
            raise ValueError("the two sharings are over different backbones")
        if self.tasks != other.tasks:
            hint = "; reorder one of them" if set(self.tasks) == set(other.tasks) else ""
            raise ValueError(
                f"the two sharings are over different tasks: {', '.join(self.tasks)} and {', '.join(other.tasks)}{hint}"
            )
        return other

    def reordered(self, tasks: Iterable[str]) -> Sharing:
        """The same components with the same tasks in another order; ValueError where the tasks differ."""
        names = _names(tasks)
        if set(names) != set(self.tasks):
            raise ValueError(f"{', '.join(names)} are not the tasks {', '.join(self.tasks)}")
        rank = {task: place for place, task in enumerate(names)}
        return _trusted(self.backbone, names, (sets.canonical(parts, rank) for parts in self._partitions))

    def renamed(self, names: Mapping[str, str]) -> Sharing:
        """Every task under the name that `names` gives it (its own where there is none), in the same order.

        Raises ValueError where two tasks would bear one name.
        """
        tasks = _names(names.get(task, task) for task in self.tasks)
        return _trusted(
            self.backbone,
            tasks,
            (
                tuple(frozenset(names.get(task, task) for task in component) for component in parts)
                for parts in self._partitions
            ),
        )

    def _replaced(self, layer: str, partition: Partition) -> Sharing:
        place = self.backbone.position(layer)
        return self._with((*self._partitions[:place], partition, *self._partitions[place + 1 :]))

    def _rank(self) -> dict[str, int]:
        return {task: place for place, task in enumerate(self.tasks)}

    def _group(self, layer: str, tasks: Iterable[str]) -> Component:
        names = tuple(tasks)
        if layer not in self.backbone:
            remedy = suggestion(layer, self.backbone.layers, "layers")
            raise SharingError(layer, names, f"there is no such layer; {remedy}", code="MTL401")
        if not names:
            raise SharingError(layer, (), "no task is named", code="MTL403")
        for task in names:
            if task not in self.tasks:
                remedy = suggestion(task, self.tasks, "tasks")
                raise SharingError(layer, (task,), f"there is no task `{task}`; {remedy}", code="MTL402")
        return frozenset(names)

    def _said(self, component: Component) -> str:
        return format_tasks(component, self.tasks)

    def _refusal(
        self, layer: str, group: Component, reason: str, *, keeper: str, apart: Iterable[Component]
    ) -> SharingError:
        return SharingError(
            layer,
            in_order(group, self.tasks),
            reason,
            keeper=keeper,
            apart=[in_order(side, self.tasks) for side in apart],
        )


def _trusted(backbone: Backbone, tasks: tuple[str, ...], partitions: Iterable[Partition]) -> Sharing:
    sharing = Sharing.__new__(Sharing)
    sharing._set(backbone, tasks, partitions)
    return sharing


def _names(tasks: Iterable[str]) -> tuple[str, ...]:
    names = tuple(tasks)
    if not names:
        raise ValueError("a sharing needs at least one task")
    if len(set(names)) < len(names):
        raise ValueError(f"a task is named twice: {', '.join(names)}")
    return names


def problems(backbone: Backbone, tasks: Iterable[str], components: Components) -> tuple[SharingError, ...]:
    """All that is wrong with `components` as a sharing, empty where they are valid."""
    return check(backbone, _names(tasks), components)[1]


def unmerged(sharing: Sharing) -> tuple[tuple[str, Component], ...]:
    """For every frontier set its tasks that are alone at that layer, where there are two or more.

    These are the sets that a structural phase decides about: a task that has merged with others there stays as it is.
    """
    found: list[tuple[str, Component]] = []
    for layer, tasks in sharing.frontier():
        alone = frozenset(
            task for component in sharing[layer] if len(component) == 1 and component <= tasks for task in component
        )
        if len(alone) > 1:
            found.append((layer, alone))
    return tuple(found)
