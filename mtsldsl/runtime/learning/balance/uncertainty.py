"""Weights that are learned from the uncertainty of each task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance, SumOfTerms


class Uncertainty(SumOfTerms):
    """Homoscedastic uncertainty (Kendall, Gal, Cipolla 2018): the sum of exp(-s)/2 * loss + s/2, with a learned
    s = log sigma^2 per task, 0 at first. A task's weight multiplies its whole term, as s would cancel it from the loss.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in self.tasks})

    def term(self, task: str, loss: Tensor) -> Tensor:
        """The weighted loss with the penalty on uncertainty."""
        s: Tensor = self.log_variance[task]
        return self.weights[task] * (torch.exp(-s) * loss + s) / 2


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return Uncertainty(weights)
