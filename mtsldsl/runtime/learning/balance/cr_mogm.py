"""The weights of another balance, as a running mean over the steps (Zhou et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number, word
from mtsldsl.runtime.learning.balance.balance import Balance
from mtsldsl.runtime.learning.balance.remembering import RememberingBalance


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import CRMOGMWeighting, IMTLGWeighting, MGDAWeighting, PCGradWeighting, Weighting

    of, alpha = word(balance.arguments, "of"), number(balance.arguments, "alpha")
    smoothed: Mapping[str, type[Weighting[Any]]] = {
        "mgda": MGDAWeighting,
        "pcgrad": PCGradWeighting,
        "imtl_g": IMTLGWeighting,
    }

    def weighting(_: int) -> Weighting[Any]:
        return CRMOGMWeighting(smoothed[of](), alpha)

    return RememberingBalance(weights, weighting, ("_lambda",), averages=of != "pcgrad")
