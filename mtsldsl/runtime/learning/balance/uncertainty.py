"""Weights that are learned from the uncertainty of each task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses


class Uncertainty(Balance):
    """Homoscedastic uncertainty (Kendall, Gal, Cipolla 2018): the sum of exp(-s)/2 * loss + s/2, with a learned
    s = log sigma^2 per task, 0 at first. A task's weight multiplies its whole term, as s would cancel it from the loss.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in self.tasks})

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The weighted losses with the penalty on uncertainty, of the tasks that have a label."""
        return torch.stack([self._term(task, losses, labelled) for task in self.tasks if task in losses]).sum()

    def _term(self, task: str, losses: Losses, labelled: Labelled) -> Tensor:
        s = self.log_variance[task]
        term = self.weights[task] * (torch.exp(-s) * losses[task] + s) / 2
        return torch.where(labelled[task], term, 0.0) if task in labelled else term


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return Uncertainty(weights)
