"""The combination of tasks whose gradients help all tasks most moves what is shared (Fifty et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations

import torch
from torch import Tensor, nn

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import integer, word
from mtsldsl.runtime.learning.balance.balance import Balance, Losses, Rows
from mtsldsl.runtime.learning.balance.gradient import GradientBalance
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.step import Position


class IncrementalTransference(GradientBalance):
    """IT-MTL (Fifty et al., Measuring and Harnessing Transference in Multi-Task Learning, 2020, arXiv 2010.15413): of
    some combinations of tasks the one is taken for which S = Σ_j 1 - L_j(θ - η Σ_i ∇L_i) / L_j(θ) is largest, with i in
    the combination, j every task, and θ the parameters that several tasks share; of equal ones the first, and those
    with more tasks are first. What one task has of its own takes its own gradient, from the same θ.

    The losses are those of the same batch, looked ahead by a plain step of the learning rate η: a backward pass for
    each task, and for each combination a forward pass. Between two looks the combination stays, `chosen` (tasks,);
    where none of its tasks is in a batch, or shares anything with those that are balanced, all of them count.
    """

    chosen: Tensor

    def __init__(self, weights: Mapping[str, float], *, every_combination: bool, every: int) -> None:
        super().__init__(weights)
        self._every_combination = every_combination
        self._every = every
        self._ahead: Probe | None = None
        self.register_buffer("chosen", torch.ones(len(weights), dtype=torch.bool))

    def observing(self, position: Position) -> bool:
        """At every so many steps of the run, beginning with the first."""
        return position.step % self._every == 0

    def observe(self, probe: Probe) -> None:
        """Keep the look ahead until the gradients are there."""
        self._ahead = probe

    def settle(self, losses: Losses, rows: Rows, parameters: Sequence[nn.Parameter]) -> None:
        """Add the gradient of the combination to `.grad` of what is shared, and its own to the rest."""
        super().settle(losses, rows, parameters)
        self._ahead = None

    def factors(self, tasks: Sequence[str], rows: Rows, losses: Losses) -> Tensor:
        """1 for the tasks of the combination and 0 for the others."""
        places = [self.tasks.index(task) for task in tasks]
        if self._ahead is not None:
            best = self._best(self._ahead, tasks, rows)
            self.chosen[places] = torch.tensor([task in best for task in tasks], device=self.chosen.device)
        found = self.chosen[places]
        return (found | ~found.any()).float()

    def _best(self, ahead: Probe, tasks: Sequence[str], rows: Rows) -> Sequence[str]:
        def total(combination: Sequence[str]) -> float:
            """The transference to all tasks; one that ends in no number is the least."""
            moved = {}
            for parameter, row in rows.items():
                step = [row[task] for task in combination if task in row]
                if step:
                    moved[parameter] = parameter.detach() - ahead.rate_of(parameter) * torch.stack(step).sum(0)
            after = ahead.losses_at(moved)
            known = [task for task in tasks if task in ahead.losses]
            found = sum(1 - float(after[task]) / float(ahead.losses[task].detach()) for task in known)
            return found if math.isfinite(found) else -math.inf

        return max(self._combinations(tasks), key=total)

    def _combinations(self, tasks: Sequence[str]) -> Iterator[Sequence[str]]:
        """All of the tasks, then those with fewer, or each alone; in alphabetical order."""
        sizes = range(len(tasks) - 1, 0, -1) if self._every_combination else (1,)
        return chain((tasks,), *(combinations(tasks, size) for size in sizes))


def make(weights: Mapping[str, float], balance: Named) -> Balance:
    """The balance of the tasks with these weights."""
    whole = word(balance.arguments, "candidates") == "all"
    return IncrementalTransference(weights, every_combination=whole, every=integer(balance.arguments, "every"))
