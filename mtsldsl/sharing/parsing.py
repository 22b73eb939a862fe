"""The lines of a sharing block, read: the way back from `text.py`."""

from __future__ import annotations

from collections.abc import Iterable

from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.groups import Group
from mtsldsl.sharing.sharing import Sharing
from mtsldsl.sharing.text import NONE
from mtsldsl.sharing.validity import Given


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


def parse_row(text: str) -> tuple[tuple[str, ...], ...] | dict[str, tuple[str, ...]] | tuple[Group, ...]:
    """What a line says, as `Sharing` takes it: components as `parse_components` gives them, the tasks of each
    alternative where they have labels, or groups where tasks stand in parentheses.

    Raises ValueError where a name is missing or is not one, or an alternative, or a task of a group, comes twice.
    """
    if text.strip() == NONE:
        return {}
    if ":" in text:
        found: dict[str, tuple[str, ...]] = {}
        for part in text.split(","):
            label, colon, tasks = part.partition(":")
            alternative = label.strip()
            if not colon or not alternative.isidentifier() or alternative in found:
                raise ValueError(f"`{part.strip()}` is no `alternative: tasks` for an alternative of its own")
            (found[alternative],) = parse_components(tasks)
        return found
    if "(" not in text:
        return parse_components(text)
    read = []
    for part in text.split(","):
        names = [name.strip() for name in part.split("+")]
        helped = [name[1:-1].strip() for name in names if name.startswith("(") and name.endswith(")")]
        served = [name for name in names if not (name.startswith("(") and name.endswith(")"))]
        parse_components(" + ".join([*served, *helped]))
        for name in (*served, *helped):
            if max(served.count(name), helped.count(name)) > 1:
                raise ValueError(f"`{part.strip()}` is no group: `{name}` is listed twice")
        read.append(Group(frozenset(served), frozenset(helped)))
    return tuple(read)


def parse_sharing(text: str, backbone: Backbone, tasks: Iterable[str]) -> Sharing:
    """The inverse of `format_sharing`.

    Raises ValueError for a line that is no `layer = components` or a layer that comes twice, SharingError for a
    sharing that is not valid.
    """
    components: dict[str, Given] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        layer, equals, right = line.partition("=")
        if not equals or layer.strip() in components:
            raise ValueError(f"`{line}` is not one `layer = components` line for a layer of its own")
        components[layer.strip()] = parse_row(right)
    return Sharing(backbone, tasks, components)
