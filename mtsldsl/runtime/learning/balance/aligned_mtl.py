"""Gradients made orthogonal and of one length (Senushkin et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtsldsl.language.constants import Named
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import AlignedMTLWeighting

    mode: Any = balance.arguments["scale_mode"]
    return GramianBalance(weights, AlignedMTLWeighting(scale_mode=mode), averages=True)
