"""Scales of the losses that are learned, so that all become alike."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance, SumOfTerms


class ImpartialLosses(SumOfTerms):
    """IMTL-L (Liu et al., 2021, eq. 6): the sum of exp(s) * loss - s, with a learned s per task, 0 at first. A task's
    weight multiplies its whole term, as s would cancel it from the loss. (torchjd's has one parameter for all tasks,
    so that none can be left out of a step.)"""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_scale = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in self.tasks})

    def term(self, task: str, loss: Tensor) -> Tensor:
        """The scaled loss without the scale's logarithm."""
        s: Tensor = self.log_scale[task]
        return self.weights[task] * (torch.exp(s) * loss - s)


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return ImpartialLosses(weights)
