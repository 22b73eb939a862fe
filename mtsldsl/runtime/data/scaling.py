"""Targets of `scale=standard`: learned with mean 0 and deviation 1 over the training labels, measured in their unit.

The two numbers of each column are a function of the training samples, which carry them; nothing else keeps them. In
memory, in counts of labels and in metrics targets are as the data has them; what a loss sees is (x - mean) / deviation,
which is what a head learns to give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import torch
from torch import Tensor

from mtsldsl.ir.model import Data
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.runtime.data.batches import widen
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.samples import Samples, Scale, Splits

_AT_ONCE = 1024
"""Samples whose labels are added up together."""


def standardised(splits: Splits[Samples], data: Data, tasks: Iterable[Task]) -> Splits[Samples]:
    """The splits with the scale of every field that one of the tasks learns so. Labels that do not count, as those that
    are not positive may, become NaN there: of what is scaled no sign tells."""
    for task in tasks:
        name = field_of_task(data, task)
        if task.target.scale == "standard" and name not in splits.train.scales:
            counting = [_counting(samples, name, task.target) for _, samples in splits.named()]
            scale = {name: fitted_scale(counting[0], name, task.target)}
            train, validation, test = (attrs.evolve(each, scales={**each.scales, **scale}) for each in counting)
            splits = attrs.evolve(splits, train=train, validation=validation, test=test)
    return splits


def record_of_scales(samples: Samples) -> dict[str, dict[str, Any]]:
    """The scales in plain data, by field: for each of its columns the mean and the deviation."""
    return {name: {"mean": scale.mean, "deviation": scale.deviation} for name, scale in samples.scales.items()}


def _counting(samples: Samples, field: str, target: Target) -> Samples:
    """The samples with NaN in the place of what does not count of the field."""
    return samples if target.valid == "finite" else samples.changed(field, _positive)


def _positive(numbers: Tensor) -> Tensor:
    return torch.where(numbers > 0, numbers, torch.nan)


def fitted_scale(samples: Samples, field: str, target: Target) -> Scale:
    """Mean and deviation of each column of the training labels that count, in float64; 0 and 1 where there is none, and
    a deviation of 1 where all are the same."""
    columns = target.channels

    def sums(power: int, centre: Tensor) -> Tensor:
        total = torch.zeros(columns, dtype=torch.float64)
        for compact in samples.pieces(field, at_once=_AT_ONCE):
            values = widen(compact[field], samples.layout[field]).double()
            valid = valid_entries(target, values)
            apart = values.reshape(len(values), columns, -1) - centre.view(-1, 1)
            counted = torch.where(valid.reshape(apart.shape), apart**power, 0.0)
            total += counted.sum(dim=(0, 2))
        return total

    nothing = torch.zeros(columns, dtype=torch.float64)
    count = sums(0, nothing).clamp(min=1)
    mean = sums(1, nothing) / count
    mean = mean + sums(1, mean) / count  # what rounding has left of it
    deviation = (sums(2, mean) / count).sqrt()
    same = deviation <= _ROUNDED * mean.abs()
    return Scale(tuple(mean.tolist()), tuple(torch.where(same, 1.0, deviation).tolist()))


_ROUNDED = 1e-7
"""Of the mean: a smaller deviation is that of float32, in which targets are kept."""
