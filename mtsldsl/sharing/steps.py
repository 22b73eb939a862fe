"""The steps from one sharing to the next: components of a layer merge, or one is split; and where tasks may merge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtsldsl.sharing import partition as sets
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Groups
from mtsldsl.sharing.partition import Component, Partition, in_order
from mtsldsl.sharing.text import format_partition, format_tasks
from mtsldsl.sharing.validity import kept_apart

if TYPE_CHECKING:
    from mtsldsl.sharing.sharing import Sharing


def merged(sharing: Sharing, layer: str, group: Component) -> Partition:
    """The layer's partition with the components whose union is `group` as one; that very partition where they are one.

    Raises SharingError as `Sharing.merge` says.
    """
    current, tasks = _changeable(sharing, layer), sharing.tasks
    for component in current:
        if not component.isdisjoint(group) and not component <= group:
            reason = (
                f"`{format_tasks(group, tasks)}` is no union of its components: `{format_tasks(component, tasks)}` is "
                f"one copy, and `{format_tasks(component - group, tasks)}` would be left without it"
            )
            raise _refusal(sharing, layer, group, reason, keeper=layer, apart=(component & group, component - group))
    for source in () if sharing.backbone.below_alternatives(layer) else sharing.backbone.inputs(layer):
        for alike in sets.parted(group, sharing.sources):
            sides = sets.parted(alike, sharing.partition(source))
            if len(sides) > 1:
                raise kept_apart(layer, alike, source, sides, tasks, code="MTL407")
    if group in current:
        return current
    first = next(index for index, component in enumerate(current) if component <= group)
    rest = [component for component in current if not component <= group]
    return Partition((*rest[:first], group, *rest[first:]))


def split(sharing: Sharing, layer: str, group: Component) -> Partition:
    """The layer's partition with `group` out of its component; that very partition where it is one.

    Raises SharingError as `Sharing.split` says.
    """
    current, tasks = _changeable(sharing, layer), sharing.tasks
    sides = sets.parted(group, current)
    if len(sides) > 1:
        parts = format_partition(sides, tasks)
        reason = f"`{format_tasks(group, tasks)}` lies in several of its components: `{parts}`"
        raise _refusal(sharing, layer, group, reason, keeper=layer, apart=sides)
    whole = next(component for component in current if group <= component)
    if whole == group:
        return current
    others = whole - group
    for reader in sharing.backbone.readers(layer):
        if sharing.backbone.alternatives(reader) or sharing.backbone.below_alternatives(reader):
            continue
        for component in (side for each in sharing.partition(reader) for side in sets.parted(each, sharing.sources)):
            if not component.isdisjoint(group) and not component.isdisjoint(others):
                reason = (
                    f"`{format_tasks(group, tasks)}` cannot be split off, because `{reader}` reads it and is one copy "
                    f"for `{format_tasks(component, tasks)}`"
                )
                apart = (component & group, component & others)
                raise _refusal(sharing, layer, group, reason, keeper=reader, apart=apart)
    kept = [component for component in current if component != whole]
    return sets.canonical([*kept, group, others], {task: place for place, task in enumerate(tasks)})


def frontier(sharing: Sharing) -> tuple[tuple[str, Component], ...]:
    """Every layer and set of tasks that share all that the layer reads but not the layer."""
    found: list[tuple[str, Component]] = []
    partitions = {layer: _changeable(sharing, layer) for layer in sharing.backbone.layers}
    for layer, current in partitions.items():
        if len(current) == 1:
            continue
        shared = sets.single(sharing.tasks)
        for source in sharing.backbone.inputs(layer):
            shared = sets.meet(shared, partitions[source], sharing.tasks)
        present = frozenset(current)
        found += [(layer, block) for block in shared if block not in present]
    return tuple(found)


def _changeable(sharing: Sharing, layer: str) -> Partition:
    """The partition of a layer whose copies can be merged and split."""
    if isinstance(sharing[layer], Groups):
        raise SharingError(layer, (), "its groups are networks of their own: give the sharing of all layers anew")
    return sharing.partition(layer)


def _refusal(
    sharing: Sharing, layer: str, group: Component, reason: str, *, keeper: str, apart: Iterable[Component]
) -> SharingError:
    return SharingError(
        layer,
        in_order(group, sharing.tasks),
        reason,
        keeper=keeper,
        apart=[in_order(side, sharing.tasks) for side in apart],
    )
