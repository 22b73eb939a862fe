"""Conflict-averse gradients (Liu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance, number
from mtsldsl.runtime.learning.balance.gradient import GradientBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import CAGradWeighting

    return GradientBalance(weights, CAGradWeighting(c=number(balance, "c")), averages=True)
