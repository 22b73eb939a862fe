"""Metrics of the scores of answers, and not of the answers alone: whether they rank, and whether they are to be trusted
as probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from mtsldsl.ir.task_record import Task
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import integer
from mtsldsl.runtime.objectives.metrics import Measurement, Pairs, columns_of

if TYPE_CHECKING:
    from mtsldsl.runtime.objectives.accumulators import KeptScores

Ranked: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A value of scores `(entries,)` and of whether each is of what was asked for, of which some are and some are not."""


def auroc(task: Task, _: Named, device: torch.device) -> Measurement:
    """The area under the curve of true against false positives; of classes the mean of each against the rest."""
    from torchmetrics.functional.classification import binary_auroc

    return _of_scores(task, device, binary_auroc)


def average_precision(task: Task, _: Named, device: torch.device) -> Measurement:
    """The mean of the precisions at each threshold, weighted by how much of the recall it adds; of classes the mean of
    each against the rest."""
    from torchmetrics.functional.classification import binary_average_precision

    return _of_scores(task, device, binary_average_precision)


def _in_order(scores: Tensor) -> Tensor:
    """The scores as numbers from 0 to 1 in the same order: as probabilities many of them would be 1."""
    place: Tensor = torch.unique(scores, return_inverse=True)[1].double()
    return place / place.max().clamp(min=1)


def _of_scores(task: Task, device: torch.device, value: Ranked) -> Measurement:
    from mtsldsl.runtime.objectives.accumulators import KeptScores

    state = KeptScores(device)

    def add(pairs: Pairs) -> None:
        if pairs.scores is None:
            state.update(pairs.prediction, torch.where(pairs.valid, pairs.target, -1.0))
        else:
            state.update(pairs.scores.float().softmax(dim=1), torch.where(pairs.valid, pairs.target, -1))

    whole = task.target.kind == "classes"
    return Measurement(state, add, lambda: (_of_classes if whole else _of_columns)(state, value))


def _of_classes(state: KeptScores, value: Ranked) -> Tensor:
    """The mean over the classes of which some entries are and some are not."""
    scores, labels = state.entries()
    scores, labels = scores[labels[:, 0] >= 0], labels[labels[:, 0] >= 0, 0]
    found = [_asked(value, scores[:, each], labels == each) for each in range(scores.shape[1])]
    return torch.stack(found).nanmean().reshape(1)


def _of_columns(state: KeptScores, value: Ranked) -> Tensor:
    """The value of each column, `(columns,)`."""
    scores, truth = state.entries()
    valid = truth >= 0
    columns = range(scores.shape[1])
    return torch.stack(
        [_asked(value, scores[valid[:, each], each], truth[valid[:, each], each] > 0.5) for each in columns]
    )


def _asked(value: Ranked, scores: Tensor, true: Tensor) -> Tensor:
    """The value, NaN where there is nothing to rank."""
    if bool(true.all()) or not bool(true.any()):
        return torch.tensor(torch.nan, device=scores.device, dtype=torch.float64)
    return value(_in_order(scores), true.long()).double()


def calibration_error(task: Task, metric: Named, device: torch.device) -> Measurement:
    """The mean distance of the probability of the answers from how often they are right, in bins of the probability
    (Guo et al. 2017, the expected calibration error): of classes that of the answer, of yes or no that of yes."""
    from mtsldsl.runtime.objectives.accumulators import CalibrationBins

    state = CalibrationBins(columns_of(task), integer(metric.arguments, "n_bins"), device)

    def add(pairs: Pairs) -> None:
        if pairs.scores is None:
            state.update(pairs.prediction.sigmoid(), pairs.target, pairs.valid)
        else:
            right = (pairs.prediction == pairs.target).float()
            state.update(pairs.scores.float().softmax(dim=1).amax(dim=1), right, pairs.valid)

    return Measurement(state, add, state.compute)
