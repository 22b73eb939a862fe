"""The least-norm combination of the gradients (Sener and Koltun, 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import MGDAWeighting

    return GramianBalance(weights, MGDAWeighting(), averages=True)
