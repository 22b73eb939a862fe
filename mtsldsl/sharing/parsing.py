"""The lines of a sharing block, read: the way back from `text.py`."""

from __future__ import annotations

from collections.abc import Iterable

from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.sharing import Sharing


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


def parse_sharing(text: str, backbone: Backbone, tasks: Iterable[str]) -> Sharing:
    """The inverse of `format_sharing`.

    Raises ValueError for a line that is no `layer = components` or a layer that comes twice, SharingError for a
    sharing that is not valid.
    """
    components: dict[str, tuple[tuple[str, ...], ...]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        layer, equals, right = line.partition("=")
        if not equals or layer.strip() in components:
            raise ValueError(f"`{line}` is not one `layer = components` line for a layer of its own")
        components[layer.strip()] = parse_components(right)
    return Sharing(backbone, tasks, components)
