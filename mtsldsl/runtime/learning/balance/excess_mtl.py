"""More weight for tasks that are still far from the best they could do (He et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import integer, number
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.remembering import RememberingBalance


class ExcessRisks(RememberingBalance):
    """ExcessMTL remembers the weights, and the sum of the squares of every number of the tasks' gradients on what they
    share: for each set of tasks one gradient more a task, and while a step is balanced some more. Where the network has
    become another one it begins anew."""

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """The weights times their number, by the whole gradients."""
        parts = []
        for row in rows.values():
            zero = torch.zeros_like(next(iter(row.values())))
            parts.append(torch.stack([row.get(task, zero).flatten() for task in tasks]).float())
        return len(tasks) * self.memory.weigh(tuple(tasks), torch.cat(parts, 1))

    def network_changed(self) -> None:
        """What was remembered belonged to other parameters."""
        self.memory.forget()


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    from torchjd.aggregation import ExcessMTLWeighting

    size, steps = number(balance.arguments, "robust_step_size"), integer(balance.arguments, "n_warmup_steps")
    remembered = ("_weights", "_sq_grad_sum", "_initial_w", "_warmup_w_sum", "_n_steps")
    return ExcessRisks(weights, lambda _: ExcessMTLWeighting(size, steps), remembered, averages=True)
