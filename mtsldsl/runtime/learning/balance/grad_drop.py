"""Of gradients that pull a number both ways one sign is drawn, and the others are dropped (Chen et al., 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance, Term


class SignDropout(GradientBalance):
    """GradDrop of torchjd, one parameter after the other: a number of one parameter has nothing to do with one of
    another. The draws are those of torch's generator."""

    def __init__(self, weights: Mapping[str, float], leak: float) -> None:
        super().__init__(weights)
        self._leak = leak

    def balanced(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Iterator[Sequence[Term]]:
        """What is not dropped."""
        from torchjd.aggregation import GradDrop

        for parameter, row in rows.items():
            matrix = torch.stack([gradient.flatten() for gradient in row.values()])
            aggregate = GradDrop(leak=matrix.new_full((len(row),), self._leak))
            kept = torch.empty_like(parameter.detach()).copy_(aggregate(matrix).view(parameter.shape))
            yield [(parameter, kept)]


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return SignDropout(weights, number(balance.arguments, "leak"))
