"""Methods that see the inner products of the tasks' gradients alone; torchjd gives the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtsldsl.runtime.learning.balance.balance import Losses, Row, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance, NotFiniteError
from mtsldsl.runtime.objectives.losses import sum_dtype

if TYPE_CHECKING:
    from torchjd.aggregation import Weighting
    from torchjd.linalg import PSDMatrix


class GramianBalance(GradientBalance):
    """A weighting of torchjd. One that `averages` has weights that sum to 1, which are multiplied by the number of
    tasks: gradients in agreement add up as under `equal`, and sharing more does not change the learning rate."""

    def __init__(self, weights: Mapping[str, float], weighting: Weighting[PSDMatrix], *, averages: bool) -> None:
        super().__init__(weights)
        self._weigh: Callable[[Tensor], Tensor] = weighting
        self._averages = averages

    def try_out(self) -> None:
        """Weigh two gradients once, for nothing; torch's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            self._weigh(torch.eye(2))

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """The weights by the products."""
        weights = self._weigh(gramian(tasks, list(rows.values())))
        return weights * len(tasks) if self._averages else weights


_SQUARES = (1e-20, 1e30)
"""Between these the squared lengths of gradients leave room for their products in float32."""


def gramian(tasks: Sequence[str], rows: Sequence[Row], *, exact: bool = False) -> Tensor:
    """Inner products `(tasks, tasks)` of the tasks' gradients over all rows; a gradient that is missing is zero.

    In float32, and then of gradients that are all scaled alike where their squares are no numbers of it, for weights
    that depend on the gradients' ratios alone; or `exact`, in float64 where the device has it. Raises NotFiniteError
    where a gradient has numbers that are not finite.
    """
    if exact:
        products = _products(tasks, rows, sum_dtype(next(iter(rows[0].values())).device))
        if not bool(products.isfinite().all()):
            raise NotFiniteError
        return products
    found = _products(tasks, rows, torch.float32)
    longest = found.diagonal().max()
    if _SQUARES[0] < float(longest) < _SQUARES[1]:
        return found
    each = [float(gradient.abs().max()) for row in rows for gradient in row.values()]
    if not all(map(math.isfinite, each)):
        raise NotFiniteError
    largest = max(each)
    if not largest:
        return found
    scaled = [{task: gradient / largest for task, gradient in row.items()} for row in rows]
    return _products(tasks, scaled, torch.float32)


def _products(tasks: Sequence[str], rows: Sequence[Row], dtype: torch.dtype) -> Tensor:
    if not rows:
        raise ValueError("a group of tasks shares at least one parameter")
    device = next(iter(rows[0].values())).device
    total = torch.zeros(len(tasks), len(tasks), device=device, dtype=dtype)
    with torch.autocast(device.type, enabled=False):  # bf16 products would turn conflicts into agreement
        for row in rows:
            if len(row) < len(tasks):
                zero = torch.zeros_like(next(iter(row.values())))
                row = {task: row.get(task, zero) for task in tasks}
            matrix = torch.stack([row[task] for task in tasks]).reshape(len(tasks), -1).to(dtype)
            total += matrix @ matrix.T
    return total


def rows_of(products: Tensor) -> Tensor:
    """Rows `(tasks, tasks)`, in float64 on the processor, with these inner products: the gradients, turned into as few
    dimensions as there are tasks. What does not depend on the axes is the same for them as for the gradients."""
    products = products.double().cpu()
    lengths = products.diagonal().clamp(min=0).sqrt()
    lengths = torch.where(lengths > 0, lengths, 1.0)
    squares, axes = torch.linalg.eigh(products / torch.outer(lengths, lengths))
    squares = torch.where(squares > _ROUNDING, squares, 0.0)
    found: Tensor = lengths.unsqueeze(1) * axes * squares.sqrt()
    return found


_ROUNDING = 1e-12
"""The square of a sine below which directions are taken for the same."""
