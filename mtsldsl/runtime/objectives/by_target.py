"""What each kind of target is learned and measured by: one entry a kind.

`mtsldsl.language.targets` says what of it a spec may write; which entries count is `runtime.data.masks`' to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Named
from mtsldsl.runtime.data.array_fields import directions
from mtsldsl.runtime.data.masks import as_float
from mtsldsl.runtime.objectives import answers, losses, metrics, scores, soft_losses
from mtsldsl.runtime.objectives.answers import Values
from mtsldsl.runtime.objectives.losses import Loss
from mtsldsl.runtime.objectives.metrics import Builder, Pairs, mean
from mtsldsl.runtime.objectives.soft_losses import SoftLoss


@attrs.frozen
class Objectives:
    """Losses and metrics by name, what a batch is made ready with for the metrics, the constants that may be the best
    answer, and what an output of the head says, `predicted`, with the `scores` of each answer that there could be, and
    the loss against the answers of a teacher, `soft`; None where a teacher has nothing to say, as all of the target is
    known."""

    losses: Mapping[str, Callable[[Target, Named], Loss]]
    pairs: Callable[[Task, Tensor, Tensor], Pairs]
    metrics: Mapping[str, Builder]
    answers: Callable[[Task, Sequence[Values]], Iterator[Tensor]]
    predicted: Callable[[Tensor], Tensor]
    scores: Callable[[Tensor], Tensor] | None = None
    soft: SoftLoss | None = None


OBJECTIVES: Mapping[str, Objectives] = {
    "classes": Objectives(
        {
            "cross_entropy": losses.cross_entropy,
            "class_balanced": losses.class_balanced,
            "focal": losses.focal,
            "dice": losses.dice,
        },
        metrics.class_pairs,
        {
            "miou": metrics.of_confusion(metrics.mean_iou),
            "pixel_accuracy": mean(metrics.hits),
            "accuracy": mean(metrics.hits),
            "error": mean(metrics.hits, finish=lambda accuracy: 1 - accuracy),
            "macro_f1": metrics.of_confusion(metrics.macro_f1),
            "auroc": scores.auroc,
            "average_precision": scores.average_precision,
            "calibration_error": scores.calibration_error,
        },
        answers.commonest_class,
        lambda output: output.argmax(dim=1),
        scores=lambda output: as_float(output).softmax(dim=1),
        soft=soft_losses.cross_entropy,
    ),
    "values": Objectives(
        {
            "l1": losses.absolute,
            "mse": losses.squared,
            "rmse": losses.root_mean_squared,
            "huber": losses.huber,
            "silog": losses.scale_invariant_log,
        },
        metrics.value_pairs,
        {
            "rmse": mean(lambda pairs: metrics.difference(pairs).square(), finish=torch.sqrt),
            "rmse_log": mean(lambda pairs: metrics.log_difference(pairs).square(), finish=torch.sqrt),
            "silog": metrics.silog,
            "abs_rel": mean(
                lambda pairs: metrics.difference(pairs).abs() / pairs.target.abs(), valid=metrics.other_than_zero
            ),
            "delta1": mean(metrics.near),
            "mae": mean(lambda pairs: metrics.difference(pairs).abs()),
            "r2": metrics.r2,
        },
        answers.centres,
        as_float,
        soft=soft_losses.absolute,
    ),
    "unit_vectors": Objectives(
        {"cosine": losses.cosine, "l1": losses.unit_l1},
        metrics.angle_pairs,
        {
            "mean_angle": mean(lambda pairs: pairs.prediction),
            "median_angle": metrics.median_angle,
            "within": metrics.within,
        },
        answers.directions,
        lambda output: directions(as_float(output)),
        soft=soft_losses.cosine,
    ),
    "binary": Objectives(
        {
            "bce": losses.bce,
            "balanced_bce": losses.balanced_bce,
            "focal": losses.binary_focal,
            "dice": losses.binary_dice,
        },
        metrics.value_pairs,
        {
            "f1": metrics.f1,
            "f1_best": metrics.f1_best,
            "bce": mean(metrics.binary_entropy),
            "accuracy": mean(metrics.right_side),
            "auroc": scores.auroc,
            "average_precision": scores.average_precision,
            "calibration_error": scores.calibration_error,
        },
        answers.share_of_yes,
        lambda output: as_float(output).sigmoid(),
        soft=soft_losses.bce,
    ),
    "reconstruct": Objectives(
        {"mse": losses.squared, "l1": losses.absolute},
        metrics.value_pairs,
        {
            "mse": mean(lambda pairs: metrics.difference(pairs).square()),
            "mae": mean(lambda pairs: metrics.difference(pairs).abs()),
        },
        answers.centres,
        as_float,
    ),
}
"""By the kind's name. A loss is made from the target and the loss with its arguments, a metric from the task, the
metric with its arguments and a device."""


def make_loss(target: Target, loss: Named) -> Loss:
    """The loss of that name for that kind of target."""
    return OBJECTIVES[target.kind].losses[loss.name](target, loss)


def make_soft_loss(target: Target, loss: Named) -> Loss | None:
    """The loss against a teacher's answers of a task with that loss, None where teachers have nothing to say."""
    made = OBJECTIVES[target.kind].soft
    return None if made is None else made(loss)


def answers_of(task: Task, output: Tensor, *, scores: bool = False) -> dict[str, Tensor]:
    """What an output of a task's head, `(n, channels[, ...])` with channels first, says, under the task's name.

    `classes`: the number of the class of the largest logit, int64 `(n[, ...])`, and with `scores` under `<task>/scores`
    the probability of each class. `binary`: the probability of yes. `unit_vectors`: vectors of length 1, or 0 where the
    head gives 0. `values` and `reconstruct`: the numbers themselves. All but classes float32, in the output's shape.
    """
    kind = OBJECTIVES[task.target.kind]
    found = {task.name: kind.predicted(output)}
    if scores and kind.scores is not None:
        found[f"{task.name}/scores"] = kind.scores(output)
    return found
