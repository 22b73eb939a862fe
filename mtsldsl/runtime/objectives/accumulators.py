"""What metrics accumulate over a whole set: torchmetrics states that are sums, so that how the set was cut into
batches does not matter, kept on the device and updated without waiting for it.

torchmetrics' own classes select the valid entries by index, or count with `bincount`, which makes the host wait at
every batch; its `MeanMetric` forgets the weights where it does not check for NaN, its `R2Score` takes residuals below
1e-4 for none, and none leaves entries out of single columns. So the masked mean, R2 and F1 are written here, and the
confusion matrix counts in its own way.

Where a target has several columns (channels), each is measured by itself: states of `(columns,)`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from mtsldsl.runtime.objectives.losses import sum_dtype

BINS_PER_DEGREE = 100
"""Resolution of `AngleHistogram`: bins of 0.01 degree."""


class _ColumnSums(Metric):
    """Sums by column, each a state `(columns,)` of that name; what is counted is int64, the rest `sum_dtype`."""

    full_state_update = False
    sums: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()

    def __init__(self, columns: int, device: torch.device) -> None:
        super().__init__()
        self.columns = columns
        for name in self.sums + self.counts:
            dtype = torch.int64 if name in self.counts else sum_dtype(device)
            self.add_state(name, torch.zeros(columns, dtype=dtype), dist_reduce_fx="sum")
        self.to(device)

    def by_column(self, values: Tensor) -> Tensor:
        """The sum over all but the columns, dimension 1 of `(n, columns[, h, w])`; with one column, over everything."""
        dtype = torch.int64 if values.dtype == torch.bool else sum_dtype(values.device)
        if self.columns == 1:
            return values.sum(dtype=dtype).reshape(1)
        return values.sum([dimension for dimension in range(values.dim()) if dimension != 1], dtype=dtype)


class MaskedMean(_ColumnSums):
    """The mean of the valid values of a set by column, NaN where there are none."""

    sums = ("total",)
    counts = ("count",)
    total: Tensor
    count: Tensor

    def update(self, values: Tensor, valid: Tensor) -> None:
        """Add the valid ones of some values; both of one shape."""
        self.total += self.by_column(torch.where(valid, values, 0.0))
        self.count += self.by_column(valid)

    def compute(self) -> Tensor:
        """The means `(columns,)`."""
        return self.total / self.count


class R2(_ColumnSums):
    """The coefficient of determination by column over the valid entries of a set, NaN where targets do not vary."""

    sums = ("residual", "squares", "mean")
    counts = ("count",)
    residual: Tensor
    squares: Tensor
    """Of what the targets differ from their mean by; batches are joined as by Chan, Golub and LeVeque (1979), because a
    sum of squares has no digits left where the mean is large against the spread."""
    mean: Tensor
    count: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, columns: int, device: torch.device) -> None:
        super().__init__(columns, device)
        # whether targets vary is not told from sums, which are rounded
        dtype = sum_dtype(device)
        self.add_state("least", torch.full((columns,), torch.inf, dtype=dtype), dist_reduce_fx="min")
        self.add_state("most", torch.full((columns,), -torch.inf, dtype=dtype), dist_reduce_fx="max")
        self.to(device)

    def update(self, prediction: Tensor, target: Tensor, valid: Tensor) -> None:
        """Add the valid entries; all of one shape."""
        dtype = self.residual.dtype
        target = torch.where(valid, target, 0.0).to(dtype)
        self.residual += self.by_column((torch.where(valid, prediction, 0.0).to(dtype) - target).square())
        more = self.by_column(valid)
        mean = self.by_column(target) / more.clamp(min=1)
        shape = [-1 if dimension == 1 and self.columns > 1 else 1 for dimension in range(target.dim())]
        apart = torch.where(valid, target - mean.view(shape), 0.0)
        count = (self.count + more).clamp(min=1)
        step = torch.where(more > 0, mean - self.mean, 0.0)
        self.squares += self.by_column(apart.square()) + step.square() * self.count * more / count
        self.mean += step * more / count
        self.count += more
        rest = [dimension for dimension in range(target.dim()) if dimension != 1 or self.columns == 1]
        self.least = torch.minimum(self.least, torch.where(valid, target, torch.inf).amin(rest))
        self.most = torch.maximum(self.most, torch.where(valid, target, -torch.inf).amax(rest))

    def compute(self) -> Tensor:
        """One minus the residual's share of the variation, `(columns,)`."""
        varies = self.most > self.least
        variation = torch.where(varies, self.squares, 1.0)
        return torch.where(varies & (variation > 0), 1 - self.residual / variation, torch.nan)


class F1(_ColumnSums):
    """F1 of yes-or-no answers by column: 0 without any yes in answers and truth, NaN where nothing is valid."""

    counts = ("hits", "answered", "true", "count")
    hits: Tensor
    answered: Tensor
    true: Tensor
    count: Tensor

    def update(self, prediction: Tensor, target: Tensor, valid: Tensor) -> None:
        """Add the valid answers; all booleans of one shape."""
        self.hits += self.by_column(prediction & target & valid)
        self.answered += self.by_column(prediction & valid)
        self.true += self.by_column(target & valid)
        self.count += self.by_column(valid)

    def compute(self) -> Tensor:
        """Twice the hits over the number of yes answered and true, `(columns,)`."""
        f1 = 2 * self.hits / (self.answered + self.true).clamp(min=1)
        return torch.where(self.count > 0, f1, torch.nan)


class KeptScores(Metric):
    """The scores of a set and what is true of them, as rows: what ranks them needs all at once."""

    full_state_update = False
    scores: list[Tensor]
    truth: list[Tensor]

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")
        self.to(device)

    def update(self, scores: Tensor, truth: Tensor) -> None:
        """Add scores `(n, c[, h, w])` and what is true of each, of one shape, or class labels `(n[, h, w])`; what is
        negative does not count."""
        self.scores.append(_rows(scores))
        self.truth.append(_rows(truth.unsqueeze(1) if truth.dim() < scores.dim() else truth))

    def entries(self) -> tuple[Tensor, Tensor]:
        """Both as `(entries, columns)`."""
        return torch.cat(self.scores), torch.cat(self.truth)

    def compute(self) -> Tensor:
        """The scores."""
        return self.entries()[0]


def _rows(values: Tensor) -> Tensor:
    return values.movedim(1, -1).reshape(-1, values.shape[1])


class CalibrationBins(Metric):
    """How sure answers were and how often they were right, by column and by bins of how sure."""

    full_state_update = False
    sure: Tensor
    right: Tensor
    count: Tensor

    def __init__(self, columns: int, bins: int, device: torch.device) -> None:
        super().__init__()
        self.columns, self.bins = columns, bins
        for name in ("sure", "right", "count"):
            self.add_state(name, torch.zeros(columns * bins, dtype=sum_dtype(device)), dist_reduce_fx="sum")
        self.to(device)

    def update(self, sure: Tensor, right: Tensor, valid: Tensor) -> None:
        """Add the valid ones of answers: their probabilities, and 1 where they are right; all of one shape."""
        edges = torch.linspace(0, 1, self.bins + 1, device=sure.device)
        place = (torch.bucketize(sure, edges, right=True) - 1).clamp(0, self.bins - 1)
        if self.columns > 1:
            shape = [-1 if dimension == 1 else 1 for dimension in range(sure.dim())]
            place = place + self.bins * torch.arange(self.columns, device=sure.device).view(shape)
        for total, values in ((self.sure, sure), (self.right, right), (self.count, torch.ones_like(sure))):
            total.index_add_(0, place.flatten(), torch.where(valid, values, 0.0).flatten().to(total.dtype))

    def compute(self) -> Tensor:
        """The mean of |probability - part that is right| over the answers, `(columns,)`, NaN where there are none."""
        sure, right, count = (each.view(self.columns, self.bins) for each in (self.sure, self.right, self.count))
        return (sure - right).abs().sum(1) / count.sum(1)


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


class AngleHistogram(Metric):
    """A histogram of angles in bins of 0.01 degree from 0 to 180, for a median over a set of any size.

    The median, of an even number the mean of the two in the middle, is off by less than a bin from the exact one."""

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
        upto = self.counts.cumsum(0)
        ranks = torch.stack(
            [(upto[-1] - 1).clamp(min=0) // 2, upto[-1] // 2]
        )  # of the two in the middle, or the one twice
        index = torch.searchsorted(upto, ranks, right=True).clamp(max=self.counts.numel() - 1)
        here = self.counts[index]
        inside = (ranks - (upto[index] - here) + 0.5) / here
        median = ((index + inside) / BINS_PER_DEGREE).mean()
        return torch.where(upto[-1] > 0, median, torch.nan)
