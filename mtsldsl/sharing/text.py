"""Rows as text: the lines of a sharing block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mtsldsl.sharing.cover import Cover, Use
from mtsldsl.sharing.groups import Group
from mtsldsl.sharing.partition import in_order

if TYPE_CHECKING:
    from mtsldsl.sharing.row import Row
    from mtsldsl.sharing.sharing import Sharing

NONE = "none"
"""A cover of no alternative: the layer gives zeros to all tasks."""


def format_tasks(component: Iterable[str], tasks: Sequence[str]) -> str:
    """One component as in a spec, in the order of `tasks`: `segment + edge`."""
    return " + ".join(in_order(component, tasks))


def format_partition(partition: Iterable[Iterable[str]], tasks: Sequence[str]) -> str:
    """The components of a partition as in a spec: `segment + edge, depth + normal`."""
    return ", ".join(format_tasks(component, tasks) for component in partition)


def format_row(row: Row, tasks: Sequence[str]) -> str:
    """A layer's row as in a spec: `segment + edge, depth + normal`, a cover as `conv3: a + b, conv5: b`, groups as
    `segment + depth, (depth) + normal`."""
    parts = ", ".join(format_component(each, tasks) for each in row)
    return parts or NONE if isinstance(row, Cover) else parts


def format_component(component: Iterable[str] | Use | Group, tasks: Sequence[str]) -> str:
    """One part of a row: `depth + normal`, an alternative `conv3: a + b`, or a group, those that help in parentheses:
    `(depth) + normal`."""
    if isinstance(component, Use):
        return f"{component.alternative}: {format_tasks(component.tasks, tasks)}"
    return " + ".join(members(component, tasks))


def members(component: Iterable[str] | Group, tasks: Sequence[str]) -> tuple[str, ...]:
    """Those of a component in the order of `tasks`, and those that help in a group in parentheses."""
    if isinstance(component, Group):
        together = in_order(component.tasks | component.helped, tasks)
        return tuple(f"({task})" if task in component.helped else task for task in together)
    return in_order(component, tasks)


def format_components(sharing: Sharing, layer: str) -> str:
    """The right-hand side of the layer's line in a sharing block: `segment + edge, depth + normal`."""
    return format_row(sharing[layer], sharing.tasks)


def format_sharing(sharing: Sharing) -> str:
    """The canonical text: one line a layer, in order. Equal sharings give equal text."""
    return "\n".join(f"{layer} = {format_components(sharing, layer)}" for layer in sharing.backbone.layers)
