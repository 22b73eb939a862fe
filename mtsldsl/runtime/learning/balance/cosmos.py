"""The losses weighed by a preference, with a reward for lying in its direction (Ruchte and Grabocka, 2021)."""

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
    """The balance of the tasks with these weights; the network does not read the preference, which is one."""
    from torchjd.scalarization import COSMOS

    preference, penalty = preference_of(weights, balance), number(balance.arguments, "lambda_")

    def scalar(losses: Mapping[str, Tensor]) -> Tensor:
        values = torch.stack(list(losses.values()))
        wanted = values.new_tensor([preference[task] for task in losses])
        found: Tensor = COSMOS(penalty, wanted / wanted.sum())(values)
        return found

    return ScalarizerBalance(weights, scalar)
