"""Balancing the tasks: how their losses become one step; a file for each method, called as it is in a spec.

Scalar methods weigh the losses; gradient methods weigh each task's gradient on the parameters that serve several tasks
(torchjd gives the weights). Tasks are kept sorted by name, so that their order in the spec changes nothing. A task that
has no label in a batch has no part in that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from mtsldsl.diagnostics import MtlError
from mtsldsl.language.constants import Named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance.balance import Balance, Labelled, Losses
from mtsldsl.runtime.learning.balance.gradient import GradientBalance

__all__ = ["SOLVERS", "Balance", "GradientBalance", "Labelled", "Losses", "make_balance"]

SOLVERS = {
    "cagrad": ("cvxpy", "clarabel"),
    "fair_grad": ("scipy",),
    "dual_proj": ("qpsolvers", "quadprog"),
    "upgrad": ("qpsolvers", "quadprog"),
    "nash_mtl": ("cvxpy", "ecos"),
}
"""The packages that torchjd needs for a method beside itself, as its extras name them."""


def make_balance(balance: Named, tasks: tuple[str, ...], weights: Mapping[str, float]) -> Balance:
    """The balance of that name over the tasks, with their weights from the spec.

    Raises MtlError MTL206 for a method whose solver is not installed.
    """
    module = import_module(f"{__name__}.{balance.name}")
    try:
        made: Balance = module.make({task: weights[task] for task in tasks}, balance)
        return made
    except ImportError as missing:
        others = [each.name for each in BALANCES.rules if each.name not in SOLVERS]
        raise MtlError.of(
            "MTL206",
            f"the balance `{balance.name}` needs a solver that is not installed: {missing}",
            f"install it as said, or use one of {', '.join(others)}",
            balance.span,
        ) from missing
