"""The geometric mean of the losses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import LEAST, NO_TASK, Balance, Labelled, Losses


class GeometricMean(Balance):
    """The geometric mean of the losses, a task as often as its weight says, times their number: losses that are all the
    same give the step of `equal` (Chennupati et al., 2019, eq. 3). (torchjd's fails at a loss of 0.)"""

    joint = True

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The mean, of the tasks that have a label."""
        here = [task for task in self.tasks if task in losses]
        logarithms = torch.stack([torch.log(losses[task] + LEAST) for task in here])
        known = torch.stack([labelled.get(task, logarithms.new_ones(()).bool()) for task in here])
        weights = known * logarithms.new_tensor([self.weights[task] for task in here])
        mean = (weights * torch.where(known, logarithms, 0.0)).sum() / weights.sum().clamp(min=LEAST)
        return weights.sum() * torch.exp(mean)


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return GeometricMean(weights)
