"""What makes a sharing valid: partitions of the tasks at every layer, each refining those of the layers it reads;
covers at the layers of alternatives, and below them any partitions; or the same groups at every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.records import Record
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.cover import Cover
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Group, Groups
from mtsldsl.sharing.partition import Partition, canonical, in_order, owners, parted, refines
from mtsldsl.sharing.row import Row
from mtsldsl.sharing.text import format_partition, format_tasks

Given: TypeAlias = Iterable[Iterable[str] | Group] | Mapping[str, Iterable[str]] | Cover | Groups
"""A row as it may be given: components, each the names of its tasks; the names of those that use each alternative; or
groups."""

Components: TypeAlias = Mapping[str, Given]
"""What a sharing is made from: for every layer its row."""


def check(
    backbone: Backbone, tasks: Sequence[str], components: Components, sources: Partition
) -> tuple[tuple[Row, ...], tuple[SharingError, ...]]:
    """The layers' rows in canonical order, and all that is wrong with them; `sources` has the tasks of each source.

    Where there are problems the rows are not to be used. Takes time linear in the backbone's edges.
    """
    rank = {task: place for place, task in enumerate(tasks)}
    found = [
        SharingError(
            layer,
            (),
            f"there is no such layer; {suggestion(layer, backbone.layers, 'layers')}",
            code="MTL401",
        )
        for layer in components
        if layer not in backbone
    ]
    known: dict[Row, Row] = {}  # equal rows become one object, so that `refines` is mostly `is`
    sound: dict[str, Row] = {}
    for layer in backbone.layers:
        row = _row(layer, components.get(layer, ()), backbone.alternatives(layer), rank)
        if isinstance(row, list):
            found += row
        else:
            sound[layer] = known.setdefault(row, row)
    found += refinement_problems(backbone, tasks, sound, sources)
    found += group_problems(sound, sources)
    return tuple(sound.values()), tuple(found)


def _row(layer: str, given: Given, alternatives: Sequence[str], rank: Mapping[str, int]) -> Row | list[SharingError]:
    """The row of a layer, or what is wrong with it."""
    if alternatives:
        return _cover(layer, given, alternatives, rank)
    if isinstance(given, Cover | Mapping):
        return [SharingError(layer, (), "it is not made of alternatives, and its line names some", code="MTL408")]
    grouped: list[Group] = []
    components: list[tuple[str, ...]] = []
    for each in given:
        if isinstance(each, Group):
            grouped.append(each)
        components.append(tuple(each.tasks if isinstance(each, Group) else each))
    problems = _partition_problems(layer, components, rank)
    for group in grouped:
        problems += _unknown(layer, sorted(group.helped), rank)
        problems += [
            SharingError(layer, (task,), f"`{task}` is in one group in parentheses and without", code="MTL404")
            for task in sorted(group.helped & group.tasks)
        ]
    if problems:
        return problems
    if any(group.helped for group in grouped):
        return Groups(tuple(grouped)).reordered(rank)
    return canonical(map(frozenset, components), rank)


def _cover(
    layer: str, given: Given, alternatives: Sequence[str], rank: Mapping[str, int]
) -> Cover | list[SharingError]:
    if isinstance(given, Cover):
        uses = [(use.alternative, tuple(use.tasks)) for use in given]
    elif isinstance(given, Mapping):
        uses = [(alternative, tuple(tasks)) for alternative, tasks in given.items()]
    else:
        cause = f"it is made of the alternatives {', '.join(alternatives)}, and its line does not say who uses which"
        return [SharingError(layer, (), cause, code="MTL408")]
    found = [
        SharingError(
            layer,
            (),
            f"there is no alternative `{alternative}`; {suggestion(alternative, alternatives, 'alternatives')}",
            code="MTL409",
        )
        for alternative, _ in uses
        if alternative not in alternatives
    ]
    for alternative, tasks in uses:
        found += _unknown(layer, tasks, rank)
        twice = [task for task, times in Counter(tasks).items() if times > 1]
        found += [
            SharingError(layer, (task,), f"`{task}` is listed more than once for `{alternative}`", code="MTL404")
            for task in twice
        ]
    return found or Cover.of_pairs(((task, name) for name, tasks in uses for task in tasks), alternatives)


def _unknown(layer: str, names: Iterable[str], rank: Mapping[str, int]) -> list[SharingError]:
    return [
        SharingError(layer, (name,), f"there is no task `{name}`; {suggestion(name, rank, 'tasks')}", code="MTL402")
        for name in dict.fromkeys(names)
        if name not in rank
    ]


def group_problems(rows: Mapping[str, Row], sources: Partition) -> list[SharingError]:
    """Where some layers are in groups and others are not, or in others: each group is a network of its own. And that
    tasks which read other samples cannot help each other: a batch is of one source."""
    grouped = next((layer for layer, row in rows.items() if isinstance(row, Groups)), None)
    if grouped is None:
        return []
    if len(sources) > 1:
        cause = "its groups have tasks that help, and the tasks do not read the same samples"
        return [SharingError(grouped, (), cause, code="MTL408")]
    return [
        SharingError(
            layer,
            (),
            f"it has not the groups of `{grouped}`, and each group is a network of its own",
            code="MTL405",
            keeper=grouped,
        )
        for layer, row in rows.items()
        if row != rows[grouped]
    ]


@attrs.frozen(eq=False, repr=False)
class Faults(Record):
    """What keeps a list of names from having every task once: names that are no tasks, tasks that are there more than
    once, and tasks that are not there. Each name once, in the order of the list, or of the tasks."""

    unknown: tuple[str, ...]
    repeated: tuple[str, ...]
    missing: tuple[str, ...]


def faults(names: Sequence[str], tasks: Collection[str]) -> Faults:
    """The faults of what the components of a layer list, one after the other."""
    count = Counter(names)
    if len(count) == len(names) and count.keys() == set(tasks):
        return Faults((), (), ())
    return Faults(
        tuple(name for name in count if name not in tasks),
        tuple(name for name, times in count.items() if times > 1),
        tuple(task for task in tasks if task not in count),
    )


def _partition_problems(layer: str, listed: list[tuple[str, ...]], rank: Mapping[str, int]) -> list[SharingError]:
    """Why the listed components are no partition of the tasks."""
    wrong = faults([task for component in listed for task in component], rank)
    found = _unknown(layer, wrong.unknown, rank)
    found += [
        SharingError(layer, (task,), f"`{task}` is listed more than once", code="MTL404") for task in wrong.repeated
    ]
    if wrong.missing:
        verb = "is" if len(wrong.missing) == 1 else "are"
        cause = f"{_quoted(wrong.missing)} {verb} in none of its components"
        found.append(SharingError(layer, wrong.missing, cause, code="MTL403"))
    if not all(listed):
        found.append(SharingError(layer, (), "one of its components is empty", code="MTL403"))
    return found


def refinement_problems(
    backbone: Backbone, tasks: Sequence[str], rows: Mapping[str, Row], sources: Partition
) -> list[SharingError]:
    """Where tasks share a layer but not all that it reads; layers that are absent from `rows` are passed over.

    Below a layer of alternatives, and where tasks read other samples, what they read differs in any case: they share
    the weights of a layer alone.
    """
    found: list[SharingError] = []
    for layer, fine in rows.items():
        if not isinstance(fine, Partition) or backbone.below_alternatives(layer):
            continue
        for source in backbone.inputs(layer):
            coarse = rows.get(source)
            if not isinstance(coarse, Partition) or refines(fine, coarse):
                continue
            owner = owners(coarse)
            found += [
                kept_apart(layer, component, source, parted(component, coarse), tasks, code="MTL405")
                for whole in fine
                for component in (parted(whole, sources) if len(sources) > 1 else (whole,))
                if len({owner[task] for task in component}) > 1
            ]
    return found


def kept_apart(
    layer: str, component: frozenset[str], source: str, sides: Partition, tasks: Sequence[str], *, code: str
) -> SharingError:
    """That tasks cannot share a layer, which reads one that keeps them apart in `sides`."""
    together = format_tasks(component, tasks)
    return SharingError(
        layer,
        in_order(component, tasks),
        f"`{together}` cannot share it, because it reads `{source}`, which keeps them apart: "
        f"`{format_partition(sides, tasks)}`",
        code=code,
        keeper=source,
        apart=[in_order(side, tasks) for side in sides],
    )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
