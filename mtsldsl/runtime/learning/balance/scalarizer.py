"""Methods that make one number of the losses by a function that is no weighted sum; torchjd gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses

if TYPE_CHECKING:
    from torchjd.scalarization import Scalarizer


class ScalarizerBalance(Balance):
    """A function of the weighted losses of those tasks that have a label, times their number: so that losses that are
    all the same give the step of `equal`."""

    joint = True

    def __init__(self, weights: Mapping[str, float], scalarizer: Scalarizer) -> None:
        super().__init__(weights)
        self._scalarizer = scalarizer

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The number; waits for `labelled`."""
        present = [
            weight * losses[task]
            for task, weight in self.weights.items()
            if weight and task in losses and (task not in labelled or bool(labelled[task]))
        ]
        if not present:
            return super().combine(losses, labelled)
        total: Tensor = len(present) * self._scalarizer(torch.stack(present))
        return total
