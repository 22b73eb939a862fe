"""How large the gradient of each task is on the weights that it shares with others, measured now and then.

It is read off a step in hand, whose graph stays as it is: no bit of the run is another one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs
import torch
from torch import nn

from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.objectives.losses import sum_dtype
from mtsldsl.sharing import linked_in_order

Shared: TypeAlias = Mapping[str, Mapping[str, nn.Parameter]]
"""For each task the weights that it shares, by their names in the network."""

STEPS = 70
"""For each task so many steps lie between two measurements: a task takes one backward pass, which is about two thirds
of a step, so that the run takes less than a hundredth longer."""


def measured_every(epoch_steps: int, tasks: int) -> int:
    """After how many epochs of so many steps the norms are measured again."""
    return math.ceil(STEPS * tasks / max(epoch_steps, 1))


@attrs.define
class GradientNorms:
    """The Euclidean norms of the gradients of the tasks' losses, as they are before the balance and the task's weight,
    on shared weights: for each task at the first batch of an epoch that it has a part in, NaN without a label there."""

    norms: dict[str, float] = attrs.field(factory=dict)
    together: tuple[tuple[str, ...], ...] = ()
    """The tasks that are linked by weights that they share, directly or through others."""

    def forget(self) -> None:
        """Begin another epoch."""
        self.norms, self.together = {}, ()

    def waiting(self, tasks: Sequence[str], shared: Shared) -> list[str]:
        """Those of some tasks that share weights, and were not measured in this epoch."""
        return [task for task in tasks if shared.get(task) and task not in self.norms]

    def measure(self, tasks: Sequence[str], losses: BatchLosses, shared: Shared, ranks: Ranks) -> None:
        """Measure tasks whose losses in a batch have graphs of their own, which stay.

        A measurement ends no run: where a module refuses, as one that computes itself anew in `backward` alone does, or
        memory is short, there is no number.
        """
        users: dict[str, set[str]] = {}
        for task, held in shared.items():
            for name in held:
                users.setdefault(name, set()).add(task)
        self.together = linked_in_order(map(frozenset, users.values()), list(shared))
        labelled = losses.labelled()
        for task in tasks:
            self.norms[task] = math.nan
            loss = losses.values[task]
            weights = [each for each in shared[task].values() if each.requires_grad]
            if not (weights and loss.requires_grad and bool(labelled[task])):
                continue
            try:
                found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            except RuntimeError:
                if ranks.several:  # the others would wait for this one
                    raise
                continue
            known = ranks.added([each for each in found if each is not None])
            squares = [each.to(sum_dtype(each.device)).square().sum() for each in known]
            if squares:
                self.norms[task] = float(torch.stack(squares).sum().sqrt())
                if not math.isfinite(self.norms[task]):  # too large for fp16: that of the next batch may not be
                    del self.norms[task]
