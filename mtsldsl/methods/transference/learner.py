"""Measures in one joint run how much a step along the gradient of one task lowers the loss of another.

Fifty et al., Measuring and Harnessing Transference in Multi-Task Learning, 2020, arXiv 2010.15413; Efficiently
Identifying Task Groupings for Multi-Task Learning, 2021, arXiv 2109.04617, eq. 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor

from mtsldsl.ir import Spec
from mtsldsl.methods.transference.language import OPTIMIZER, SGD, LookAhead, Settings
from mtsldsl.runtime.learning.probe import Gains, Probe
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View

__all__ = ["Settings", "Transference"]


class Transference(Learner):
    """Looks ahead every so many steps, and tells the mean of an epoch.

    `sums` and `counts` (tasks, tasks) are those of the epoch, a row for each recipient; `errors` (2,) is the sum of how
    far the first order was off, and of how many numbers that is.
    """

    sums: Tensor
    counts: Tensor
    errors: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._tasks: tuple[str, ...] = ()
        self._step, self._looked = -1, tuple[str, ...]()

    def begin(self, spec: Spec) -> None:
        """Nothing is measured yet."""
        self._tasks = spec.sharing.tasks
        zeros = torch.zeros(len(self._tasks), len(self._tasks), dtype=torch.float64)
        self.register_buffer("sums", zeros)
        self.register_buffer("counts", torch.zeros_like(zeros))
        self.register_buffer("errors", torch.zeros(2, dtype=torch.float64))

    def observing(self, position: Position) -> bool:
        """At every so many steps of the run, beginning with the first."""
        return position.step % self.settings.every == 0

    def observe(self, probe: Probe) -> None:
        """Take the gains of a step, or of a set of its tasks that is computed apart as it shares nothing."""
        self._add(self._between_sets(probe))
        if self.settings.step == SGD:
            self._add(probe.gains())
            return
        if self.settings.step == OPTIMIZER:
            self._add(probe.gains_of_optimizer())
            return
        found = probe.first_order()
        if not self.counts.any():  # once an epoch it is held against the step itself
            exact = probe.gains()
            off = [abs(found[pair] - exact[pair]) for pair in found.keys() & exact.keys()]
            self.errors += torch.tensor([sum(off), len(off)], device=self.errors.device)
        self._add(found)

    def _between_sets(self, probe: Probe) -> Gains:
        """What the tasks do to those of the step that were looked at before them."""
        if probe.step != self._step:
            self._step, self._looked = probe.step, ()
        pairs = list(product(self._looked, probe.losses))
        self._looked += tuple(probe.losses)
        return dict.fromkeys([*pairs, *((other, one) for one, other in pairs)], 0.0)

    def _add(self, gains: Gains) -> None:
        if not gains:
            return
        places: Mapping[str, int] = {task: place for place, task in enumerate(self._tasks)}
        at = torch.tensor([(places[recipient], places[donor]) for donor, recipient in gains]).unbind(1)
        values = torch.tensor([*gains.values()], dtype=self.sums.dtype, device=self.sums.device)
        self.sums[at] += values
        self.counts[at] += 1

    def due(self, position: Position) -> bool:
        """At the end of every epoch."""
        return True

    def decide(self, view: View) -> Proposal:
        """Tell what was measured in the epoch."""
        counts = [[int(number) for number in row] for row in self.counts.tolist()]
        means = [
            [total / count if count else None for total, count in zip(*rows, strict=True)]
            for rows in zip(self.sums.tolist(), counts, strict=True)
        ]
        off, many = self.errors.tolist()
        error = off / many if many else None
        view.say(LookAhead.kind, tasks=self._tasks, gained=means, looks=counts, first_order_error=error)
        for each in (self.sums, self.counts, self.errors):
            each.zero_()
        return Proposal(view.spec.sharing, ())
