"""Methods that make one number of the losses by a function that is no weighted sum; torchjd gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mtsldsl.runtime.learning.balance.balance import NO_TASK, Balance, Labelled, Losses


class ScalarizerBalance(Balance):
    """A function of the weighted losses of those tasks that have a label, by name, times their number: so that losses
    that are all the same give the step of `equal`."""

    joint = True

    def __init__(self, weights: Mapping[str, float], scalar: Callable[[Losses], Tensor]) -> None:
        super().__init__(weights)
        self._scalar = scalar

    def combine(self, losses: Losses, labelled: Labelled = NO_TASK) -> Tensor:
        """The number; waits for `labelled`."""
        present = {
            task: weight * losses[task]
            for task, weight in self.weights.items()
            if weight and task in losses and (task not in labelled or bool(labelled[task]))
        }
        if not present:
            return super().combine(losses, labelled)
        return len(present) * self._scalar(present)


def of_values(scalarizer: Callable[[Tensor], Tensor]) -> Callable[[Losses], Tensor]:
    """A function of the losses that does not ask whose they are, given as one of a tensor of them."""
    return lambda losses: scalarizer(torch.stack(list(losses.values())))
