"""Gradients turned until they are as similar as they used to be (Wang et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.remembering import RememberingBalance


class GradientVaccine(RememberingBalance):
    """GradVac remembers how similar the gradients of each two tasks are. The longest gradient is taken to be of length
    1, as torchjd adds a small number to products of lengths."""

    def seen(self, products: Tensor) -> Tensor:
        """The products, of gradients of length 1 at most."""
        longest = products.diagonal().max()
        return products / longest.clamp(min=1e-300) if longest.isfinite() else products


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import GradVacWeighting

    beta = number(balance.arguments, "beta")
    return GradientVaccine(weights, lambda _: GradVacWeighting(beta=beta), ("_phi_t",), averages=False)
