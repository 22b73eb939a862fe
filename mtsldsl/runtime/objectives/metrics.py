"""The metrics of every kind of target, accumulated over a whole set and read once at its end.

Metrics count the entries that the task's loss learns from (`masks.valid_entries`). Where a target of `values`, `binary`
or `reconstruct` has several channels, each metric is taken by channel and then averaged over those that have entries.
torchmetrics is imported when the first batch arrives, because importing it takes over a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Task
from mtsldsl.language.constants import Named
from mtsldsl.language.targets import TARGETS, metric_key
from mtsldsl.runtime.data.masks import aligned, labels_of, only, valid_entries

if TYPE_CHECKING:
    from torchmetrics import Metric

DELTA = 1.25
"""Bound of `delta1` on the ratio of prediction and target (Eigen et al. 2014)."""


class Pairs(NamedTuple):
    """A batch made ready for every metric of its kind.

    `classes`: predicted class and label, int64. `unit_vectors`: the angle between the two in degrees as prediction,
    with no target. `binary`: logits and truth. Else the values. `valid` has the same shape."""

    prediction: Tensor
    target: Tensor
    valid: Tensor


class Measurement(NamedTuple):
    """One metric: its state, how a batch is added, and how the state becomes the value."""

    state: Metric
    add: Callable[[Pairs], None]
    read: Callable[[], Tensor]


Builder: TypeAlias = Callable[[Task, Named, torch.device], Measurement]


def higher_is_better(key: str) -> bool:
    """Whether larger values of the metric reported under that key are better.

    Raises MtlError MTL107 where no metric has that name.
    """
    directions = {rule.name: rule.higher_is_better for kind in TARGETS.values() for rule in kind.metrics}
    name = key if key in directions else key.rpartition("_")[0]
    if name not in directions:
        raise MtlError.of("MTL107", f"no metric is called `{key}`", f"use one of {', '.join(sorted(directions))}")
    return directions[name]


class MetricSet:
    """The metrics of one task over one set. Its state lives on the device of the first batch."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._measurements: dict[str, Measurement] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of `compute`, in the order of the spec."""
        return tuple(metric_key(metric) for metric in self.task.metrics)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch: the head's output `(n, c[, h, w])` and the target of the task's field. Does not synchronise."""
        if not self._measurements:
            self._measurements = _build(self.task, prediction.device)
        with torch.no_grad():
            pairs = _PAIRS[self.task.target.kind](self.task, prediction.detach(), target)
            for measurement in self._measurements.values():
                measurement.add(pairs)

    def compute(self) -> dict[str, float]:
        """Every metric over all batches since the last reset, the mean over its columns that have a value.

        A metric that nothing valid went into is NaN. Raises MtlError MTL804 where there was no batch.
        """
        return {name: _mean_of(values) for name, values in self.columns().items()}

    def columns(self) -> dict[str, list[float]]:
        """Every metric by column of the target, read from the device at once; one column where it takes all together.

        Raises MtlError MTL804 where there was no batch."""
        if not any(measurement.state.update_called for measurement in self._measurements.values()):
            raise MtlError.of(
                "MTL804",
                f"there was no batch to measure task `{self.task.name}` on",
                "give a set with at least one image",
                self.task.span,
            )
        read = [measurement.read().reshape(-1) for measurement in self._measurements.values()]
        values = iter(torch.cat([each.to(torch.promote_types(each.dtype, torch.float32)) for each in read]).tolist())
        return {
            name: [next(values) for _ in range(len(each))] for name, each in zip(self._measurements, read, strict=True)
        }

    @property
    def has_columns(self) -> bool:
        """Whether the target has several columns, which are measured each by itself."""
        return _columns(self.task) > 1

    def reset(self) -> None:
        """Forget every batch."""
        for measurement in self._measurements.values():
            measurement.state.reset()

    def higher_is_better(self, name: str) -> bool:
        """Whether larger values of the metric of that key are better."""
        return higher_is_better(name)


def make_metrics(task: Task) -> MetricSet:
    """The metrics of a task, ready for the first batch. Raises MtlError MTL306 where one does not fit its target."""
    for metric in task.metrics:
        if metric.name not in METRICS[task.target.kind]:
            raise MtlError.of(
                "MTL306",
                f"the metric `{metric.name}` does not fit a target of {task.target.kind}",
                f"use one of {', '.join(METRICS[task.target.kind])}",
                metric.span,
            )
    return MetricSet(task)


def _mean_of(columns: list[float]) -> float:
    valued = [value for value in columns if not math.isnan(value)]
    return fmean(valued) if valued else math.nan


def _build(task: Task, device: torch.device) -> dict[str, Measurement]:
    builders = METRICS[task.target.kind]
    return {metric_key(metric): builders[metric.name](task, metric, device) for metric in task.metrics}


def _columns(task: Task) -> int:
    """How many columns the metrics of a task are taken by: a class or a direction is one answer."""
    return 1 if task.target.kind in ("classes", "unit_vectors") else task.target.channels


def _class_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    return Pairs(prediction.argmax(dim=1), *labels_of(task.target, target, 0))


def _angle_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    prediction, target = aligned(prediction, target)
    valid = valid_entries(task.target, target)
    return Pairs(angles(prediction, only(valid, target)), target, valid)


def _value_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    prediction, target = aligned(prediction, target)
    valid = valid_entries(task.target, target)
    return Pairs(prediction, only(valid, target), valid)


_PAIRS: Mapping[str, Callable[[Task, Tensor, Tensor], Pairs]] = {
    "classes": _class_pairs,
    "values": _value_pairs,
    "unit_vectors": _angle_pairs,
    "binary": _value_pairs,
    "reconstruct": _value_pairs,
}


def angles(prediction: Tensor, target: Tensor) -> Tensor:
    """The angle in degrees between vectors `(n, 3[, h, w])` of any length, `(n, 1[, h, w])`.

    Two-argument arc tangent, because the arc cosine loses half the digits at small angles. A zero vector has no
    direction: 90 degrees, as far from right as from wrong.
    """
    across = torch.linalg.vector_norm(torch.linalg.cross(prediction, target, dim=1), dim=1, keepdim=True)
    along = (prediction * target).sum(dim=1, keepdim=True)
    directed = (across != 0) | (along != 0)
    return torch.where(directed, torch.rad2deg(torch.atan2(across, along)), 90.0)


def _mean(
    values: Callable[[Pairs], Tensor],
    *,
    valid: Callable[[Pairs], Tensor] = lambda pairs: pairs.valid,
    finish: Callable[[Tensor], Tensor] = lambda mean: mean,
) -> Builder:
    """A metric that is a function of the mean of some value over the valid entries."""

    def build(task: Task, _: Named, device: torch.device) -> Measurement:
        from mtsldsl.runtime.objectives.accumulators import MaskedMean

        state = MaskedMean(_columns(task), device)
        return Measurement(
            state, lambda pairs: state.update(values(pairs), valid(pairs)), lambda: finish(state.compute())
        )

    return build


def _difference(pairs: Pairs) -> Tensor:
    return pairs.prediction - pairs.target


def _other_than_zero(pairs: Pairs) -> Tensor:
    return pairs.valid & (pairs.target != 0)


def _near(pairs: Pairs) -> Tensor:
    """Whether each is less than DELTA times the other, which numbers of different sign, or 0, never are."""
    prediction, target = pairs.prediction.abs(), pairs.target.abs()
    same_sign = pairs.prediction * pairs.target > 0
    return (same_sign & (prediction < DELTA * target) & (target < DELTA * prediction)).float()


def _right_side(pairs: Pairs) -> Tensor:
    return ((pairs.prediction > 0) == (pairs.target > 0.5)).float()


def _hits(pairs: Pairs) -> Tensor:
    return (pairs.prediction == pairs.target).float()


def _binary_entropy(pairs: Pairs) -> Tensor:
    return F.binary_cross_entropy_with_logits(pairs.prediction, pairs.target, reduction="none")


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean over classes of intersection over union, from a confusion matrix `(classes, classes)`.

    A class that is neither predicted nor in the truth is left out; with none left it is NaN.
    """
    hits = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    return (hits / union.clamp(min=1)).sum() / (union > 0).sum()


def macro_f1(confusion: Tensor) -> Tensor:
    """Mean over classes of F1, from a confusion matrix `(classes, classes)`; those count that do in `mean_iou`."""
    hits = confusion.diagonal()
    both = confusion.sum(0) + confusion.sum(1)
    return (2 * hits / both.clamp(min=1)).sum() / (both > 0).sum()


def _of_confusion(value: Callable[[Tensor], Tensor]) -> Builder:
    """A metric that is a function of the confusion matrix."""

    def build(task: Task, _: Named, device: torch.device) -> Measurement:
        from mtsldsl.runtime.objectives.accumulators import Confusion

        state = Confusion(task.target.channels, device)

        def add(pairs: Pairs) -> None:
            state.update(pairs.prediction, torch.where(pairs.valid, pairs.target, -1))

        return Measurement(state, add, lambda: value(state.compute()))

    return build


def _r2(task: Task, _: Named, device: torch.device) -> Measurement:
    from mtsldsl.runtime.objectives.accumulators import R2

    state = R2(_columns(task), device)
    return Measurement(state, lambda pairs: state.update(*pairs), state.compute)


def _median_angle(_: Task, __: Named, device: torch.device) -> Measurement:
    from mtsldsl.runtime.objectives.accumulators import AngleHistogram

    state = AngleHistogram(device)
    return Measurement(state, lambda pairs: state.update(pairs.prediction, pairs.valid), state.compute)


def _within(task: Task, metric: Named, device: torch.device) -> Measurement:
    degrees = cast(float, metric.arguments.get("degrees", 11.25))
    return _mean(lambda pairs: (pairs.prediction < degrees).float())(task, metric, device)


def _f1(task: Task, metric: Named, device: torch.device) -> Measurement:
    from mtsldsl.runtime.objectives.accumulators import F1

    threshold = float(cast(float, metric.arguments.get("threshold", 0.5)))
    state = F1(_columns(task), device)

    def add(pairs: Pairs) -> None:
        state.update(pairs.prediction.sigmoid() > threshold, pairs.target > 0.5, pairs.valid)

    return Measurement(state, add, state.compute)


METRICS: Mapping[str, Mapping[str, Builder]] = {
    "classes": {
        "miou": _of_confusion(mean_iou),
        "pixel_accuracy": _mean(_hits),
        "accuracy": _mean(_hits),
        "error": _mean(_hits, finish=lambda accuracy: 1 - accuracy),
        "macro_f1": _of_confusion(macro_f1),
    },
    "values": {
        "rmse": _mean(lambda pairs: _difference(pairs).square(), finish=torch.sqrt),
        "abs_rel": _mean(lambda pairs: _difference(pairs).abs() / pairs.target.abs(), valid=_other_than_zero),
        "delta1": _mean(_near),
        "mae": _mean(lambda pairs: _difference(pairs).abs()),
        "r2": _r2,
    },
    "unit_vectors": {
        "mean_angle": _mean(lambda pairs: pairs.prediction),
        "median_angle": _median_angle,
        "within": _within,
    },
    "binary": {"f1": _f1, "bce": _mean(_binary_entropy), "accuracy": _mean(_right_side)},
    "reconstruct": {
        "mse": _mean(lambda pairs: _difference(pairs).square()),
        "mae": _mean(lambda pairs: _difference(pairs).abs()),
    },
}
"""For each kind of target its metrics, each made from the task, the metric with its arguments and a device."""
