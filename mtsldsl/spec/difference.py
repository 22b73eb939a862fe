"""What differs between two specs: the sharing, the tasks, the layers, the cost."""

from __future__ import annotations

from typing import Any

import attrs

from mtsldsl.spec.model import Spec

FORMAT_VERSION = 1


@attrs.frozen
class LayerChange:
    """The components of one layer in both specs, each a tuple of task names in the order of the first spec."""

    layer: str
    before: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...]

    @property
    def kind(self) -> str:
        """`merge`, `split`, or `regroup` where it is both."""
        if all(any(set(old) <= set(new) for new in self.after) for old in self.before):
            return "merge"
        if all(any(set(new) <= set(old) for old in self.before) for new in self.after):
            return "split"
        return "regroup"


@attrs.frozen
class SpecDifference:
    """Two specs side by side. Names are listed in the order of the spec that has them."""

    sharing: tuple[LayerChange, ...]
    tasks_added: tuple[str, ...]
    tasks_removed: tuple[str, ...]
    tasks_changed: tuple[str, ...]
    layers_added: tuple[str, ...]
    layers_removed: tuple[str, ...]
    layers_changed: tuple[str, ...]
    settings: tuple[str, ...]
    """Blocks other than tasks, layers and sharing whose meaning differs: data, train, structure."""
    parameters: tuple[int, int]
    flops: tuple[int, int]

    def __bool__(self) -> bool:
        return any(getattr(self, field) for field in _LISTS)

    def as_json(self) -> dict[str, Any]:
        """The difference in the format that other programs read; `format_version` changes when it does."""
        return {
            "format_version": FORMAT_VERSION,
            "sharing": [
                {
                    "layer": change.layer,
                    "kind": change.kind,
                    "from": [list(component) for component in change.before],
                    "to": [list(component) for component in change.after],
                }
                for change in self.sharing
            ],
            "tasks": {
                "added": list(self.tasks_added),
                "removed": list(self.tasks_removed),
                "changed": list(self.tasks_changed),
            },
            "layers": {
                "added": list(self.layers_added),
                "removed": list(self.layers_removed),
                "changed": list(self.layers_changed),
            },
            "settings": list(self.settings),
            "cost": {"parameters": list(self.parameters), "flops": list(self.flops)},
        }


_LISTS = (
    "sharing",
    "tasks_added",
    "tasks_removed",
    "tasks_changed",
    "layers_added",
    "layers_removed",
    "layers_changed",
    "settings",
)


def compare(before: Spec, after: Spec) -> SpecDifference:
    """What turns `before` into `after`. History, comments and layout do not count."""
    old_tasks, new_tasks = ({task.name: task for task in spec.tasks} for spec in (before, after))
    old_layers, new_layers = ({layer.name: layer for layer in spec.layers} for spec in (before, after))
    old_cost, new_cost = before.cost(), after.cost()
    settings = [name for name in ("data", "train", "structure") if getattr(before, name) != getattr(after, name)]
    return SpecDifference(
        sharing=_sharing_changes(before, after),
        tasks_added=tuple(name for name in new_tasks if name not in old_tasks),
        tasks_removed=tuple(name for name in old_tasks if name not in new_tasks),
        tasks_changed=tuple(name for name in old_tasks if name in new_tasks and old_tasks[name] != new_tasks[name]),
        layers_added=tuple(name for name in new_layers if name not in old_layers),
        layers_removed=tuple(name for name in old_layers if name not in new_layers),
        layers_changed=tuple(
            name for name in old_layers if name in new_layers and old_layers[name] != new_layers[name]
        ),
        settings=tuple(settings),
        parameters=(old_cost.parameters, new_cost.parameters),
        flops=(old_cost.flops, new_cost.flops),
    )


def _sharing_changes(before: Spec, after: Spec) -> tuple[LayerChange, ...]:
    common = [layer for layer in before.backbone.layers if layer in after.backbone.layers]
    return tuple(
        LayerChange(layer, _components(before, layer), _components(after, layer))
        for layer in common
        if set(before.sharing[layer]) != set(after.sharing[layer])
    )


def _components(spec: Spec, layer: str) -> tuple[tuple[str, ...], ...]:
    order = {task.name: index for index, task in enumerate(spec.tasks)}
    return tuple(tuple(sorted(component, key=order.__getitem__)) for component in spec.sharing[layer])
