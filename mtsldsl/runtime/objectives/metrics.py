"""The metrics of every kind of target, accumulated over a whole set and read once at its end.

Metrics count the entries that the task's loss learns from (`masks.valid_entries`). Where a target of `values`, `binary`
or `reconstruct` has several channels, each metric is taken by channel and then averaged over those that have entries.
torchmetrics is imported when the first batch arrives, because importing it takes over a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.ir.task_record import Task
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data.masks import aligned, labels_of, only, valid_entries
from mtsldsl.runtime.objectives.losses import LEAST, sum_dtype

if TYPE_CHECKING:
    from torchmetrics import Metric

    from mtsldsl.runtime.objectives.best_threshold import F1Curve

DELTA = 1.25
"""Bound of `delta1` on the ratio of prediction and target (Eigen et al. 2014)."""


class Pairs(NamedTuple):
    """A batch made ready for every metric of its kind.

    `classes`: predicted class and label, int64. `unit_vectors`: the angle between the two in degrees as prediction,
    with no target. `binary`: logits and truth. Else the values. `valid` has the same shape. `scores` are the logits
    of all classes, `(n, c[, h, w])`, or None."""

    prediction: Tensor
    target: Tensor
    valid: Tensor
    scores: Tensor | None = None


class Measurement(NamedTuple):
    """One metric: its state, how a batch is added, and how the state becomes the value; `curve` is that state where the
    metric is taken at thresholds that may be chosen or given."""

    state: Metric
    add: Callable[[Pairs], None]
    read: Callable[[], Tensor]
    curve: F1Curve | None = None


Builder: TypeAlias = Callable[[Task, Named, torch.device], Measurement]


def columns_of(task: Task) -> int:
    """How many columns the metrics of a task are taken by: a class or a direction is one answer."""
    return 1 if TARGETS[task.target.kind].whole else task.target.channels


def class_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    """The class of the largest logit, and the labels."""
    return Pairs(prediction.argmax(dim=1), *labels_of(task.target, target, 0), prediction)


def angle_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    """The angles between what is predicted and given."""
    prediction, target = aligned(prediction, target)
    valid = valid_entries(task.target, target)
    return Pairs(angles(prediction, only(valid, target)), target, valid)


def value_pairs(task: Task, prediction: Tensor, target: Tensor) -> Pairs:
    """Both as they are, the target 0 where it does not count."""
    prediction, target = aligned(prediction, target)
    valid = valid_entries(task.target, target)
    return Pairs(prediction, only(valid, target), valid)


def angles(prediction: Tensor, target: Tensor) -> Tensor:
    """The angle in degrees between vectors `(n, 3[, h, w])` of any length, `(n, 1[, h, w])`.

    Two-argument arc tangent, because the arc cosine loses half the digits at small angles. A zero vector has no
    direction: 90 degrees, as far from right as from wrong.
    """
    # of a length whose square is no number of its type
    prediction = prediction / prediction.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(prediction.dtype).tiny)
    across = torch.linalg.vector_norm(torch.linalg.cross(prediction, target, dim=1), dim=1, keepdim=True)
    along = (prediction * target).sum(dim=1, keepdim=True)
    directed = (across != 0) | (along != 0)
    return torch.where(directed, torch.rad2deg(torch.atan2(across, along)), 90.0)


def mean(
    values: Callable[[Pairs], Tensor],
    *,
    valid: Callable[[Pairs], Tensor] = lambda pairs: pairs.valid,
    finish: Callable[[Tensor], Tensor] = lambda mean: mean,
) -> Builder:
    """A metric that is a function of the mean of some value over the valid entries."""

    def build(task: Task, _: Named, device: torch.device) -> Measurement:
        from mtsldsl.runtime.objectives.accumulators import MaskedMean

        state = MaskedMean(columns_of(task), device)
        return Measurement(
            state, lambda pairs: state.update(values(pairs), valid(pairs)), lambda: finish(state.compute())
        )

    return build


def difference(pairs: Pairs) -> Tensor:
    """Prediction minus target, in a type that can hold its square."""
    found = pairs.prediction - pairs.target
    return found.to(sum_dtype(found.device))


def log_difference(pairs: Pairs) -> Tensor:
    """The logarithm of the prediction minus that of the target; of LEAST where one is less."""
    prediction, target = (each.to(sum_dtype(each.device)) for each in (pairs.prediction, pairs.target))
    return prediction.clamp(min=LEAST).log() - target.clamp(min=LEAST).log()


def silog(task: Task, _: Named, device: torch.device) -> Measurement:
    """The root of the variance of the differences of the logarithms (Eigen et al. 2014; without the 100 of KITTI)."""
    from mtsldsl.runtime.objectives.accumulators import R2

    state = R2(columns_of(task), device)

    def add(pairs: Pairs) -> None:
        state.update(log_difference(pairs) * 0, log_difference(pairs), pairs.valid)

    return Measurement(state, add, lambda: (state.squares / state.count).sqrt())


def other_than_zero(pairs: Pairs) -> Tensor:
    """The valid targets that something can be relative to."""
    return pairs.valid & (pairs.target != 0)


def near(pairs: Pairs) -> Tensor:
    """Whether each is less than DELTA times the other, which numbers of different sign, or 0, never are."""
    prediction, target = pairs.prediction.abs(), pairs.target.abs()
    same_sign = (pairs.prediction.sign() == pairs.target.sign()) & (pairs.target != 0)
    return (same_sign & (prediction < DELTA * target) & (target < DELTA * prediction)).float()


def right_side(pairs: Pairs) -> Tensor:
    """1 where the sign of the logit is that of the answer."""
    return ((pairs.prediction > 0) == (pairs.target > 0.5)).float()


def hits(pairs: Pairs) -> Tensor:
    """1 where the class is right."""
    return (pairs.prediction == pairs.target).float()


def binary_entropy(pairs: Pairs) -> Tensor:
    """Binary cross entropy of logits, one by one."""
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


def of_confusion(value: Callable[[Tensor], Tensor]) -> Builder:
    """A metric that is a function of the confusion matrix."""

    def build(task: Task, _: Named, device: torch.device) -> Measurement:
        from mtsldsl.runtime.objectives.accumulators import Confusion

        state = Confusion(task.target.channels, device)

        def add(pairs: Pairs) -> None:
            state.update(pairs.prediction, torch.where(pairs.valid, pairs.target, -1))

        return Measurement(state, add, lambda: value(state.compute()))

    return build


def r2(task: Task, _: Named, device: torch.device) -> Measurement:
    """The coefficient of determination."""
    from mtsldsl.runtime.objectives.accumulators import R2

    state = R2(columns_of(task), device)
    return Measurement(state, lambda pairs: state.update(*pairs[:3]), state.compute)


def median_angle(_: Task, __: Named, device: torch.device) -> Measurement:
    """The median of the angles, in degrees."""
    from mtsldsl.runtime.objectives.accumulators import AngleHistogram

    state = AngleHistogram(device)
    return Measurement(state, lambda pairs: state.update(pairs.prediction, pairs.valid), state.compute)


def within(task: Task, metric: Named, device: torch.device) -> Measurement:
    """The share of angles below a number of degrees."""
    degrees = number(metric.arguments, "degrees")
    return mean(lambda pairs: (pairs.prediction < degrees).float())(task, metric, device)


def f1(task: Task, metric: Named, device: torch.device) -> Measurement:
    """F1 of yes, which a probability above the threshold is."""
    from mtsldsl.runtime.objectives.accumulators import F1

    threshold = number(metric.arguments, "threshold")
    state = F1(columns_of(task), device)

    def add(pairs: Pairs) -> None:
        state.update(pairs.prediction.sigmoid() > threshold, pairs.target > 0.5, pairs.valid)

    return Measurement(state, add, state.compute)


def f1_best(task: Task, _: Named, device: torch.device) -> Measurement:
    """F1 of yes, which a probability above the best threshold is, or above the one that is given."""
    from mtsldsl.runtime.objectives.best_threshold import F1Curve

    state = F1Curve(columns_of(task), device)

    def add(pairs: Pairs) -> None:
        state.update(pairs.prediction.sigmoid(), pairs.target > 0.5, pairs.valid)

    return Measurement(state, add, state.compute, state)
