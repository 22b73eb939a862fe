"""What the best constant answer would reach: the floor that the metrics of a network are read against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.ir.model import Task
from mtsldsl.runtime.data import Samples, batches
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.objectives.metrics import DELTA, make_metrics

SURE = 30.0
"""A logit that is as good as certain, and whose cross entropy is still a number."""

_ROUNDED = 1e-5
"""By how much directions that are the same may differ in a coordinate: they are kept in float32, or half of that."""

BATCH = 256
"""Samples that are measured at a time."""

Values = NDArray[np.float64]


def constant_metrics(tasks: Iterable[Task], samples: Samples) -> dict[str, dict[str, float]]:
    """For each task the best value of each of its metrics that one answer, the same everywhere, has on `samples`.

    Each metric has its own best constant: the mean for `rmse` and `r2`, the median for `mae`, the commonest class or
    answer for accuracies, always yes for `f1`. For directions all metrics take the mean direction, which is the best
    one by cosine. NaN where nothing counts.
    """
    return {task.name: _best(task, samples.only(str(task.field))) for task in tasks}


def _best(task: Task, samples: Samples) -> dict[str, float]:
    best: dict[str, float] = {}
    columns = _valid_columns(task, samples)
    for answer in _answers(task, columns):
        metrics = make_metrics(task)
        for target in _targets(task, samples):
            metrics.update(_everywhere(task, answer, target), target)
        for name, value in metrics.compute().items():
            known = best.get(name, math.nan)
            better = value > known if metrics.higher_is_better(name) else value < known
            if better or math.isnan(known):
                best[name] = value
    # By definition the mean has an r2 of 0, and what is right everywhere no error; by computation almost that.
    right = _all_alike(task, columns)
    nothing = {name for name in best if name == "r2" or (right and not metrics.higher_is_better(name))}
    return {name: 0.0 if name in nothing and not math.isnan(value) else value for name, value in best.items()}


def _all_alike(task: Task, columns: list[Values]) -> bool:
    """Whether the labels that count are the same everywhere, channel by channel, so that one answer is right."""
    slack = 0.0
    if task.target.kind == "unit_vectors":
        slack = _ROUNDED
        columns = list(np.stack(columns) / np.linalg.norm(columns, axis=0))
    return all(np.ptp(column) <= slack for column in columns if column.size)


def _targets(task: Task, samples: Samples) -> Iterator[Tensor]:
    for batch in batches(samples, BATCH):
        yield batch[str(task.field)]


def _everywhere(task: Task, answer: Tensor, target: Tensor) -> Tensor:
    """The answer `(c,)` as a prediction `(n, c[, h, w])` for that target."""
    space = target.shape[1:] if task.target.kind == "classes" else target.shape[2:]
    return answer.view(1, -1, *[1] * len(space)).expand(len(target), -1, *space)


def _answers(task: Task, columns: list[Values]) -> Iterator[Tensor]:
    """The constants that may be best for a metric of the task, each as the head would give it: `(channels,)`."""
    match task.target.kind:
        case "classes":
            counts = np.bincount(columns[0].astype(np.int64), minlength=task.target.channels)
            yield torch.nn.functional.one_hot(torch.tensor(int(counts.argmax())), task.target.channels).float()
        case "unit_vectors":
            yield torch.tensor([float(column.mean()) if column.size else 0.0 for column in columns])
        case "binary":
            yield torch.tensor([_logit(column) for column in columns])
            yield torch.full((len(columns),), SURE)
        case _:
            for constant in (_mean, _median, _relative_median, _widest):
                answer = [constant(column) if column.size else 0.0 for column in columns]
                yield torch.tensor(answer, dtype=torch.float64)  # a mean in float32 is not that of 5,300,000 and a bit


def _valid_columns(task: Task, samples: Samples) -> list[Values]:
    """What counts of the target, channel by channel."""
    columns: list[list[Values]] = []
    for target in _targets(task, samples):
        channels = 1 if task.target.kind == "classes" else task.target.channels
        values = target.unsqueeze(1) if target.dim() == 1 or task.target.kind == "classes" else target
        valid = valid_entries(task.target, values)
        valid = valid.expand_as(values)
        columns = columns or [[] for _ in range(channels)]
        for channel, column in enumerate(columns):
            column.append(values[:, channel][valid[:, channel]].double().numpy())
    return [np.concatenate(column) for column in columns]


def _logit(column: Values) -> float:
    """Of the share of yes, within the certain."""
    share = float(column.mean()) if column.size else 0.5
    odds = math.log(share / (1 - share)) if 0 < share < 1 else math.copysign(math.inf, share - 0.5)
    return max(-SURE, min(SURE, odds))


def _mean(column: Values) -> float:
    return float(column.mean())


def _median(column: Values) -> float:
    return float(np.median(column))


def _relative_median(column: Values) -> float:
    """What has the least mean relative error: the median, each value weighted by its inverse."""
    column = np.sort(column[column != 0])
    if not column.size:
        return 0.0
    weights = np.cumsum(1 / np.abs(column))
    return float(column[np.searchsorted(weights, weights[-1] / 2)])


def _widest(column: Values) -> float:
    """What is within a factor of DELTA of the most values, those of one sign."""
    found, most = 0.0, 0
    for sign in (1.0, -1.0):
        side = np.sort(sign * column[sign * column > 0])
        if side.size:
            ends = np.searchsorted(side, side * DELTA**2, side="left")
            first = int((ends - np.arange(side.size)).argmax())
            if ends[first] - first > most:
                most = int(ends[first] - first)
                found = sign * math.sqrt(side[first] * side[ends[first] - 1])
    return found
