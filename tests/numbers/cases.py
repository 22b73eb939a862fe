"""Targets of every kind with entries that do not count, random predictions of them, and a network that gives those."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtsldsl.diagnostics import Source
from mtsldsl.ir import Spec, Target, Task
from mtsldsl.language import Named
from mtsldsl.language.targets import TARGETS, ObjectiveRule
from mtsldsl.runtime.data import FieldKind, Samples
from mtsldsl.sharing import Backbone, Sharing
from tests.records import TRAIN, data_of, gives, loss_of, metric_of

Array = NDArray[np.float64]

SAMPLES = 20


@attrs.frozen
class Case:
    """A kind of target in one of its forms, and what its field looks like."""

    name: str
    target: Target
    space: tuple[int, ...]

    @property
    def kind(self) -> FieldKind:
        """What the field is in a data set."""
        kinds = {"classes": FieldKind.LABEL, "binary": FieldKind.EDGE}
        return kinds.get(self.target.kind, FieldKind.PLAIN)


CASES = [
    Case(f"{name}{'-dense' if space else ''}", target, space)
    for name, target in {
        "classes": Target("classes", 4, 255),
        "classes-none": Target("classes", 4),
        "classes-first": Target("classes", 4, 0),
        "values": Target("values", 1),
        "values-positive": Target("values", 1, valid="positive"),
        "values-3": Target("values", 3),
        "unit_vectors": Target("unit_vectors", 3),
        "binary": Target("binary", 1),
        "binary-ignore": Target("binary", 1, -1),
        "binary-3": Target("binary", 3),
        "reconstruct": Target("reconstruct", 3),
    }.items()
    for space in ((), (4, 3))
]


def example(case: Case, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Predictions and a field of SAMPLES samples. A third of the entries does not count, and nothing of samples 3 to 9,
    so that whole batches are without a label."""
    target = case.target
    generator = torch.Generator().manual_seed(seed)
    shape = (SAMPLES, target.channels, *case.space)
    prediction = torch.randn(shape, generator=generator)
    labelled = torch.rand(shape, generator=generator) < 0.66
    labelled[3:10] = False
    if target.kind == "classes":
        labels = torch.randint(0, target.channels, (SAMPLES, *case.space), generator=generator)
        return prediction, torch.where(labelled[:, 0], labels, -1 if target.ignore is None else target.ignore)
    values = torch.randn(shape, generator=generator) * 2 + 0.3
    match target.kind:
        case "unit_vectors":
            values = torch.nn.functional.normalize(values, dim=1)
            return prediction, torch.where(labelled[:, :1], values, torch.nan if seed % 2 else 0.0)
        case "binary":
            values = (values > 0.5).float()
            return prediction, torch.where(labelled, values, torch.nan if target.ignore is None else target.ignore)
        case "values" if target.valid == "positive":
            return prediction + 1, torch.where(labelled, values.abs(), -values.abs())
    return prediction, torch.where(labelled, values, torch.nan)


def counted(case: Case, prediction: Tensor, field: Tensor) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Rows `(entries, channels)` of predictions and of truth, and which entries count; of labels `(entries, 1)`."""
    target = case.target
    p = prediction.double().movedim(1, -1).reshape(-1, target.channels).numpy()
    if target.kind == "classes":
        t = field.double().reshape(-1, 1).numpy()
        return p, t, (t >= 0) & (t != (np.nan if target.ignore is None else target.ignore))
    t = field.double().movedim(1, -1).reshape(-1, target.channels).numpy()
    valid = np.isfinite(t)
    if target.ignore is not None:
        valid &= t != target.ignore
    if target.valid == "positive":
        valid &= np.nan_to_num(t) > 0
    if target.kind == "unit_vectors":
        valid = np.repeat((valid & (t != 0)).any(1, keepdims=True) & np.isfinite(t).all(1, keepdims=True), 3, axis=1)
    return p, t, valid


def losses_of(case: Case) -> list[str]:
    return [rule.name for rule in TARGETS[case.target.kind].losses if fits(case, rule)]


def fits(case: Case, rule: ObjectiveRule) -> bool:
    """Whether a loss or metric is for such answers."""
    dense = bool(case.space)
    if (rule.dense_only and not dense) or (rule.sample_only and dense):
        return False
    return not rule.positive_only or case.target.valid == "positive"


def metrics_of(case: Case) -> tuple[Named, ...]:
    rules = TARGETS[case.target.kind].metrics
    return tuple(metric_of(case.target, rule.name) for rule in rules if fits(case, rule))


def field_of(name: str, case: Case) -> str:
    """Where the samples have the truth of a task: what is reconstructed is an input, which has a name of its own."""
    return f"{name}_again" if case.target.kind == "reconstruct" else name


def task_of(case: Case, loss: Named | None = None, name: str = "it") -> Task:
    shape = (case.target.channels, *case.space)
    again = field_of(name, case)
    read_again = {again: shape} if again != name else {}
    return Task(
        name,
        case.target,
        gives(shape, number=(1,), **read_again),
        loss or loss_of(case.target),
        metrics_of(case),
        field=again,
    )


def spec_of(tasks: tuple[Task, ...], batch: int = 7) -> Spec:
    """A spec of those tasks whose input is a sample's number, and what is to be reconstructed."""
    backbone = Backbone((), {})
    read_again = tuple((task.field_name, task.head.shape) for task in tasks if task.target.kind == "reconstruct")
    return Spec(
        data=attrs.evolve(data_of("arrays", "number", (1,), batch), more_inputs=read_again),
        tasks=tasks,
        layers=(),
        train=TRAIN,
        structure=None,
        sharing=Sharing.each(backbone, tuple(task.name for task in tasks)),
        history=(),
        source=Source("numbers.mtl", "mtl 1\n"),
    )


class Given(nn.Module):
    """Gives for the number of a sample what was predicted of it."""

    def __init__(self, predictions: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.predictions = predictions

    def forward(self, number: Tensor, *read_again: Tensor) -> dict[str, Tensor]:
        rows = number[:, 0].long()
        return {task: prediction[rows] for task, prediction in self.predictions.items()}


def samples_of(fields: Mapping[str, Tensor], cases: Mapping[str, Case]) -> Samples:
    number = torch.arange(SAMPLES).float().unsqueeze(1)
    layout = {"number": FieldKind.PLAIN, **{field_of(name, case): case.kind for name, case in cases.items()}}
    return Samples({"number": number, **{field_of(name, cases[name]): each for name, each in fields.items()}}, layout)
