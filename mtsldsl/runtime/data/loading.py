"""The data set of a spec: found, loaded as far as the tasks need it, and split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.ir.model import Spec, Target, Task
from mtsldsl.language.splits import rooms
from mtsldsl.language.targets import FIELDS, field_of
from mtsldsl.runtime.data.array_fields import Expected
from mtsldsl.runtime.data.arrays import arrays
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.nyuv2 import nyuv2
from mtsldsl.runtime.data.place import located
from mtsldsl.runtime.data.recordings import IGNORED
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.scenes import CLASSES, scenes

_KINDS = {
    "label": FieldKind.LABEL,
    "depth": FieldKind.DEPTH,
    "normal": FieldKind.NORMAL,
    "edge": FieldKind.EDGE,
}


def load_data(spec: Spec, recorded: Path | None = None) -> Splits:
    """The samples of `spec.data`, with the input and the fields that the tasks need.

    A relative `root` or `path` is looked for from the working folder, then from the spec's own; then the data is taken
    from `recorded`, where a run found it. Raises MTL601 for a
    data set that is not there, saying how to get it, MTL602 for files that are not as they should be, MTL603 for a
    field that the data set lacks, MTL804 for fewer training samples than a batch.
    """
    try:
        place = located(spec, recorded)
        splits = _scenes(spec) if place is None else {"nyuv2": _nyuv2, "arrays": _arrays}[spec.data.kind](spec, place)
    except MtlError as error:
        # what reads files knows nothing of specs: the place is added here, once
        raise MtlError(attrs.evolve(found, span=found.span or spec.data.span) for found in error.diagnostics) from error
    for name, samples in splits.named():
        least = spec.data.batch if name == "train" else 1
        if len(samples) < least:
            cause = f"there are {len(samples)} {name} samples, fewer than {'a batch' if least > 1 else 'one'}"
            raise MtlError.of("MTL804", cause, "give more samples, or a smaller `batch`", spec.data.span)
    return attrs.evolve(splits, path=place)


def _scenes(spec: Spec) -> Splits:
    fields = _wanted(spec)
    height, width = _image_size(spec)
    if "label" in fields and fields["label"].channels != len(CLASSES):
        task = _task_of(spec, "label")
        cause = f"rendered rooms have {len(CLASSES)} classes, not {fields['label'].channels}"
        raise MtlError.of("MTL603", cause, f"write target = classes({len(CLASSES)}): {', '.join(CLASSES)}", task.span)
    counts = rooms(_whole(spec, "images", 512), _part(spec, "validation", 0.1), _part(spec, "test", 0.2))
    if min(counts) < 1:
        raise MtlError.of(
            "MTL804", "too few rooms to train, validate and test on", "ask for at least 8", spec.data.span
        )
    rendered = scenes(*counts, seed=_whole(spec, "seed", 0), height=height, width=width)
    return _splits(spec, fields, rendered)


def _nyuv2(spec: Spec, place: Path) -> Splits:
    fields = _wanted(spec)
    size = _image_size(spec)
    channels = {"image": 3} | {name: target.channels for name, target in fields.items()}
    loaded = nyuv2(place, size, channels, validation=_part(spec, "validation", 0.1), seed=_whole(spec, "seed", 0))
    return _splits(spec, fields, loaded)


def _arrays(spec: Spec, place: Path) -> Splits:
    shape = spec.data.shape
    expected = {spec.data.input: Expected(FieldKind.IMAGE if len(shape) == 3 else FieldKind.PLAIN, shape)}
    for task in spec.tasks:
        name = field_of_task(spec, task)
        if name == spec.data.input:
            continue
        found = _expected(name, task)
        if expected.setdefault(name, found) != found:
            raise _at_odds(name, task)
    loaded = arrays(
        place,
        expected,
        validation=_part(spec, "validation", 0.1),
        test=_part(spec, "test", 0.2),
        seed=_whole(spec, "seed", 0),
    )
    layout = {name: wanted.kind for name, wanted in expected.items()}
    samples = {split: Samples(fields, layout) for split, fields in loaded.splits.items()}
    return Splits(samples["train"], samples["validation"], samples["test"], loaded.remarks)


def _expected(name: str, task: Task) -> Expected:
    """What the array of a task's target holds; per pixel where the head's output is an image."""
    target, space = task.target, task.head.shape[1:]
    if target.kind == "classes":
        return Expected(FieldKind.LABEL, space, target)
    if target.kind == "binary":
        kind = FieldKind.EDGE
    elif target.kind == "unit_vectors" and space:
        kind = FieldKind.NORMAL
    else:
        # only what is called depth is taken to be divided by a scale
        kind = FieldKind.DEPTH if name == "depth" and space and target.channels == 1 else FieldKind.PLAIN
    return Expected(kind, (target.channels, *space), target)


def _wanted(spec: Spec) -> dict[str, Target]:
    """The fields of scenes or nyuv2 that the tasks read, the input left out, each with its target."""
    kinds = {name: kind for kind, name in FIELDS[spec.data.kind].items()}
    wanted: dict[str, Target] = {}
    for task in spec.tasks:
        name = field_of_task(spec, task)
        if task.target.kind == "reconstruct":
            continue
        if name not in kinds:
            cause = f"the data set `{spec.data.kind}` has no field `{name}`"
            raise MtlError.of("MTL603", cause, suggestion(name, kinds, "fields"), task.span)
        fixed = {"depth": 1, "normal": 3, "edge": 1}.get(name, task.target.channels)
        if task.target.kind != kinds[name] or task.target.channels != fixed:
            cause = f"the field `{name}` does not hold what `{task.name}` predicts"
            raise MtlError.of("MTL603", cause, f"its target is `{kinds[name]}({fixed})`", task.span)
        if wanted.setdefault(name, task.target) != task.target:
            raise _at_odds(name, task)
    if spec.data.input in wanted:
        cause = f"the input and a target are both called `{spec.data.input}`"
        raise MtlError.of("MTL603", cause, "give the input another name, such as `image`", spec.data.span)
    return wanted


def _at_odds(name: str, task: Task) -> MtlError:
    cause = f"`{task.name}` reads `{name}` otherwise than an earlier task"
    return MtlError.of("MTL603", cause, "give both tasks the same target, or a field each", task.span)


def _splits(spec: Spec, wanted: Mapping[str, Target], loaded: Mapping[str, Mapping[str, Tensor]]) -> Splits:
    """Only the wanted fields, the image under the input's name, and labels with the task's own `ignore`."""
    layout = {spec.data.input: FieldKind.IMAGE, **{name: _KINDS[name] for name in wanted}}
    made = {}
    for split, fields in loaded.items():
        tensors = {spec.data.input: fields["image"], **{name: fields[name] for name in wanted}}
        if "label" in wanted:
            tensors["label"] = _with_ignore(fields["label"], _task_of(spec, "label"))
        made[split] = Samples(tensors, layout)
    return Splits(made["train"], made["validation"], made["test"])


def _with_ignore(labels: Tensor, task: Task) -> Tensor:
    """The labels with what the task ignores in place of the data set's own mark."""
    ignore = task.target.ignore
    unlabelled = labels == IGNORED
    if ignore == IGNORED or not unlabelled.any():
        return labels
    if ignore is None:
        cause = f"some pixels of `{task.name}` have no label"
        remedy = f"write target = classes({task.target.channels}, ignore={IGNORED})"
        raise MtlError.of("MTL603", cause, remedy, task.span)
    return torch.where(unlabelled, ignore, labels.to(torch.int16))


def field_of_task(spec: Spec, task: Task) -> str:
    """The field of the samples that holds a task's target."""
    if task.target.kind == "reconstruct":
        return spec.data.input
    return task.field or field_of(spec.data.kind, task.target.kind) or task.name


def _task_of(spec: Spec, field: str) -> Task:
    return next(task for task in spec.tasks if field_of_task(spec, task) == field)


def _image_size(spec: Spec) -> tuple[int, int]:
    shape = spec.data.shape
    if len(shape) != 3 or shape[0] != 3:
        cause = (
            f"the data set `{spec.data.kind}` has images of 3 channels, but the input is {' x '.join(map(str, shape))}"
        )
        raise MtlError.of("MTL602", cause, f"write input = {spec.data.input}(3, height, width)", spec.data.span)
    return shape[1], shape[2]


def _whole(spec: Spec, option: str, default: int) -> int:
    return int(str(spec.data.options.get(option, default)))


def _part(spec: Spec, option: str, default: float) -> float:
    return float(str(spec.data.options.get(option, default)))
