"""The mean gradient projected onto the dual cone (Lopez-Paz and Ranzato, 2017)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance


def make(weights: Mapping[str, float], _: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import DualProjWeighting

    return GramianBalance(weights, DualProjWeighting(), averages=True)
