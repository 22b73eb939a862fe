"""Which entries of a target count, without looking at the data on the host.

Every function here and in `losses` is free of data-dependent branches and shapes, so that a training step never waits
for the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mtsldsl.ir.task_record import Target


def as_float(values: Tensor) -> Tensor:
    """The values in float32 where they come in a shorter type; float64 stays, for tests of precision."""
    return values if values.dtype == torch.float64 else values.float()


def aligned(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction and target as floats of one shape; a target without channel dimension gets one.

    Raises ValueError where the shapes still differ: broadcasting them would give a number without meaning.
    """
    prediction = as_float(prediction)
    target = target.to(prediction.dtype)
    if target.dim() == prediction.dim() - 1:
        target = target.unsqueeze(1)
    if target.shape != prediction.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    return prediction, target


def valid_entries(target: Target, values: Tensor) -> Tensor:
    """The mask of the entries of a target's field that count: the one rule for losses, metrics and counts of labels.

    It has the shape of `values`, but for vectors `(n, 3[, h, w])`, which count as a whole: `(n, 1[, h, w])`. What is
    not a finite number never counts. A class label below 0 is none, whatever the target ignores.
    """
    match target.kind:
        case "classes":
            labelled = values >= 0
            return labelled if target.ignore is None else labelled & (values != target.ignore)
        case "unit_vectors":
            square = as_float(values).square().sum(dim=1, keepdim=True)  # many times as quick as comparing components
            return (square > 0) & (square < math.inf)
    valid = values.abs() < math.inf  # twice as quick as `isfinite`
    if target.kind == "values" and target.valid == "positive" and target.scale == "none":  # else NaN stands for others
        return valid & (values > 0)
    return valid if target.ignore is None else valid & (values != target.ignore)


def labels_of(target: Target, values: Tensor, instead: int) -> tuple[Tensor, Tensor]:
    """Class labels, int64 with `instead` where they do not count, and the mask of those that do; both of the values'
    shape."""
    valid = valid_entries(target, values)
    return torch.where(valid, values.long(), instead), valid


def only(valid: Tensor, values: Tensor) -> Tensor:
    """The values where valid, else 0, with a gradient of exactly 0 there."""
    return torch.where(valid, values, 0.0)
