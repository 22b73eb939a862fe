"""Components as text: the lines of a sharing block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mtsldsl.sharing.partition import in_order

if TYPE_CHECKING:
    from mtsldsl.sharing.partition import Partition
    from mtsldsl.sharing.sharing import Sharing


def format_tasks(component: Iterable[str], tasks: Sequence[str]) -> str:
    """One component as in a spec, in the order of `tasks`: `segment + edge`."""
    return " + ".join(in_order(component, tasks))


def format_partition(partition: Partition, tasks: Sequence[str]) -> str:
    """A layer's components as in a spec: `segment + edge, depth + normal`."""
    return ", ".join(format_tasks(component, tasks) for component in partition)


def format_components(sharing: Sharing, layer: str) -> str:
    """The right-hand side of the layer's line in a sharing block: `segment + edge, depth + normal`."""
    return format_partition(sharing[layer], sharing.tasks)


def format_sharing(sharing: Sharing) -> str:
    """The canonical text: one line a layer, in order. Equal sharings give equal text."""
    return "\n".join(f"{layer} = {format_components(sharing, layer)}" for layer in sharing.backbone.layers)
