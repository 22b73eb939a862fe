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

from mtsldsl.ir.model import Task
from mtsldsl.runtime.objectives.metrics import DELTA

SURE = 30.0
"""A logit that is as good as certain, and whose cross entropy is still a number."""

Values: TypeAlias = NDArray[np.float64]


def commonest_class(task: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The logits of the class that most labels are of."""
    counts = np.bincount(columns[0].astype(np.int64), minlength=task.target.channels)
    yield torch.nn.functional.one_hot(torch.tensor(int(counts.argmax())), task.target.channels).float()


def mean_direction(_: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The mean of the vectors, the best one by cosine."""
    yield torch.tensor([float(column.mean()) if column.size else 0.0 for column in columns])


def share_of_yes(_: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """The logit of the share of yes, and yes always, which is best for F1."""
    yield torch.tensor([_logit(column) for column in columns])
    yield torch.full((len(columns),), SURE)


def centres(_: Task, columns: Sequence[Values]) -> Iterator[Tensor]:
    """Mean, median, the median by relative error, and what is within a factor of DELTA of the most values."""
    for constant in (_mean, _median, _relative_median, _widest):
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
