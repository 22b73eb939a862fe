"""The sum of the logarithms of the losses, which is free of their scales."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import LEAST, Balance, SumOfTerms


class Relative(SumOfTerms):
    """The sum of weight * log(loss + 1e-8): a task moves by the gradient of its loss over the loss, so that a loss in
    other units moves it alike. Nothing is learned."""

    def term(self, task: str, loss: Tensor) -> Tensor:
        """The weighted logarithm."""
        return self.weights[task] * torch.log(loss + LEAST)


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return Relative(weights)
