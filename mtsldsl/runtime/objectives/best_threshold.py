"""F1 at the threshold that is best for a whole set, as contours are judged at the optimal data set scale (ODS):
Arbelaez et al. 2011, Contour Detection and Hierarchical Image Segmentation.

The threshold is chosen on validation, for the weights that are evaluated, and other samples are measured at that one.
It is one of STEPS that are evenly spaced in the probability, so that a set is counted in as many numbers whatever its
size. torchmetrics' curves compare every score with every threshold, or keep them all, and leave no entries out of
single columns; so the counts are written here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from mtsldsl.language.targets import UNCHOSEN

STEPS = 4096
"""Thresholds 0, 1 / STEPS, 2 / STEPS and so on below 1; a power of two, so that each is a number of float32."""


class F1Curve(Metric):
    """How often each probability was answered by column, in steps of it, and how often the truth was yes.

    `fixed` are the thresholds by column that are given; None where the best are chosen."""

    full_state_update = False
    true: Tensor
    count: Tensor

    def __init__(self, columns: int, device: torch.device) -> None:
        super().__init__()
        self.columns = columns
        self.fixed: Sequence[float] | None = None
        for name in ("true", "count"):
            # in the place k is what is above the thresholds of the places before
            self.add_state(name, torch.zeros(columns * (STEPS + 1), dtype=torch.int64), dist_reduce_fx="sum")
        self.to(device)

    def update(self, probability: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Add the valid ones of probabilities of yes, and booleans of whether it is; all of one shape
        `(n, columns[, h, w])`."""
        place = (probability.float() * STEPS).ceil().nan_to_num(nan=0.0).long().clamp(0, STEPS)
        if self.columns > 1:
            shape = [-1 if dimension == 1 else 1 for dimension in range(place.dim())]
            place = place + (STEPS + 1) * torch.arange(self.columns, device=place.device).view(shape)
        for total, counted in ((self.true, valid & truth), (self.count, valid)):
            total.index_add_(0, place.flatten(), counted.flatten().to(total.dtype))

    def _curve(self) -> Tensor:
        """F1 at every threshold, `(columns, STEPS)`; 0 without any yes in answers and truth."""
        true, count = (each.view(self.columns, STEPS + 1) for each in (self.true, self.count))
        hits, answered = (each.flip(1).cumsum(1).flip(1)[:, 1:] for each in (true, count))
        return 2 * hits / (answered + true.sum(1, keepdim=True)).clamp(min=1)

    def _places(self) -> Tensor:
        """Of the thresholds `(columns,)`: the one in the middle of those that are best, or those that are given."""
        if self.fixed is not None:
            return torch.tensor(self.fixed, dtype=torch.float64, device=self.count.device).mul(STEPS).round().long()
        curve = self._curve()
        best = (curve == curve.amax(1, keepdim=True)).long()
        middle = (best.sum(1, keepdim=True) + 1) // 2
        places = (best.cumsum(1) < middle).sum(1)
        known = self.count.view(self.columns, STEPS + 1).sum(1) > 0
        return torch.where(known, places, round(UNCHOSEN * STEPS))

    def thresholds(self) -> list[float]:
        """Those at which F1 is taken, by column."""
        return [place / STEPS for place in self._places().tolist()]

    def compute(self) -> Tensor:
        """F1 at them, `(columns,)`, NaN where nothing is valid."""
        found = self._curve().gather(1, self._places().clamp(max=STEPS - 1).unsqueeze(1)).squeeze(1)
        return torch.where(self.count.view(self.columns, STEPS + 1).sum(1) > 0, found, torch.nan)
