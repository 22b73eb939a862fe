"""What a person should know of the labels before anything trains: classes that a split lacks, numbers far from 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics.bounded import FIRST_SHOWN, named
from mtsldsl.ir.model import Spec, Stream
from mtsldsl.ir.task_record import Task
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.mixed import read_by
from mtsldsl.runtime.data.overview import class_names, counts_of
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.scaling import fitted_scale

_FAR = 10.0
"""A mean above it, and a deviation above it or below 1 / it, is far from those with which networks begin."""

_ENOUGH = 2**22
"""Numbers of which mean and deviation are told well enough."""


def remarks_on_labels(spec: Spec, splits: Splits[Any]) -> list[str]:
    """What there is to say of every task, once for tasks that read the same."""
    found: list[str] = []
    for stream in spec.streams:
        parts = {split: read_by(samples, stream.tasks[0]) for split, samples in splits.named()}
        for task in map(spec.task, stream.tasks):
            if task.target.kind in ("classes", "binary"):
                found += _absent(stream, task, parts, splits)
            elif task.target.kind == "values" and task.target.scale == "none":
                found += _far_from_one(task, parts["train"], field_of_task(stream.data, task))
    return list(dict.fromkeys(found))


def _absent(stream: Stream, task: Task, parts: dict[str, Samples], splits: Splits[Any]) -> Iterator[str]:
    """Classes, and answers of yes or no, that a split has none of and another has."""
    field, target = field_of_task(stream.data, task), task.target
    counts = {split: counts_of(part, field, target) for split, part in parts.items()}
    known = sum(counts.values()) > 0
    whole = TARGETS[target.kind].whole
    names = class_names(splits, stream, task) or [str(number) for number in range(target.channels)]
    for split, counted in counts.items():
        labelled = counted.sum(dim=1, keepdim=True) > 0  # a column without any label is another remark
        missing = torch.nonzero(known & labelled & (counted == 0)).tolist()
        if not missing:
            continue
        if whole:
            classes = named([names[place] for _, place in missing])
            what = f"is of the class {classes}" if len(missing) == 1 else f"is of the classes {classes}"
        else:
            what = _answers(missing, target.channels, task.columns)
        noun = "entry" if len(parts[split].shape_of(field)) > (0 if whole else 1) else "sample"
        effect = "they cannot be learned" if split == "train" else "the metrics there say nothing of them"
        yield f"`{task.name}`: no {split} {noun} {what}: {effect}; {_instead(stream, task, noun)}"


def _answers(missing: Sequence[Sequence[int]], columns: int, names: Sequence[str]) -> str:
    if columns == 1:
        return f"is a {('no', 'yes')[missing[0][1]]}"
    called = [f"`{name}`" for name in names] or [f"column {column}" for column in range(columns)]
    listed = [f"{('no', 'yes')[answer]} in {called[column]}" for column, answer in missing[:FIRST_SHOWN]]
    more = len(missing) - len(listed)
    return f"is {', nor '.join(listed)}{'' if names else ' (from 0)'}{f', and so of {more} more' if more else ''}"


def _instead(stream: Stream, task: Task, noun: str) -> str:
    """What may be done about a class that a split lacks."""
    options, keys = stream.data.options, {key.name for key in data_kind(stream.data.kind).block.keys or ()}
    parted = any(options.get(key) is not None for key in ("stratify", "group", "split"))
    if noun == "sample" and "stratify" in keys and not parted and not task.columns:  # it goes by one column
        return f'`stratify = "{field_of_task(stream.data, task)}"` in `data` gives every part its share'
    if "test" in keys:
        return "larger parts for `validation` and `test` may have some, or another `seed`"
    return "another `seed` may give it some" if "seed" in keys else "more samples would"


def _far_from_one(task: Task, samples: Samples, field: str) -> Iterator[str]:
    """Targets whose mean or deviation over the training labels is not of the size of what networks begin with."""
    rule = TARGETS[task.target.kind].loss(task.loss.name)
    if rule is None or rule.positive_only:  # of logarithms
        return
    most = max(1, _ENOUGH // max(1, math.prod(samples.shape_of(field))))
    scale = fitted_scale(samples.take(torch.arange(0, len(samples), -(-len(samples) // most))), field, task.target)
    for column, (mean, deviation) in enumerate(zip(scale.mean, scale.deviation, strict=True)):
        if abs(mean) > _FAR or not 1 / _FAR <= deviation <= _FAR:
            of = f"column `{task.columns[column]}`" if task.columns else f"column {column} (from 0)"
            where = f", {of}," if len(scale.mean) > 1 else ""
            yield (
                f"the training labels of `{task.name}`{where} have a mean of {mean:.4g} and a deviation of "
                f"{deviation:.4g}, and networks begin with answers about 0: {_scaled(task)}"
            )
            return


def _scaled(task: Task) -> str:
    positive = ", valid=positive" if task.target.valid == "positive" else ""
    return f"write `target = values({task.target.channels}{positive}, scale=standard)`, or divide them"
