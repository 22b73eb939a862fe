"""What the samples of a spec are: shapes, ranges, how many there are of each class, and the first rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mtsldsl.ir.model import Spec, Stream
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Shape
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data.batches import widen
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.mixed import read_by
from mtsldsl.runtime.data.samples import Samples, Splits

FIRST_ROWS = 5
"""Samples of which all numbers are given, where the input is a row."""

_AT_ONCE = 64
"""Samples that are looked at together."""


def overview(spec: Spec, splits: Splits[Any]) -> dict[str, Any]:
    """In plain data, `inputs` by source and `targets` by task, with the shape of a sample and by split the range of the
    numbers that count, as networks see them but in the unit of the data; for classes and yes or no by split how many
    entries there are of each, from 0, and the names of classes where the data has such. Of a target that is several
    columns of a table `columns` has the same of each, and how many `entries` count. Of sources with several inputs
    the first has the others in `more`. Of those with an input that is a row `rows` has the first of training."""
    found: dict[str, Any] = {"inputs": {}, "targets": {}, "rows": {}}
    for stream in spec.streams:
        parts = {split: read_by(samples, stream.tasks[0]) for split, samples in splits.named()}
        tasks = [spec.task(name) for name in stream.tasks]
        (first, *more) = (_input(name, shape, parts) for name, shape in stream.data.inputs.items())
        found["inputs"][stream.name] = first | ({"more": more} if more else {})
        for task in tasks:
            found["targets"][task.name] = _target(stream, task, parts, splits)
        if any(len(shape) == 1 for shape in stream.data.inputs.values()):
            found["rows"][stream.name] = _rows(stream, tasks, parts["train"])
    return found


def _input(name: str, shape: Shape, parts: dict[str, Samples]) -> dict[str, Any]:
    ranges = {split: _range(part, name, None) for split, part in parts.items()}
    return {"name": name, "shape": list(shape), "range": ranges}


def class_names(splits: Splits[Any], stream: Stream, task: Task) -> list[str]:
    """What the data calls the classes of a task, in their order; nothing where it does not."""
    names = splits.fitted.get(stream.data.name, {}).get("classes", {})
    return list(names.get(field_of_task(stream.data, task), ()))


def _target(stream: Stream, task: Task, parts: dict[str, Samples], splits: Splits[Any]) -> dict[str, Any]:
    field, target = field_of_task(stream.data, task), task.target
    shape = list(parts["train"].shape_of(field))
    found: dict[str, Any] = {
        "source": stream.name,
        "field": field,
        "kind": target.kind,
        "channels": target.channels,
        "shape": shape[::-1] if task.by_token else shape,  # as in the file
        **({"columns": _columns(task, parts, field)} if task.columns else {}),
    }
    if target.kind in ("classes", "binary"):
        found["counts"] = {split: counts_of(part, field, target).sum(dim=0).tolist() for split, part in parts.items()}
        names = class_names(splits, stream, task)
        return found | ({"names": names} if names else {})
    return found | {"range": {split: _range(part, field, target) for split, part in parts.items()}}


def _columns(task: Task, parts: dict[str, Samples], field: str) -> list[dict[str, Any]]:
    """What there is in each column of a target."""
    found: list[dict[str, Any]] = [{"name": name, "entries": {}} for name in task.columns]
    for split, part in parts.items():
        counts = counts_of(part, field, task.target).tolist() if task.target.kind == "binary" else None
        for column, each in enumerate(found):
            if counts is not None:
                each["entries"][split] = sum(counts[column])
                each.setdefault("counts", {})[split] = counts[column]
            else:
                each["entries"][split] = sum(map(len, _values(part, field, task.target, column)))
                each.setdefault("range", {})[split] = _range(part, field, task.target, column)
    return found


def _values(samples: Samples, field: str, target: Target | None, column: int | None = None) -> Iterator[Tensor]:
    """The entries that count, all or those of one column, some samples at a time."""
    for compact in samples.pieces(field, at_once=_AT_ONCE):
        values = widen(compact[field], samples.layout[field])
        values = values if column is None else values[:, column : column + 1]
        yield values.flatten() if target is None else values[valid_entries(target, values).expand_as(values)]


def _range(samples: Samples, field: str, target: Target | None, column: int | None = None) -> dict[str, float] | None:
    """The least, the largest and the mean number; None where none counts."""
    ends, total, count = [], 0.0, 0
    for values in _values(samples, field, target, column):
        if values.numel():
            ends += [float(values.min()), float(values.max())]
            total, count = total + float(values.double().sum()), count + values.numel()
    return {"least": min(ends), "largest": max(ends), "mean": total / count} if count else None


def counts_of(samples: Samples, field: str, target: Target) -> Tensor:
    """How many entries there are of each class, int64 `(1, classes)`; or of no and yes in each column of the target,
    `(columns, 2)`."""
    whole = TARGETS[target.kind].whole
    columns, kinds = (1, target.channels) if whole else (target.channels, 2)
    counted = torch.zeros(columns, kinds, dtype=torch.int64)
    for compact in samples.pieces(field, at_once=_AT_ONCE):
        values = widen(compact[field], samples.layout[field])
        rows = values.reshape(len(values), columns, -1)
        counting = valid_entries(target, values).reshape(rows.shape)
        for column in range(columns):
            entries = rows[:, column][counting[:, column]].long()
            counted[column] += torch.bincount(entries, minlength=kinds)
    return counted


def _rows(stream: Stream, tasks: list[Task], samples: Samples) -> dict[str, list[Any]]:
    """The numbers of the first samples by field; None for those that do not count."""
    first = samples.take(torch.arange(min(FIRST_ROWS, len(samples))))
    given = [name for name, shape in stream.data.inputs.items() if len(shape) == 1]
    rows = {name: first.fields[name].float().tolist() for name in given}
    for task in tasks:
        field = field_of_task(stream.data, task)
        if field not in stream.data.inputs and first.fields[field].ndim <= 2:
            values = widen(first.fields[field], first.layout[field])
            valid = valid_entries(task.target, values).expand_as(values)
            rows[task.name] = _or_none(values.tolist(), valid.tolist())
    return rows


def _or_none(values: Any, valid: Any) -> Any:
    if isinstance(values, list):
        return [_or_none(*each) for each in zip(values, valid, strict=True)]
    return values if valid else None
