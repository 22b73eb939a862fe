"""A smooth maximum of the losses (Lin et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.scalarizer import ScalarizerBalance, of_values


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.scalarization import STCH

    smooth = STCH(number(balance.arguments, "mu"))  # of the losses divided by their number, which the factor undoes
    return ScalarizerBalance(weights, of_values(lambda values: len(values) * smooth(values)))
