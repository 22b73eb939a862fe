"""Conflict-averse gradients (Liu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import CAGradWeighting

    return GramianBalance(weights, CAGradWeighting(c=number(balance.arguments, "c")), averages=True)
