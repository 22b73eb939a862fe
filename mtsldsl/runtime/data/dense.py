"""Data sets of images with fields for every pixel: what the tasks read of them, and samples of just that."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.datasets.kind import UNLABELLED
from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task
from mtsldsl.runtime.data.samples import Samples, Splits

_KINDS = {
    "label": FieldKind.LABEL,
    "depth": FieldKind.DEPTH,
    "normal": FieldKind.NORMAL,
    "edge": FieldKind.EDGE,
}


def wanted_fields(spec: Demand) -> dict[str, Target]:
    """The fields that the tasks read, the input left out, each with its target."""
    fields = {field.name: field for field in data_kind(spec.data.kind).fields}
    wanted: dict[str, Target] = {}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if task.target.kind == "reconstruct":
            continue
        field = fields[name]
        fixed = field.channels or task.target.channels
        if task.target.kind != field.target or task.target.channels != fixed:
            cause = f"the field `{name}` does not hold what `{task.name}` predicts"
            raise MtlError.of("MTL603", cause, f"its target is `{field.target}({fixed})`", task.span)
        if wanted.setdefault(name, task.target) != task.target:
            raise at_odds(name, task)
    if spec.data.input in wanted:
        cause = f"the input and a target are both called `{spec.data.input}`"
        raise MtlError.of("MTL603", cause, "give the input another name, such as `image`", spec.data.span)
    return wanted


def samples_of(
    spec: Demand, wanted: Mapping[str, Target], loaded: Mapping[str, Mapping[str, Tensor]]
) -> Splits[Samples]:
    """Only the wanted fields, the image under the input's name, and labels with the task's own `ignore`."""
    layout = {spec.data.input: FieldKind.IMAGE, **{name: _KINDS[name] for name in wanted}}
    made = {}
    for split, fields in loaded.items():
        tensors = {spec.data.input: fields["image"], **{name: fields[name] for name in wanted}}
        if "label" in wanted:
            tensors["label"] = _with_ignore(fields["label"], task_of(spec, "label"))
        made[split] = Samples(tensors, layout)
    return Splits(made["train"], made["validation"], made["test"])


def _with_ignore(labels: Tensor, task: Task) -> Tensor:
    """The labels with what the task ignores in place of the data set's own mark."""
    ignore = task.target.ignore
    unlabelled = labels == UNLABELLED
    if ignore == UNLABELLED or not unlabelled.any():
        return labels
    if ignore is None:
        cause = f"some pixels of `{task.name}` have no label"
        remedy = f"write target = classes({task.target.channels}, ignore={UNLABELLED})"
        raise MtlError.of("MTL603", cause, remedy, task.span)
    return torch.where(unlabelled, ignore, labels.to(torch.int16))


def task_of(spec: Demand, field: str) -> Task:
    """The first task that reads a field."""
    return next(task for task in spec.tasks if field_of_task(spec.data, task) == field)


def image_size(spec: Demand) -> tuple[int, int]:
    """Height and width of the input, an image of three channels, as every such block says."""
    _, height, width = spec.data.shape
    return height, width
