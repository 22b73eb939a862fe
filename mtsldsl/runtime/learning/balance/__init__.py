"""Balancing the tasks: how their losses become one step; a file for each method, called as it is in a spec.

Scalar methods weigh the losses; gradient methods weigh each task's gradient on the parameters that serve several tasks
(torchjd gives the weights). Tasks are kept sorted by name, so that their order in the spec changes nothing. A task that
has no label in a batch has no part in that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

import attrs

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.language.constants import Constant, Named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance.balance import Balance, Labelled, Losses
from mtsldsl.runtime.learning.balance.gradient import GradientBalance

__all__ = ["SOLVED", "Balance", "GradientBalance", "Labelled", "Losses", "make_balance"]

SOLVED = ("cagrad", "upgrad")
"""The methods that need a package beyond torchjd itself: torchjd's extras `cagrad` and `quadprog-projector`."""


def make_balance(balance: Named, tasks: tuple[str, ...], weights: Mapping[str, float]) -> Balance:
    """The balance of that name over the tasks, with their weights from the spec.

    Raises MtlError: MTL107 for an unknown name, MTL206 for a method whose solver is not installed (`cagrad`,
    `upgrad`).
    """
    rule = BALANCES.rule(balance.name)
    if rule is None:
        known = [each.name for each in BALANCES.rules]
        remedy = suggestion(balance.name, known, "balances")
        raise MtlError.of("MTL107", f"no balance is called `{balance.name}`", remedy, balance.span)
    given = {**{key.name: cast(Constant, key.default) for key in rule.keys}, **balance.arguments}
    module = import_module(f"{__name__}.{balance.name}")
    try:
        made: Balance = module.make({task: weights[task] for task in tasks}, attrs.evolve(balance, arguments=given))
        return made
    except ImportError as missing:
        others = [each.name for each in BALANCES.rules if each.name not in SOLVED]
        raise MtlError.of(
            "MTL206",
            f"the balance `{balance.name}` needs a solver that is not installed: {missing}",
            f"install it as said, or use one of {', '.join(others)}",
            balance.span,
        ) from missing
