"""The sum of the logarithms of the losses, which is free of their scales."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses

_LEAST = 1e-8
"""Added to a loss, whose logarithm is to be finite."""


class Relative(Balance):
    """The sum of weight * log(loss + 1e-8): a task moves by the gradient of its loss over the loss, so that a loss in
    other units moves it alike. Nothing is learned."""

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The weighted logarithms, of the tasks that have a label."""
        return torch.stack([self._term(task, losses, labelled) for task in self.tasks if task in losses]).sum()

    def _term(self, task: str, losses: Losses, labelled: Labelled) -> Tensor:
        loss = losses[task]
        if task in labelled:  # without a label it is 0, and so is its logarithm then
            loss = torch.where(labelled[task], loss, 1 - _LEAST)
        return self.weights[task] * torch.log(loss + _LEAST)


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return Relative(weights)
