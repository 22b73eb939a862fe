"""Which entries of a target count, and means over them, without looking at the data on the host.

Every function here and in `losses` is free of data-dependent branches and shapes, so that a training step never waits
for the device. A target entry that is not a finite number never counts.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def labels_of(target: Tensor, ignore: int | None) -> tuple[Tensor, Tensor]:
    """Class labels, int64 with 0 where ignored, and the mask of those that count; both of the target's shape."""
    labels = target.long()
    valid = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    return torch.where(valid, labels, 0), valid


def given(target: Tensor, ignore: int | None = None) -> Tensor:
    """The mask of entries that are finite and not the ignored value."""
    valid = torch.isfinite(target)
    return valid if ignore is None else valid & (target != ignore)


def positive(target: Tensor) -> Tensor:
    """The mask of finite entries above zero, such as measured depths."""
    return torch.isfinite(target) & (target > 0)


def has_direction(vectors: Tensor) -> Tensor:
    """The mask `(n, 1[, h, w])` of vectors `(n, 3[, h, w])` that are finite and not all zero."""
    return torch.isfinite(vectors).all(dim=1, keepdim=True) & (vectors != 0).any(dim=1, keepdim=True)


def only(valid: Tensor, values: Tensor) -> Tensor:
    """The values where valid, else 0, with a gradient of exactly 0 there."""
    return torch.where(valid, values, 0.0)


def mean_over(valid: Tensor, values: Tensor) -> Tensor:
    """The mean of the valid values, 0 where none is valid. Both of one shape."""
    return only(valid, values).sum() / valid.sum().clamp(min=1)
