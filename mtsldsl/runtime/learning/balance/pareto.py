"""The losses are led to where they stand in a preferred proportion, and fall from there (Lin et al., 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import integer
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance
from mtsldsl.runtime.learning.balance.gramian import gramian
from mtsldsl.runtime.learning.balance.preference import Preference, preference_of

SEARCH = 2
"""Epochs after which the preferred cone is no longer sought first, as in the paper's code."""

NEAR = 1e-3
"""How near to the bounds of the cone, over the length of the vector of losses, these count."""


class ParetoMultiTask(GradientBalance):
    """Pareto MTL (Lin et al., Pareto Multi-Task Learning, 2019, arXiv 1912.12854, algorithm 1). With the vector of the
    losses L and unit vectors u, the preferred one, and u_j, its neighbours, the bounds are G_j = (u_j - u) L <= 0: of
    all these u lies nearest to L. Until L has been within them once, or for two epochs, the step is the least
    combination of the gradients of the G_j that are broken; then that of the gradients of the losses and of the G_j
    that are broken or nearly so. The neighbours are turned from u towards the axis of each task by a quarter circle
    over `vectors`, or less where the axis is nearer, and there is none where it is half as near.

    Tasks that are balanced together have the preference among them. A checkpoint has which tasks were `inside`
    (tasks,), and the `epochs`.
    """

    inside: Tensor
    epochs: Tensor

    def __init__(self, weights: Mapping[str, float], preference: Preference, vectors: int) -> None:
        from torchjd.aggregation import MGDAWeighting

        super().__init__(weights)
        self._preference, self._angle = preference, math.pi / 2 / vectors
        self._least_norm = MGDAWeighting()
        self.register_buffer("inside", torch.zeros(len(weights), dtype=torch.bool))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Count the epochs of the search."""
        self.epochs += 1
        if self.epochs >= SEARCH:
            self.inside.fill_(True)

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """What each task's gradient counts in the least combination, times the number of tasks."""
        products = gramian(tasks, list(rows.values()), exact=True)
        bounds = self.bounds(tasks).to(products)
        values = torch.stack([losses[task] for task in tasks]).to(products)
        broken = bounds @ values / values.norm().clamp(min=torch.finfo(values.dtype).tiny)
        places = [self.tasks.index(task) for task in tasks]
        if not bool((broken > 0).any()):
            self.inside[places] = True
        found = bool(self.inside[places].all())
        combined = bounds[broken > 0]
        if found:
            combined = torch.cat([torch.eye(len(tasks)).to(products), bounds[broken >= -NEAR]])
        shares = self._least_norm(combined @ products @ combined.T)
        return len(tasks) * (shares @ combined).float()

    def bounds(self, tasks: Sequence[str]) -> Tensor:
        """The differences of the neighbours and the preferred vector, `(neighbours, tasks)`."""
        preferred = torch.tensor([self._preference[task] for task in tasks], dtype=torch.float64)
        preferred = preferred / preferred.norm()
        found = [preferred.new_zeros(0, len(tasks))]
        for axis in torch.eye(len(tasks), dtype=torch.float64):
            along = axis @ preferred
            across = axis - along * preferred
            between = math.atan2(float(across.norm()), float(along))
            if between >= self._angle / 2:
                turn = min(self._angle, between)
                turned = math.cos(turn) * preferred + math.sin(turn) * across / across.norm()
                found.append((turned - preferred).unsqueeze(0))
        return torch.cat(found)


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    return ParetoMultiTask(weights, preference_of(weights, balance), integer(balance.arguments, "vectors"))
