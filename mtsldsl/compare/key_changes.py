"""Every key of two specs that says something else, in the language's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtsldsl.compare.correspondence import signature
from mtsldsl.compare.layer_matching import translation
from mtsldsl.ir.model import Data, Spec
from mtsldsl.ir.wording import Wording, inputs_shown, shown, with_names
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class KeyChange(Record):
    """One key, such as `train.epochs`, `task.depth.loss` or `backbone.enc2`, with its value in both specs.

    Values are plain: numbers, truth values, lists, None, and strings in the language's own words.
    """

    key: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """The change in the format that other programs read."""
        return {"key": self.key, "from": self.before, "to": self.after}


def keys_changed(before: Spec, after: Spec, pairs: Mapping[str, str]) -> tuple[KeyChange, ...]:
    """Every key that says something else, with the layers of both paired as `pairs` says."""
    names = translation(before, after, pairs)
    words = Wording(before), Wording(after)
    return (
        *_block_changes(before, after),
        *_changes("tuning", _tuned(before, pairs), _tuned(after, {})),
        *_task_changes(words, names),
        *_layer_changes(words, pairs, names),
    )


def _block_changes(before: Spec, after: Spec) -> Iterator[KeyChange]:
    """The keys of data, train and structure."""
    several = bool(before.more_data or after.more_data)
    old, new = ({data.name if several else "": _data_keys(data) for data in spec.blocks} for spec in (before, after))
    for name in (*old, *(name for name in new if name not in old)):
        yield from _changes(f"data.{name}" if several else "data", old.get(name), new.get(name))
    for block in ("train", "structure"):
        yield from _changes(block, _keys_of(before, block), _keys_of(after, block))
    if len(before.streams) > 1 or len(after.streams) > 1:  # otherwise there is nothing to take turns
        yield from _changes("train.sampling", before.train.sampling, after.train.sampling)


def _tuned(spec: Spec, pairs: Mapping[str, str]) -> dict[str, Any]:
    """What `tuning` says, by the names that layers have in the second spec."""
    return {pairs.get(name, name): value for name, value in spec.tuning.items()}


def _keys_of(spec: Spec, block: str) -> dict[str, Any] | None:
    """The block's keys; under the empty key its label, where it has one. None for a block that is not there."""
    match block:
        case "train":
            return {key: getattr(spec.train, key) for key in _TRAIN}
        case _ if spec.structure is None:
            return None
        case _:
            return {"": spec.structure.method, **spec.structure.values}


def _data_keys(data: Data) -> dict[str, Any]:
    return {
        "": data.kind,
        "input": inputs_shown(data.inputs),
        "batch": data.batch,
        "augment": data.augment,
        **data.options,
    }


_TRAIN = (
    "epochs",
    "optimizer",
    "scheduler",
    "balance",
    "accumulate",
    "clip",
    "warmup",
    "ema",
    "precision",
    "seed",
    "keep",
    "stop",
    "init",
    "teachers",
    "teach",
)
_TASK = ("data", "target", "loss", "metrics", "weight", "stop")


def _changes(path: str, before: Any, after: Any) -> Iterator[KeyChange]:
    """The keys that differ; of two calls of one name, the arguments that differ."""
    if before == after:
        return
    old, new = _inner(before), _inner(after)
    if old is None or new is None or old.get("") != new.get(""):
        yield KeyChange(path, shown(before), shown(after))
        if not isinstance(before, Mapping) and not isinstance(after, Mapping):
            return
        # a block of another label, or one that is not there: its keys one by one
        old, new = ({key: each for key, each in (keys or {}).items() if key} for keys in (before, after))
    for key in (*old, *(key for key in new if key not in old)):
        yield from _changes(f"{path}.{key}", old.get(key), new.get(key))


def _inner(value: Any) -> Mapping[str, Any] | None:
    """The keys of a block, or of a call with its name under the empty key; None for any other value."""
    if isinstance(value, Mapping):
        return value
    if hasattr(value, "arguments"):
        return {"": value.name, **value.arguments}
    return None


def _task_changes(words: tuple[Wording, Wording], names: Mapping[str, str]) -> Iterator[KeyChange]:
    old, new = ({task.name: task for task in each.spec.tasks} for each in words)
    for name, task in old.items():
        if name not in new:
            continue
        for key in _TASK:
            yield from _changes(f"task.{name}.{key}", getattr(task, key), getattr(new[name], key))
        if task.field != new[name].field:
            yield KeyChange(f"task.{name}.field", task.field_text, new[name].field_text)
        if signature(task.head, names) != signature(new[name].head, {}):
            ways = words[0].head(name), words[1].head(name)
            yield KeyChange(f"task.{name}.head", *_first_that_differs(*ways, names))


def _layer_changes(
    words: tuple[Wording, Wording], pairs: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[KeyChange]:
    before, after = ({layer.name: layer.body for layer in each.spec.layers} for each in words)
    for old, new in pairs.items():
        if signature(before[old], names) != signature(after[new], {}):
            ways = words[0].layer(old), words[1].layer(new)
            yield KeyChange(f"backbone.{old}", *_first_that_differs(*ways, names))


def _first_that_differs(before: Sequence[str], after: Sequence[str], names: Mapping[str, str]) -> tuple[str, str]:
    """The first way of saying both that tells them apart by more than the names of layers that were renamed."""
    ways = zip(before, after, strict=True)
    return next((way for way in ways if with_names(way[0], names) != way[1]), (before[0], after[0]))
