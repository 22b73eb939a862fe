"""How many labels each task has in each split, and what is said where a split has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import FIRST_SHOWN, named
from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data.batches import widen
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.mixed import Mixed, read_by
from mtsldsl.runtime.data.samples import Samples, Splits

Described: TypeAlias = dict[str, dict[str, Any]]

_AT_ONCE = 64
"""Samples that are looked at together."""


def describe(spec: Spec, splits: Splits[Any], tasks: Sequence[Task] | None = None) -> Described:
    """For each split, in plain data, its `samples` and the `labels` of each of these tasks, by default all: the number
    of `samples` that have at least one, and of `entries` that count in loss and metrics, `of` how many there are. Where
    some columns of a target have none, these are `empty_columns`, counted from 0. Of several `sources` it has how many
    samples each gives."""
    return {name: _split(spec, samples, spec.tasks if tasks is None else tasks) for name, samples in splits.named()}


def _split(spec: Spec, samples: Samples | Mixed, tasks: Sequence[Task]) -> dict[str, Any]:
    counted: dict[tuple[int, str, Target], dict[str, Any]] = {}
    labels = {}
    for task in tasks:
        read, field = read_by(samples, task.name), field_of_task(spec.data_of(task.name), task)
        key = id(read), field, task.target
        if key not in counted:
            counted[key] = _count(read, field, task.target)
        labels[task.name] = counted[key]
    found: dict[str, Any] = {"samples": len(samples), "labels": labels}
    if isinstance(samples, Mixed):
        found["sources"] = {name: len(part) for name, part in samples.parts.items()}
    return found


def _count(samples: Samples, field: str, target: Target) -> dict[str, Any]:
    labelled = entries = total = 0
    columns: Tensor | int = 0
    for compact in samples.pieces(field, at_once=_AT_ONCE):
        values = widen(compact[field], samples.layout[field])  # a compact type may not hold the number that is ignored
        valid = valid_entries(target, values).flatten(1) if values.dim() > 1 else valid_entries(target, values)[:, None]
        if not TARGETS[target.kind].whole:
            columns = columns + valid.reshape(len(valid), target.channels, -1).sum(dim=(0, 2))
        labelled += int(valid.any(dim=1).sum())
        entries += int(torch.count_nonzero(valid))
        total += valid.numel()
    found: dict[str, Any] = {"samples": labelled, "entries": entries, "of": total}
    empty = [column for column, count in enumerate(columns.tolist()) if not count] if torch.is_tensor(columns) else []
    return found | ({"empty_columns": empty} if empty and entries else {})


def require_labels(spec: Spec, described: Described) -> list[str]:
    """What to warn of, of those tasks that are described: which have no label in validation or test, and columns of a
    target that have none.

    Raises MTL804 for those that have none in training."""
    known = [task for task in spec.tasks if task.name in described["train"]["labels"]]
    without = {
        split: [task for task in known if not found["labels"][task.name]["entries"]]
        for split, found in described.items()
    }
    if without["train"]:
        raise MtlError(error for task in without["train"] for error in _nothing_to_learn(task).diagnostics)
    columns = [
        f"no {split} sample has a label in {_columns(empty, task.columns)} of `{task.name}` that counts: "
        + ("nothing is learned of it" if split == "train" else "it is left out of the metrics there")
        for split, found in described.items()
        for task in known
        if (empty := found["labels"][task.name].get("empty_columns"))
    ]
    return columns + [
        f"no {split} sample has a label of {named([task.name for task in tasks])} that counts: "
        f"{'its' if len(tasks) == 1 else 'their'} metrics there will be empty"
        for split, tasks in without.items()
        if tasks
    ]


def _columns(numbers: list[int], names: Sequence[str]) -> str:
    noun = "column" if len(numbers) == 1 else "columns"
    if names:
        return f"the {noun} {named([names[number] for number in numbers])}"
    shown = ", ".join(map(str, numbers[:FIRST_SHOWN]))
    more = len(numbers) - FIRST_SHOWN
    return f"{noun} {shown}{f' and {more} more' if more > 0 else ''} (from 0)"


def _nothing_to_learn(task: Task) -> MtlError:
    target = task.target
    if target.kind == "values" and target.valid == "positive":
        remedy = "write `valid=finite` in its target where numbers that are 0 or negative count as well"
    elif target.ignore is not None:
        remedy = f"label some of them with other numbers than {target.ignore}, which is ignored; or leave the task out"
    else:
        remedy = "label some of them, or leave the task out"
    return MtlError.of("MTL804", f"no training sample has a label of `{task.name}` that counts", remedy, task.span)
