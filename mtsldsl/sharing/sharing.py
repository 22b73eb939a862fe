"""A sharing: for every layer of a backbone, which tasks are served by the same copy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.records import Record
from mtsldsl.sharing import partition as sets
from mtsldsl.sharing import row as rows
from mtsldsl.sharing import steps
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.cover import Cover, Use
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Group, Groups, Helper
from mtsldsl.sharing.partition import Component, Partition, in_order
from mtsldsl.sharing.row import Row
from mtsldsl.sharing.text import format_row, format_sharing
from mtsldsl.sharing.validity import Components, check


@attrs.frozen(init=False, eq=False, repr=False)
class Sharing(Record):
    """A valid sharing: each layer's components partition the tasks and refine those of every layer that it reads.

    A layer of alternatives has a cover, and below it tasks may share the weights of a layer and not what it reads.
    Where some layer has groups, all have the same. `components` gives for every layer the tasks of each of its copies,
    or of each of its alternatives by name, or its groups. `sources` parts the tasks by the samples that they read, by
    default all read the same: tasks of other samples share weights alone, so a layer that they share may read what they
    do not. Raises SharingError for the first thing that is wrong with all this (`problems` finds all), ValueError where
    there is no task or one is named twice, or the sources do not part the tasks. Two sharings are equal where backbone,
    tasks with their order, sources and components are.
    """

    backbone: Backbone
    tasks: tuple[str, ...]
    sources: Partition
    """The tasks of each source of samples."""
    _rows: tuple[Row, ...]

    def __init__(
        self,
        backbone: Backbone,
        tasks: Iterable[str],
        components: Components,
        sources: Iterable[Iterable[str]] | None = None,
    ) -> None:
        names = _names(tasks)
        parted = _sources(names, sources)
        checked, found = check(backbone, names, components, parted)
        if found:
            raise found[0]
        self._set(backbone, names, parted, checked)

    def _set(self, backbone: Backbone, tasks: tuple[str, ...], sources: Partition, found: Iterable[Row]) -> None:
        self.__attrs_init__(backbone=backbone, tasks=tasks, sources=sources, rows=tuple(found))

    def _with(self, found: Iterable[Row]) -> Sharing:
        """The same backbone and tasks with rows that are known to be valid; they are not looked at again."""
        return _trusted(self.backbone, self.tasks, self.sources, found)

    @classmethod
    def each(cls, backbone: Backbone, tasks: Iterable[str], sources: Iterable[Iterable[str]] | None = None) -> Sharing:
        """Every task alone at every layer: single-task networks. Of a layer of alternatives each task uses all."""
        return cls._everywhere(backbone, names := _names(tasks), _sources(names, sources), sets.singletons(names))

    @classmethod
    def all(cls, backbone: Backbone, tasks: Iterable[str], sources: Iterable[Iterable[str]] | None = None) -> Sharing:
        """All tasks together at every layer: hard parameter sharing. Of a layer of alternatives each task uses all."""
        return cls._everywhere(backbone, names := _names(tasks), _sources(names, sources), sets.single(names))

    @classmethod
    def _everywhere(
        cls, backbone: Backbone, tasks: tuple[str, ...], sources: Partition, partition: Partition
    ) -> Sharing:
        alternatives = map(backbone.alternatives, backbone.layers)
        rows = (Cover.full(each, tasks) if each else partition for each in alternatives)
        return _trusted(backbone, tasks, sources, rows)

    def __getitem__(self, layer: str) -> Row:
        """The layer's row: its components, ordered by the first of their tasks, those of a cover as the layer's
        alternatives are; KeyError where there is no such layer."""
        return self._rows[self.backbone.position(layer)]

    @property
    def components(self) -> Mapping[str, Row]:
        """Every layer's row, in the order of the layers. Made anew at each call: use `s[layer]` for one."""
        return MappingProxyType(dict(zip(self.backbone.layers, self._rows, strict=True)))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        """The tasks that help in groups that do not serve them; groups are the same at every layer."""
        first = self._rows[0] if self._rows else None
        return first.helpers if isinstance(first, Groups) else ()

    def served(self) -> Sharing:
        """The same without what helps: the network that is used when it is trained."""
        if not self.helpers:
            return self
        return self._with(row.served if isinstance(row, Groups) else row for row in self._rows)

    def partition(self, layer: str) -> Partition:
        """The row of a layer that has copies for disjoint sets of tasks: its partition, or whom its groups serve.

        KeyError where there is no such layer, SharingError for a layer of alternatives.
        """
        row = self[layer]
        if isinstance(row, Cover):
            raise SharingError(
                layer,
                (),
                "it is made of alternatives, which are not merged or split: say with `switch` which tasks use which",
            )
        return row.served if isinstance(row, Groups) else row

    def component(self, layer: str, task: str) -> Component:
        """The tasks that share `layer` with `task`, itself included; KeyError for an unknown layer or task.

        Raises SharingError for a layer of alternatives, of which `of` gives those that the task uses.
        """
        return self.partition(layer).of(task)[0]

    def of(self, layer: str, task: str) -> tuple[Component, ...] | tuple[Use, ...] | tuple[Group, ...]:
        """The components of `layer` that compute for `task`: one, or of a cover as many as it uses."""
        if task not in self.tasks:
            raise KeyError(task)
        return self[layer].of(task)

    def uses(self, layer: str, task: str) -> tuple[str, ...]:
        """The alternatives of `layer` that a task uses; none of a layer that is not made of alternatives."""
        row = self[layer]
        return tuple(use.alternative for use in row.of(task)) if isinstance(row, Cover) else ()

    def values(self, layer: str) -> Partition:
        """The sets of tasks for which `layer` gives the same tensor: those that have the same components of it and read
        the same. Above covers, where all tasks read the same samples, these are the layer's components. KeyError where
        there is no such layer."""
        return self.all_values()[self.backbone.layers[self.backbone.position(layer)]]

    def all_values(self, apart: Collection[str] = ()) -> Mapping[str, Partition]:
        """The same of every layer; at those that are `apart`, layers of alternatives, every task is alone."""
        made: dict[str, Partition] = {}
        sides: dict[str, dict[str, int]] = {}
        samples = sets.owners(self.sources)
        for layer, row in zip(self.backbone.layers, self._rows, strict=True):
            if self.computes_alike(layer):
                made[layer] = self.partition(layer)
            else:
                for source in self.backbone.inputs(layer):
                    sides.setdefault(source, sets.owners(made[source]))
                read = [samples, *(sides[source] for source in self.backbone.inputs(layer))]
                mixed = self.backbone.mixes(layer)
                made[layer] = sets.singletons(self.tasks) if layer in apart else self._same(row, read, apart=mixed)
        return made

    def computes_alike(self, layer: str) -> bool:
        """Whether the tasks that share a copy of `layer` share what it computes too: they read the same samples, and
        there are no alternatives above."""
        of_alternatives = isinstance(self[layer], Cover) or self.backbone.below_alternatives(layer)
        return not of_alternatives and len(self.sources) == 1

    def _same(self, row: Row, read: Sequence[Mapping[str, int]], *, apart: bool) -> Partition:
        """The tasks that have the same components of a row, and are on the same side in all that is `read`; `apart`, a
        task that has several is alone."""
        used: Mapping[str, object] = sets.owners(row) if isinstance(row, Partition) else {}
        blocks: dict[object, list[str]] = {}
        for task in self.tasks:
            components: object = used[task] if used else row.of(task)
            if apart and len(row.of(task)) > 1:
                components = task
            blocks.setdefault((components, *(side[task] for side in read)), []).append(task)
        return Partition(map(frozenset, blocks.values()))

    def __str__(self) -> str:
        return format_sharing(self)

    def __repr__(self) -> str:
        lines = (
            f"{layer} = {format_row(row, self.tasks)}"
            for layer, row in zip(self.backbone.layers, self._rows, strict=True)
        )
        return f"Sharing({'; '.join(lines)})"

    def merge(self, layer: str, tasks: Iterable[str]) -> Sharing:
        """Replace the components of `layer` whose union is `tasks` by one.

        Raises SharingError where `tasks` is no union of its components, or does not lie inside one component of every
        layer that it reads. Merging what is merged gives the same sharing.
        """
        return self._replaced(layer, steps.merged(self, layer, self._group(layer, tasks)))

    def split(self, layer: str, tasks: Iterable[str]) -> Sharing:
        """Take `tasks` out of their component of `layer`, into a copy of their own.

        Raises SharingError where they are not inside one component, or a layer that reads this one still shares
        between the two sides. Splitting off a whole component gives the same sharing.
        """
        return self._replaced(layer, steps.split(self, layer, self._group(layer, tasks)))

    def frontier(self) -> tuple[tuple[str, Component], ...]:
        """Every layer and set of tasks that share all that the layer reads but not the layer.

        In the order of the layers, then of the tasks. A layer that reads only the input is one whose input all share.
        Raises SharingError where a layer has a cover or groups: what of these may change is no set of tasks.
        """
        return steps.frontier(self)

    def switch(self, layer: str, tasks: Iterable[str], alternative: str, *, on: bool) -> Sharing:
        """Let `tasks` use an alternative of `layer`, or use it no more.

        Raises SharingError where the layer is not made of alternatives, or not of this one.
        """
        users = self._group(layer, tasks)
        row, alternatives = self[layer], self.backbone.alternatives(layer)
        if not isinstance(row, Cover):
            reason = "it is not made of alternatives: its copies are merged and split"
            raise SharingError(layer, in_order(users, self.tasks), reason)
        if alternative not in alternatives:
            remedy = suggestion(alternative, alternatives, "alternatives")
            raise SharingError(layer, (), f"there is no alternative `{alternative}`; {remedy}", code="MTL409")
        pairs = {(task, alternative) for task in users}
        return self._replaced(layer, Cover.of_pairs(row.pairs | pairs if on else row.pairs - pairs, alternatives))

    def join(self, other: Sharing) -> Sharing:
        """The least sharing that both refine, layer by layer; where tasks read samples of several sources, tasks of one
        that the other's bring together share what they read too. ValueError for other backbones or tasks, and for
        groups that differ."""
        found = [rows.join(one, two, self.tasks, named) for one, two, named in self._beside(other)]
        return self._with(found if len(self.sources) == 1 else self._closed(found))

    def _closed(self, found: list[Row]) -> list[Row]:
        """The rows, coarsened until tasks of one source that share a layer share what it reads."""
        place = self.backbone.position
        for layer in reversed(self.backbone.layers):
            row = found[place(layer)]
            if not isinstance(row, Partition) or self.backbone.below_alternatives(layer):
                continue
            pairs = (sets.parted(each, self.sources) for each in row)
            alike = Partition(part for parts in pairs for part in parts)
            for source in self.backbone.inputs(layer):
                above = found[place(source)]
                if isinstance(above, Partition):
                    found[place(source)] = sets.join(above, alike, self.tasks)
        return found

    def meet(self, other: Sharing) -> Sharing:
        """The greatest sharing that refines both, layer by layer. ValueError for other backbones or tasks, and for
        groups that differ."""
        return self._with(rows.meet(one, two, self.tasks, named) for one, two, named in self._beside(other))

    def _beside(self, other: Sharing) -> Iterator[tuple[Row, Row, tuple[str, ...]]]:
        """Both rows of every layer, and its alternatives."""
        alternatives = map(self.backbone.alternatives, self.backbone.layers)
        return zip(self._rows, self.comparable(other)._rows, alternatives, strict=True)

    def __le__(self, other: Sharing) -> bool:
        """Whether this sharing refines the other at every layer: its components lie in the other's, and what tasks use
        of a cover they use there too. ValueError for other backbones or tasks."""
        if not isinstance(other, Sharing):
            return NotImplemented
        return all(map(rows.refines, self._rows, self.comparable(other)._rows))

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
        if self.sources != other.sources:
            raise ValueError("the tasks of the two sharings read different samples")
        return other

    def reordered(self, tasks: Iterable[str]) -> Sharing:
        """The same components with the same tasks in another order; ValueError where the tasks differ."""
        names = _names(tasks)
        if set(names) != set(self.tasks):
            raise ValueError(f"{', '.join(names)} are not the tasks {', '.join(self.tasks)}")
        rank = {task: place for place, task in enumerate(names)}
        sources = sets.canonical(self.sources, rank)
        return _trusted(self.backbone, names, sources, (rows.reordered(row, rank) for row in self._rows))

    def renamed(self, names: Mapping[str, str]) -> Sharing:
        """Every task under the name that `names` gives it (its own where there is none), in the same order.

        Raises ValueError where two tasks would bear one name.
        """
        tasks = _names(names.get(task, task) for task in self.tasks)
        return _trusted(self.backbone, tasks, self.sources.renamed(names), (row.renamed(names) for row in self._rows))

    def apart(self) -> Sharing:
        """Every task alone, as `each` has it, with the same samples."""
        return Sharing.each(self.backbone, self.tasks, self.sources)

    def united(self) -> Sharing:
        """All tasks together, as `all` has it, with the same samples."""
        return Sharing.all(self.backbone, self.tasks, self.sources)

    def given(self, components: Components) -> Sharing:
        """Another sharing of the same layers, tasks and samples; raises as `Sharing` does."""
        return Sharing(self.backbone, self.tasks, components, self.sources)

    def _replaced(self, layer: str, row: Row) -> Sharing:
        place = self.backbone.position(layer)
        if row is self._rows[place]:
            return self
        return self._with((*self._rows[:place], row, *self._rows[place + 1 :]))

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


def _trusted(backbone: Backbone, tasks: tuple[str, ...], sources: Partition, found: Iterable[Row]) -> Sharing:
    sharing = Sharing.__new__(Sharing)
    sharing._set(backbone, tasks, sources, found)
    return sharing


def _sources(tasks: tuple[str, ...], given: Iterable[Iterable[str]] | None) -> Partition:
    """The sources of the tasks in canonical order; one where none is given."""
    if given is None:
        return sets.single(tasks)
    listed = [tuple(names) for names in given]
    if sorted(task for names in listed for task in names) != sorted(tasks) or not all(listed):
        raise ValueError("the sources do not part the tasks")
    return sets.canonical(map(frozenset, listed), {task: place for place, task in enumerate(tasks)})


def _names(tasks: Iterable[str]) -> tuple[str, ...]:
    names = tuple(tasks)
    if not names:
        raise ValueError("a sharing needs at least one task")
    if len(set(names)) < len(names):
        raise ValueError(f"a task is named twice: {', '.join(names)}")
    return names


def problems(
    backbone: Backbone, tasks: Iterable[str], components: Components, sources: Iterable[Iterable[str]] | None = None
) -> tuple[SharingError, ...]:
    """All that is wrong with `components` as a sharing, empty where they are valid."""
    names = _names(tasks)
    return check(backbone, names, components, _sources(names, sources))[1]


def unmerged(sharing: Sharing) -> tuple[tuple[str, Component], ...]:
    """For every frontier set its tasks that are alone at that layer, where there are two or more.

    These are the sets that a structural phase decides about: a task that has merged with others there stays as it is.
    """
    found: list[tuple[str, Component]] = []
    for layer, tasks in sharing.frontier():
        partition = sharing.partition(layer)
        alone = frozenset(
            task for component in partition if len(component) == 1 and component <= tasks for task in component
        )
        if len(alone) > 1:
            found.append((layer, alone))
    return tuple(found)
