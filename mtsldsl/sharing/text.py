"""Components as text: the names of copies, the lines of a sharing block, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtsldsl.sharing.backbone import Backbone
    from mtsldsl.sharing.partition import Partition
    from mtsldsl.sharing.sharing import Sharing


def format_tasks(component: Iterable[str], tasks: Sequence[str]) -> str:
    """One component as in a spec, in the order of `tasks`: `segment + edge`."""
    members = frozenset(component)
    return " + ".join(task for task in tasks if task in members)


def format_partition(partition: Partition, tasks: Sequence[str]) -> str:
    """A layer's components as in a spec: `segment + edge, depth + normal`."""
    return ", ".join(format_tasks(component, tasks) for component in partition)


def format_components(sharing: Sharing, layer: str) -> str:
    """The right-hand side of the layer's line in a sharing block: `segment + edge, depth + normal`."""
    return format_partition(sharing[layer], sharing.tasks)


def parse_components(text: str) -> tuple[tuple[str, ...], ...]:
    """The components of one line, as they stand: `a + b, c` gives `(("a", "b"), ("c",))`.

    Raises ValueError where a name is missing or is not one.
    """
    components = tuple(tuple(name.strip() for name in part.split("+")) for part in text.split(","))
    for component in components:
        for name in component:
            if not name.isidentifier():
                raise ValueError(f"`{text}` is no list of components: `{name}` is not a task's name")
    return components


def format_sharing(sharing: Sharing) -> str:
    """The canonical text: one line a layer, in order. Equal sharings give equal text."""
    return "\n".join(f"{layer} = {format_components(sharing, layer)}" for layer in sharing.backbone.layers)


def parse_sharing(text: str, backbone: Backbone, tasks: Iterable[str]) -> Sharing:
    """The inverse of `format_sharing`.

    Raises ValueError for a line that is no `layer = components` or a layer that comes twice, SharingError for a
    sharing that is not valid.
    """
    from mtsldsl.sharing.sharing import Sharing

    components: dict[str, tuple[tuple[str, ...], ...]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        layer, equals, right = line.partition("=")
        if not equals or layer.strip() in components:
            raise ValueError(f"`{line}` is not one `layer = components` line for a layer of its own")
        components[layer.strip()] = parse_components(right)
    return Sharing(backbone, tasks, components)
