"""A step whose cosine with every gradient is the same (Liu et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance
from mtsldsl.runtime.learning.balance.gramian import gramian, rows_of


class ConflictFree(GradientBalance):
    """ConFIG of torchjd, whose step is a sum of the gradients and turns with them: it is given rows with the same inner
    products, so that no second copy of the gradients is made."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        from torchjd.aggregation import ConFIG

        super().__init__(weights)
        self._aggregate = ConFIG()

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """What each row counts in the step."""
        products = gramian(tasks, list(rows.values()), exact=True)
        reduced = rows_of(products)
        lengths = reduced.norm(dim=1)
        lengths = torch.where(lengths > 0, lengths, 1.0)
        units = reduced / lengths.unsqueeze(1)
        found: Tensor = torch.linalg.pinv(units.T) @ self._aggregate(reduced) / lengths
        return found.to(products.device, torch.float32)


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return ConflictFree(weights)
