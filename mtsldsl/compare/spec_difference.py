"""What differs between two specs: layers, tasks, the sharing, every setting, the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from mtsldsl.compare.key_changes import KeyChange, keys_changed
from mtsldsl.compare.layer_matching import matched_layers
from mtsldsl.ir.model import Decision, Spec
from mtsldsl.records import Record
from mtsldsl.sharing import Cover, Groups, Partition, Row
from mtsldsl.sharing.partition import in_order, parted
from mtsldsl.sharing.row import groups_of, tasks_of
from mtsldsl.sharing.text import all_members

FORMAT_VERSION = 1

Said: TypeAlias = tuple[tuple[str, ...], ...] | Mapping[str, tuple[str, ...]]
"""The components of a layer, or its alternatives by name, each with tasks in their order, those that help in a
group in parentheses: `("(depth)", "normal")`."""


def _as_json(said: Said) -> list[list[str]] | dict[str, list[str]]:
    if isinstance(said, Mapping):
        return {alternative: list(tasks) for alternative, tasks in said.items()}
    return [list(component) for component in said]


@attrs.frozen(eq=False, repr=False)
class LayerChange(Record):
    """What the sharing says of one layer in both specs: its components, each a tuple of task names in the order of its
    spec; of a layer of alternatives these by name, those that some task uses.

    `layer` is the layer's name in the first spec, `renamed` that in the second where it is another one.
    `kind` is `merge`, `split`, or `regroup` where it is both; `help` where other tasks help in the same groups;
    `on` where tasks use more alternatives, `off` where they
    use fewer, `switch` where it is both; `join` and `leave` where all that changed is that a task
    which only one of the specs has is in a component with others; `added` and `removed` for a layer that only one of
    the specs has, with no components in the other.
    """

    layer: str
    before: Said = attrs.field(hash=False)
    after: Said = attrs.field(hash=False)
    kind: str
    renamed: str | None = None


@attrs.frozen(eq=False, repr=False)
class SpecDifference(Record):
    """Two specs side by side. Names are listed in the order of the spec that has them."""

    sharing: tuple[LayerChange, ...]
    """The layers that both specs have, where their components differ."""
    tasks_added: tuple[str, ...]
    tasks_removed: tuple[str, ...]
    tasks_changed: tuple[str, ...]
    layers_added: tuple[str, ...]
    layers_removed: tuple[str, ...]
    layers_changed: tuple[str, ...]
    layers_renamed: tuple[tuple[str, str], ...]
    sharing_of_one: tuple[LayerChange, ...]
    """The components of the layers that only one of the specs has."""
    reordered: tuple[str, ...]
    """`tasks`, `layers` or `data blocks`, where those that both specs have stand in another order."""
    settings: tuple[str, ...]
    """Blocks other than tasks, layers and sharing whose meaning differs: data, train, tuning, structure."""
    keys: tuple[KeyChange, ...]
    """Every key of blocks, tasks and layers that both specs have and that says something else."""
    parameters: tuple[int, int]
    flops: tuple[int, int]
    decisions: tuple[tuple[Decision, ...], tuple[Decision, ...]]
    """The history that only the first spec has, and that only the second has. It makes no difference of the network."""

    def __bool__(self) -> bool:
        return any(getattr(self, field) for field in _LISTS)

    def as_json(self, *, history: bool = False) -> dict[str, Any]:
        """The difference in the format that other programs read; `format_version` changes when it does."""
        printed: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "sharing": [
                {
                    "layer": change.layer,
                    "kind": change.kind,
                    "from": _as_json(change.before),
                    "to": _as_json(change.after),
                    **({"renamed": change.renamed} if change.renamed else {}),
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
                "renamed": [list(pair) for pair in self.layers_renamed],
                "components": {
                    kind: {
                        each.layer: _as_json(each.before if kind == "removed" else each.after)
                        for each in self.sharing_of_one
                        if each.kind == kind
                    }
                    for kind in ("added", "removed")
                },
            },
            "reordered": list(self.reordered),
            "settings": list(self.settings),
            "keys": [change.as_json() for change in self.keys],
            "cost": {"parameters": list(self.parameters), "flops": list(self.flops)},
        }
        if history:
            only_before, only_after = self.decisions
            printed["history"] = {
                "removed": [_decision_json(decision) for decision in only_before],
                "added": [_decision_json(decision) for decision in only_after],
            }
        return printed


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "kind": decision.kind,
        "epoch": decision.epoch,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in decision.fields.items()},
    }


_LISTS = (
    "sharing",
    "tasks_added",
    "tasks_removed",
    "tasks_changed",
    "layers_added",
    "layers_removed",
    "layers_changed",
    "layers_renamed",
    "reordered",
    "settings",
)


_BLOCKS = ("data", "train", "tuning", "structure")
"""Blocks that are compared by key alone."""


def compare(before: Spec, after: Spec) -> SpecDifference:
    """What turns `before` into `after`. History, comments and layout do not count.

    A layer may have another name in `after` (`matched_layers`); what it computes and its components are then compared
    all the same. The difference is empty exactly where the two specs mean the same.
    """
    pairs = matched_layers(before, after)
    old_tasks, new_tasks = (tuple(task.name for task in spec.tasks) for spec in (before, after))
    old_layers, new_layers = before.backbone.layers, after.backbone.layers
    layers_removed = tuple(name for name in old_layers if name not in pairs)
    layers_added = tuple(name for name in new_layers if name not in pairs.values())
    common = [task for task in old_tasks if task in new_tasks]
    orders = {
        "tasks": (common, [task for task in new_tasks if task in old_tasks]),
        "layers": (list(pairs.values()), [name for name in new_layers if name in pairs.values()]),
        "data blocks": _order_of_blocks(before, after),
    }
    keys = keys_changed(before, after, pairs)
    old_cost, new_cost = before.cost(), after.cost()
    return SpecDifference(
        sharing=tuple(_sharing_changes(before, after, pairs)),
        tasks_added=tuple(name for name in new_tasks if name not in old_tasks),
        tasks_removed=tuple(name for name in old_tasks if name not in new_tasks),
        tasks_changed=_named(keys, "task"),
        layers_added=layers_added,
        layers_removed=layers_removed,
        layers_changed=_named(keys, "backbone"),
        layers_renamed=tuple((old, new) for old, new in pairs.items() if old != new),
        sharing_of_one=(
            *(LayerChange(layer, _components(before, layer), (), "removed") for layer in layers_removed),
            *(LayerChange(layer, (), _components(after, layer), "added") for layer in layers_added),
        ),
        reordered=tuple(noun for noun, (first, second) in orders.items() if first != second),
        settings=tuple(block for block in _BLOCKS if any(change.key.split(".")[0] == block for change in keys)),
        keys=keys,
        parameters=(old_cost.parameters, new_cost.parameters),
        flops=(old_cost.flops, new_cost.flops),
        decisions=(_without(before.history, after.history), _without(after.history, before.history)),
    )


def _order_of_blocks(before: Spec, after: Spec) -> tuple[list[str], list[str]]:
    """The names of the data blocks that both have, in the order of each."""
    old, new = ([data.name for data in spec.blocks] for spec in (before, after))
    return [name for name in old if name in new], [name for name in new if name in old]


def one_sided(spec: Spec, *, added: bool) -> SpecDifference:
    """The difference of a whole spec to none at all: everything is added, or removed."""
    tasks, layers = tuple(task.name for task in spec.tasks), spec.backbone.layers
    components = {layer: _components(spec, layer) for layer in layers}
    cost = spec.cost()
    return SpecDifference(
        sharing=(),
        tasks_added=tasks if added else (),
        tasks_removed=() if added else tasks,
        tasks_changed=(),
        layers_added=layers if added else (),
        layers_removed=() if added else layers,
        layers_changed=(),
        layers_renamed=(),
        sharing_of_one=tuple(
            LayerChange(layer, (), each, "added") if added else LayerChange(layer, each, (), "removed")
            for layer, each in components.items()
        ),
        reordered=(),
        settings=(),
        keys=(),
        parameters=(0, cost.parameters) if added else (cost.parameters, 0),
        flops=(0, cost.flops) if added else (cost.flops, 0),
        decisions=((), spec.history) if added else (spec.history, ()),
    )


def _named(keys: Sequence[KeyChange], kind: str) -> tuple[str, ...]:
    """The tasks or layers that the keys are about, each once."""
    paths = (change.key.split(".") for change in keys)
    return tuple(dict.fromkeys(path[1] for path in paths if path[0] == kind))


def _without(decisions: Sequence[Decision], others: Sequence[Decision]) -> tuple[Decision, ...]:
    return tuple(decision for decision in decisions if decision not in others)


def _sharing_changes(before: Spec, after: Spec, pairs: Mapping[str, str]) -> Iterator[LayerChange]:
    old_tasks, new_tasks = set(before.sharing.tasks), set(after.sharing.tasks)
    common = [task for task in before.sharing.tasks if task in new_tasks]
    for old, new in pairs.items():
        was, now = before.sharing[old], after.sharing[new]
        kind = _kind(was, now, common)
        if kind is None and _shares(now, new_tasks - old_tasks):
            kind = "join"
        if kind is None and _shares(was, old_tasks - new_tasks):
            kind = "leave"
        if kind is not None:
            renamed = new if new != old else None
            yield LayerChange(old, _components(before, old), _components(after, new), kind, renamed)


def _kind(before: Row, after: Row, common: Sequence[str]) -> str | None:
    """How the tasks that both specs have share a layer otherwise; None where they share it as before."""
    if isinstance(before, Partition) and isinstance(after, Partition):
        return kind_of(parted(common, before), parted(common, after))
    if not isinstance(before, Cover) and not isinstance(after, Cover):
        one, other = map(groups_of, (before, after))
        kind = kind_of(parted(common, one.served), parted(common, other.served))
        return kind or ("help" if _helps(one, common) != _helps(other, common) else None)
    if not isinstance(before, Cover) or not isinstance(after, Cover):
        return "regroup"
    old, new = ({pair for pair in row.pairs if pair[0] in common} for row in (before, after))
    if old == new:
        return None
    return "on" if old < new else "off" if new < old else "switch"


def _helps(row: Groups, common: Sequence[str]) -> set[tuple[str, str]]:
    return {pair for pair in row.helps if set(pair) <= set(common)}


def kind_of(before: Partition, after: Partition) -> str | None:
    """`merge`, `split`, or `regroup` where it is both; None where the two partitions are the same."""
    if set(before) == set(after):
        return None
    if all(any(old <= new for new in after) for old in before):
        return "merge"
    return "split" if all(any(new <= old for old in before) for new in after) else "regroup"


def _shares(row: Row, tasks: set[str]) -> bool:
    """Whether one of these tasks has a copy with others."""
    components = map(tasks_of, row.components)
    return any(len(component) > 1 and component & tasks for component in components)


def _components(spec: Spec, layer: str) -> Said:
    row, tasks = spec.sharing[layer], spec.sharing.tasks
    if isinstance(row, Cover):
        return {use.alternative: in_order(use.tasks, tasks) for use in row}
    return all_members(row, tasks)
