"""What the best constant answer would reach: the floor that the metrics of a network are read against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from torch import Tensor

from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data import Mixed, Samples, batches
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.mixed import read_by
from mtsldsl.runtime.objectives.answers import Values
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.objectives.metric_set import MetricSet

_ROUNDED = 1e-5
"""By how much directions that are the same may differ in a coordinate: they are kept in float32, or half of that."""

_ZERO = ("r2", "calibration_error")
"""How the names begin of metrics of which the best constant answer has 0."""

BATCH = 256
"""Samples that are measured at a time."""


def constant_metrics(tasks: Iterable[Task], samples: Samples | Mixed) -> dict[str, dict[str, float]]:
    """For each task the best value of each of its metrics that one answer, the same everywhere, has on `samples`.

    Each metric has its own best constant: the mean for `rmse` and `r2`, the median for `mae`, the commonest class or
    answer for accuracies, always yes for `f1` and `f1_best`, for directions what a search finds. NaN where nothing
    counts.
    """
    return {task.name: _best(task, read_by(samples, task.name).only(task.field_name).in_units()) for task in tasks}


def _best(task: Task, samples: Samples) -> dict[str, float]:
    best: dict[str, float] = {}
    columns = _valid_columns(task, samples)
    for answer in OBJECTIVES[task.target.kind].answers(task, columns):
        metrics = MetricSet(task, thresholds=None)
        for target in _targets(task, samples):
            metrics.update(_everywhere(task, answer, target), target)
        for name, value in metrics.compute().items():
            known = best.get(name, math.nan)
            better = value > known if metrics.higher_is_better(name) else value < known
            if better or math.isnan(known):
                best[name] = value
    # By definition the mean has an r2 of 0, what is as sure as labels are often right no error of calibration, and what
    # is right everywhere no error; by computation almost that.
    right = _all_alike(task, columns)
    nothing = {name for name in best if name.startswith(_ZERO) or (right and not metrics.higher_is_better(name))}
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
        yield batch[task.field_name]


def _everywhere(task: Task, answer: Tensor, target: Tensor) -> Tensor:
    """The answer `(c,)` as a prediction `(n, c[, h, w])` for that target."""
    space = target.shape[1:] if task.target.kind == "classes" else target.shape[2:]
    return answer.view(1, -1, *[1] * len(space)).expand(len(target), -1, *space)


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
