"""The gradient of the most important task, with some progress for every other (arXiv 2606.29521, 2026)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.remembering import RememberingBalance


class PriorityConstrainedDescent(RememberingBalance):
    """PCD remembers how long each task's gradient is. The task with the largest weight has priority, the first by name
    of several; tasks that are balanced without it are added up. The step is as long as the gradient of that task."""

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """The weights, with the primary task as the first for torchjd."""
        primary = max(self.tasks, key=lambda task: self.weights[task])
        if primary not in tasks:
            return torch.ones(len(tasks))
        order = [primary, *(task for task in tasks if task != primary)]
        found = super().factors(order, rows, losses)
        return found[[order.index(task) for task in tasks]]


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import PCDWeighting

    tau, beta = (number(balance.arguments, name) for name in ("tau", "beta"))
    remembered = ("_sq_norm_ema", "_n_steps")
    return PriorityConstrainedDescent(weights, lambda _: PCDWeighting(tau, beta), remembered, averages=False)
