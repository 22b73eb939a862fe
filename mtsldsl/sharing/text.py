"""Rows as text: the lines of a sharing block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mtsldsl.sharing.cover import Cover
from mtsldsl.sharing.partition import Partition, all_in_order, in_order

if TYPE_CHECKING:
    from mtsldsl.sharing.groups import Groups
    from mtsldsl.sharing.row import Row
    from mtsldsl.sharing.sharing import Sharing

NONE = "none"
"""A cover of no alternative: the layer gives zeros to all tasks."""


def format_tasks(component: Iterable[str], tasks: Sequence[str]) -> str:
    """One component as in a spec, in the order of `tasks`: `segment + edge`."""
    return " + ".join(in_order(component, tasks))


def format_partition(partition: Iterable[Iterable[str]], tasks: Sequence[str]) -> str:
    """The components of a partition as in a spec: `segment + edge, depth + normal`."""
    return ", ".join(map(" + ".join, all_in_order(partition, tasks)))


def format_row(row: Row, tasks: Sequence[str]) -> str:
    """A layer's row as in a spec: `segment + edge, depth + normal`, a cover as `conv3: a + b, conv5: b`, groups as
    `segment + depth, (depth) + normal`."""
    if isinstance(row, Cover):
        return ", ".join(f"{use.alternative}: {format_tasks(use.tasks, tasks)}" for use in row) or NONE
    return ", ".join(map(" + ".join, all_members(row, tasks)))


def all_members(row: Partition | Groups, tasks: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Of each component its tasks in the order of `tasks`, and those that help in a group in parentheses."""
    if isinstance(row, Partition):
        return all_in_order(row, tasks)
    together = all_in_order((group.tasks | group.helped for group in row), tasks)
    return tuple(
        tuple(f"({task})" if task in group.helped else task for task in found)
        for group, found in zip(row, together, strict=True)
    )


def format_components(sharing: Sharing, layer: str) -> str:
    """The right-hand side of the layer's line in a sharing block: `segment + edge, depth + normal`."""
    return format_row(sharing[layer], sharing.tasks)


def format_sharing(sharing: Sharing) -> str:
    """The canonical text: one line a layer, in order. Equal sharings give equal text."""
    return "\n".join(f"{layer} = {format_components(sharing, layer)}" for layer in sharing.backbone.layers)
