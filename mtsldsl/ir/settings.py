"""All that a spec sets, its defaults too, as `--set` takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mtsldsl.datasets.registry import data_kind
from mtsldsl.ir.model import Data, Spec
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.wording import inputs_shown, shown, worded
from mtsldsl.language.beginnings import WEIGHTS
from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import Key, Kind, Many, Maybe, Text
from mtsldsl.language.schema import AUGMENTATIONS, TRAIN
from mtsldsl.language.targets import metric_key
from mtsldsl.language.written import quoted as in_quotes


def settings(spec: Spec) -> dict[str, str]:
    """The value of every key of the data, the tasks, the training, the tuning and the structure, but for heads and what
    the data set says itself, by the name by which `--set` knows it: `{"train.epochs": "14", ...}`."""
    return {f"{block}.{name}": value for block, values in by_block(spec) for name, value in values.items()}


def by_block(spec: Spec) -> Iterator[tuple[str, dict[str, str]]]:
    """The same, of each block by itself: what `--set` calls it, and the values of its keys."""
    several = len(spec.blocks) > 1
    for data in spec.blocks:
        yield f"data.{data.name}" if several else "data", _all_said(_data(data), data_kind(data.kind).block.keys or ())
    for task in spec.tasks:
        yield f"task.{task.name}", _all_said(_task(task, several=several, read=spec.data.input), ())
    train = {key.name: getattr(spec.train, key.name) for key in TRAIN.keys or ()}
    train["scheduler"] = train["scheduler"] or "none"
    train["keep"] = _kept(spec)
    if not several and len(spec.streams) == 1:
        del train["sampling"]
    yield "train", _all_said(train, TRAIN.keys or ())
    yield "tuning", _all_said(spec.tuning, ())
    if spec.structure is not None:
        chosen = spec.structure.known
        values = dict(spec.structure.values)
        if chosen.phases_for is not None and values[chosen.phases_for] is None:  # then it has no phases
            del values[str(chosen.phases)]
        yield "structure", _all_said(values, chosen.block.keys or ())


def _all_said(values: Mapping[str, object], keys: Iterable[Key]) -> dict[str, str]:
    quoted = {key.name for key in keys if _is_text(key.kind)}
    return {name: said(value, quoted=name in quoted) for name, value in values.items()}


def _is_text(kind: Kind) -> bool:
    """Whether what is written there stands in quotes."""
    match kind:
        case Many(inner) | Maybe(inner):
            return _is_text(inner)
    return isinstance(kind, Text)


def _data(data: Data) -> dict[str, object]:
    return {**data.options, "input": inputs_shown(data.inputs), "batch": data.batch, "augment": data.augment}


def _task(task: Task, *, several: bool, read: str) -> dict[str, object]:
    says = task.target.kind != "reconstruct" or task.field != read
    keys = ("target", "loss", "metrics", "weight", "stop", *(("field",) if says else ()))
    found = {key: getattr(task, key) for key in keys}
    if says:  # what a file calls its columns may be no name here
        found["field"] = task.field_text
    return {**found, "target": shown(task.target), **({"data": task.data} if several else {})}


def _kept(spec: Spec) -> str | Named:
    """What is kept as it is written, where the record has the key that a metric is reported under."""
    keep = spec.train.keep
    if isinstance(keep, Named):
        return keep
    metrics = ((task.name, metric) for task in spec.tasks for metric in task.metrics)
    ways = {f"{task}.{metric_key(metric)}": f"{task}.{said(metric)}" for task, metric in metrics}
    return ways.get(keep, keep)


def said(value: object, *, quoted: bool = False) -> str:
    """A value in the words of the language, every argument of a name with it."""
    match value:
        case Named(name, arguments):
            rule = AUGMENTATIONS.rule(name) or WEIGHTS.rule(name)
            rest = rule.rest.name if rule is not None and rule.rest is not None else None
            texts = {key.name for key in rule.keys if _is_text(key.kind)} if rule is not None else ()
            given = [
                said(each)[1:-1] if key == rest else f"{key}={said(each, quoted=key in texts)}"
                for key, each in arguments.items()
                if each is not None
            ]
            return f"{name}({', '.join(given)})" if given else name
        case tuple():
            return f"[{', '.join(said(each, quoted=quoted) for each in value)}]"
        case str() if quoted:
            return in_quotes(value)
    return worded(value)
