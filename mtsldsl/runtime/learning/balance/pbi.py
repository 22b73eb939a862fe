"""The losses along a preferred direction, with a penalty for leaving it (Zhang and Li, 2007)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.preference import preference_of
from mtsldsl.runtime.learning.balance.scalarizer import ScalarizerBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.scalarization import PBI

    preference, theta = preference_of(weights, balance), number(balance.arguments, "theta")

    def scalar(losses: Mapping[str, Tensor]) -> Tensor:
        values = torch.stack(list(losses.values()))
        direction = values.new_tensor([preference[task] for task in losses])
        direction = direction / direction.norm()
        found: Tensor = PBI(theta, direction)(values) / direction.sum()
        return found

    return ScalarizerBalance(weights, scalar)
