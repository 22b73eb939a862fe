"""What metrics accumulate over a whole set: torchmetrics states that are sums, so that how the set was cut into
batches does not matter, kept on the device and updated without waiting for it.

torchmetrics' own classes select the valid entries by index, or count with `bincount`, which makes the host wait at
every batch; its `MeanMetric` forgets the weights where it does not check for NaN, and its `R2Score` takes residuals
below 1e-4 for none. So the masked mean and R2 are written here, and the confusion matrix counts in its own way.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

BINS_PER_DEGREE = 100
"""Resolution of `AngleHistogram`: bins of 0.01 degree."""


def sum_dtype(device: torch.device) -> torch.dtype:
    """The type that sums over a set are kept in: float64, or float32 on Apple GPUs, which have nothing longer."""
    return torch.float32 if device.type == "mps" else torch.float64


class MaskedMean(Metric):
    """The mean of the valid values of a set, NaN where there are none."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=sum_dtype(device)), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.to(device)

    def update(self, values: Tensor, valid: Tensor) -> None:
        """Add the valid ones of some values; both of one shape."""
        self.total += torch.where(valid, values, 0.0).sum(dtype=self.total.dtype)
        self.count += valid.sum()

    def compute(self) -> Tensor:
        """The mean."""
        return self.total / self.count


class R2(Metric):
    """The coefficient of determination over the valid entries of a set, NaN where their targets do not vary."""

    full_state_update = False
    residual: Tensor
    total: Tensor
    squares: Tensor
    count: Tensor

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        for name in ("residual", "total", "squares"):
            self.add_state(name, torch.zeros((), dtype=sum_dtype(device)), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.to(device)

    def update(self, prediction: Tensor, target: Tensor, valid: Tensor) -> None:
        """Add the valid entries; all of one shape."""
        dtype = self.residual.dtype
        target = torch.where(valid, target, 0.0).to(dtype)
        self.residual += (torch.where(valid, prediction, 0.0).to(dtype) - target).square().sum()
        self.total += target.sum()
        self.squares += target.square().sum()
        self.count += valid.sum()

    def compute(self) -> Tensor:
        """One minus the residual's share of the variation."""
        variation = self.squares - self.total.square() / self.count
        # what is left by rounding when all targets are equal is no variation
        varies = variation > torch.finfo(variation.dtype).eps * self.squares
        return torch.where(varies, 1 - self.residual / torch.where(varies, variation, 1.0), torch.nan)


class Confusion(MulticlassConfusionMatrix):
    """The confusion matrix of a set, rows the truth and columns the prediction."""

    def __init__(self, classes: int, device: torch.device) -> None:
        # torchmetrics knows no matrix of a single class; the second one stays empty
        super().__init__(num_classes=max(classes, 2), validate_args=False)
        self.to(device)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count pairs of predicted class and label, int64 and of one shape; a negative label does not count."""
        classes = self.num_classes
        pairs = torch.where(target >= 0, target * classes + preds, classes * classes).flatten()
        counts = torch.zeros(classes * classes + 1, dtype=self.confmat.dtype, device=pairs.device)
        counts = counts.scatter_add(0, pairs, torch.ones_like(pairs, dtype=counts.dtype))
        self.confmat += counts[:-1].view(classes, classes)


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean over classes of intersection over union, from a confusion matrix `(classes, classes)`.

    A class that is neither predicted nor in the truth is left out; with none left it is NaN.
    """
    hits = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    return (hits / union.clamp(min=1)).sum() / (union > 0).sum()


class AngleHistogram(Metric):
    """A histogram of angles in bins of 0.01 degree from 0 to 180, for a median over a set of any size.

    The median is interpolated within its bin: off by less than a bin from the exact one."""

    full_state_update = False
    counts: Tensor

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(180 * BINS_PER_DEGREE, dtype=torch.int64), dist_reduce_fx="sum")
        self.to(device)

    def update(self, degrees: Tensor, valid: Tensor) -> None:
        """Add the valid angles; both of one shape."""
        last = self.counts.numel() - 1
        bins = (torch.where(valid, degrees, 0.0) * BINS_PER_DEGREE).long().clamp(0, last).flatten()
        self.counts.scatter_add_(0, bins, valid.flatten().to(self.counts.dtype))

    def compute(self) -> Tensor:
        """The median in degrees, NaN where there are no angles."""
        below = self.counts.cumsum(0)
        half = below[-1] / 2
        index = torch.searchsorted(below.to(half.dtype), half.reshape(1)).clamp(max=self.counts.numel() - 1)
        here = self.counts[index]
        inside = (half - (below[index] - here)) / here
        return ((index + inside) / BINS_PER_DEGREE).squeeze(0)
