"""The step on which the tasks agree in Nash's bargaining game (Navon et al., 2022)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import integer, number
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gramian import rows_of
from mtsldsl.runtime.learning.balance.remembering import RememberingBalance


class NashBargaining(RememberingBalance):
    """Nash-MTL remembers the last solution, from which the next one is sought, and how many steps there were."""

    def try_out(self) -> None:
        """Weigh two gradients once, for nothing."""
        with _quiet():
            super().try_out()

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """The solution. Where all gradients are 0 there is nothing to bargain for: the game, by the size of their
        products, is none, every weight gives the same step, and the last solution stays remembered."""
        gradients = [gradient for row in rows.values() for gradient in row.values()]
        if not any(bool(gradient.any()) for gradient in gradients):
            return torch.ones(len(tasks), device=gradients[0].device)
        with _quiet():
            return super().factors(tasks, rows, losses)

    def seen(self, products: Tensor) -> Tensor:
        """Rows in the place of the gradients."""
        return rows_of(products)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what cvxpy warns of: how torchjd writes the problem, and that a gradient of 0 has no solution."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import NashMTL

    most = number(balance.arguments, "max_norm")
    every, tries = (integer(balance.arguments, name) for name in ("update_weights_every", "optim_niter"))
    return NashBargaining(
        weights, lambda tasks: NashMTL(tasks, most, every, tries).weighting, ("step", "prvs_alpha"), averages=False
    )
