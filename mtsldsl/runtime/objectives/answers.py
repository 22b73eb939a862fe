"""Constants that may be the best answer to a kind of target: the floor that a network is read against.

Each function takes a task and what counts of its target, channel by channel, and gives answers as a head would:
`(channels,)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.ir.task_record import Task
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.objectives.metrics import DELTA

SURE = 30.0
"""A logit that is as good as certain, and whose cross entropy is still a number."""

LOOKED_AT = 5000
"""Labels that a search over directions looks at, evenly spread over all."""

Values: TypeAlias = NDArray[np.float64]


def commonest_class(task: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The logits of the class that most labels are of, sure of it and as sure as the labels are."""
    counts = np.bincount(columns[0].astype(np.int64), minlength=task.target.channels)
    yield torch.nn.functional.one_hot(torch.tensor(int(counts.argmax())), task.target.channels).float()
    yield torch.from_numpy(np.log(np.maximum(counts, 1e-9) / max(counts.sum(), 1))).float()


def directions(task: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The mean of the vectors, the best one by cosine, and for each metric of the task the best of a search over the
    sphere, among up to LOOKED_AT of the labels."""
    yield torch.tensor([float(column.mean()) if column.size else 0.0 for column in columns])
    if not columns[0].size:
        return
    labels = _unit(np.stack(columns, axis=1)[:: -(-columns[0].size // LOOKED_AT)])
    wide = _unit(np.concatenate([labels.mean(axis=0, keepdims=True), labels[:: -(-len(labels) // 500)], _sphere(1000)]))
    for metric in task.metrics:
        best = wide[_scores(metric, wide, labels).argmax()]
        for width in (5.0, 1.5, 0.5):
            near = np.concatenate([best[None], _cap(best, math.radians(width), 100)])
            best = near[_scores(metric, near, labels).argmax()]
        yield torch.tensor(best)


def _scores(metric: Named, answers: Values, labels: Values) -> Values:
    """For each of some unit vectors `(m, 3)` how good an answer to the labels `(n, 3)` it is by a metric."""
    angles = np.degrees(np.arccos(np.clip(answers @ labels.T, -1, 1)))
    if metric.name == "within":
        found: Values = (angles < number(metric.arguments, "degrees")).mean(axis=1)
    elif metric.name == "median_angle":
        found = -np.median(angles, axis=1)
    else:
        found = -angles.mean(axis=1)
    return found


def _unit(vectors: Values) -> Values:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Values = vectors / np.where(length > 0, length, 1)
    return found


def _sphere(count: int) -> Values:
    """Points that lie evenly on the unit sphere, `(count, 3)`: a Fibonacci lattice."""
    place = np.arange(count) + 0.5
    height, turn = 1 - 2 * place / count, math.pi * (1 + math.sqrt(5)) * place
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)


def _cap(pole: Values, width: float, count: int) -> Values:
    """Points within the angle `width` of a unit vector, `(count, 3)`."""
    side = _unit(np.cross(pole, np.eye(3)[np.abs(pole).argmin()])[None])[0]
    place = (np.arange(count) + 0.5) / count
    angle, turn = width * np.sqrt(place), math.pi * (1 + math.sqrt(5)) * np.arange(count)
    around = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * np.cross(pole, side)
    found: Values = np.cos(angle)[:, None] * pole + np.sin(angle)[:, None] * around
    return found


def share_of_yes(_: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The logit of the share of yes, and yes always, which is best for F1."""
    yield torch.tensor([_logit(column) for column in columns])
    yield torch.full((len(columns),), SURE)


def centres(_: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """Mean, median, the median by relative error, what is within a factor of DELTA of the most values, and the mean of
    the logarithms."""
    for constant in (_mean, _median, _relative_median, _widest, _geometric_mean):
        answer = [constant(column) if column.size else 0.0 for column in columns]
        yield torch.tensor(answer, dtype=torch.float64)  # a mean in float32 is not that of 5,300,000 and a bit


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


def _geometric_mean(column: Values) -> float:
    return float(np.exp(np.log(column).mean())) if (column > 0).all() else 0.0


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
