"""What makes a sharing valid: partitions of the tasks at every layer, each refining those of the layers it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from mtsldsl.diagnostics import suggestion
from mtsldsl.records import Record
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.partition import Partition, canonical, in_order, owners, parted, refines
from mtsldsl.sharing.text import format_partition, format_tasks

Components = Mapping[str, Iterable[Iterable[str]]]
"""What a sharing is made from: for every layer its components, each the names of its tasks."""


def check(
    backbone: Backbone, tasks: Sequence[str], components: Components
) -> tuple[tuple[Partition, ...], tuple[SharingError, ...]]:
    """The layers' partitions in canonical order, and all that is wrong with them.

    Where there are problems the partitions are not to be used. Takes time linear in the backbone's edges.
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
    known: dict[Partition, Partition] = {}  # equal partitions become one object, so that `refines` is mostly `is`
    sound: dict[str, Partition] = {}
    for layer in backbone.layers:
        listed = [tuple(component) for component in components.get(layer, ())]
        problems = _partition_problems(layer, listed, rank)
        if problems:
            found += problems
        else:
            partition = canonical(map(frozenset, listed), rank)
            sound[layer] = known.setdefault(partition, partition)
    found += refinement_problems(backbone, tasks, sound)
    return tuple(sound.values()), tuple(found)


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
    found = [
        SharingError(layer, (task,), f"there is no task `{task}`; {suggestion(task, rank, 'tasks')}", code="MTL402")
        for task in wrong.unknown
    ]
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
    backbone: Backbone, tasks: Sequence[str], partitions: Mapping[str, Partition]
) -> list[SharingError]:
    """Where tasks share a layer but not all that it reads; layers that are absent from `partitions` are passed over."""
    found: list[SharingError] = []
    for layer, fine in partitions.items():
        for source in backbone.inputs(layer):
            coarse = partitions.get(source)
            if coarse is None or refines(fine, coarse):
                continue
            owner = owners(coarse)
            found += [
                kept_apart(layer, component, source, parted(component, coarse), tasks, code="MTL405")
                for component in fine
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
