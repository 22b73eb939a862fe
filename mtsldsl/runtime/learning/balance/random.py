"""Weights drawn anew at every step (Lin et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.scalarizer import ScalarizerBalance, of_values


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.scalarization import Random

    return ScalarizerBalance(weights, of_values(Random()))
