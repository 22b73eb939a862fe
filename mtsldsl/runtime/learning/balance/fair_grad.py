"""Gradients by a fair allocation of progress (Ban and Ji, 2024)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import FairGradWeighting

    return GramianBalance(weights, FairGradWeighting(alpha=number(balance.arguments, "alpha")), averages=False)
