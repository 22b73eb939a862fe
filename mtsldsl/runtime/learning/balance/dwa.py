"""Weights from how fast the loss of each task falls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses


class DynamicWeightAverage(Balance):
    """DWA (Liu, Johns, Davison 2019, eq. 7): a task's factor is T softmax(r / temperature) over the T tasks, r the
    ratio of its mean losses in the last two epochs in which it had labels; 1 until it had them in two. T counts the
    tasks that have such a ratio and a weight above 0."""

    factors: Tensor
    earlier: Tensor

    def __init__(self, weights: Mapping[str, float], temperature: float) -> None:
        super().__init__(weights)
        self.temperature = temperature
        self.register_buffer("factors", torch.ones(len(weights)))
        self.register_buffer("earlier", torch.full((len(weights),), torch.nan))

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The losses, weighted by this epoch's factors."""
        here = [place for place, task in enumerate(self.tasks) if task in losses]
        weighted = torch.stack([self.weights[self.tasks[place]] * losses[self.tasks[place]] for place in here])
        return (weighted * (self.factors if len(here) == len(self.factors) else self.factors[here])).sum()

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Set the factors for the next epoch from the unweighted mean losses of this one."""
        latest = self.earlier.new_tensor([mean_losses.get(task, math.nan) for task in self.tasks])
        ratio = latest / self.earlier.clamp(min=torch.finfo(latest.dtype).tiny)
        known = ratio.isfinite() & ratio.new_tensor(list(self.weights.values())).bool()
        self.factors[known] = known.sum() * torch.softmax(ratio[known] / self.temperature, dim=0)
        self.earlier.copy_(torch.where(latest.isfinite(), latest, self.earlier))


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return DynamicWeightAverage(weights, number(balance.arguments, "temperature"))
