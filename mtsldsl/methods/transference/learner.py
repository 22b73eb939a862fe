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
from mtsldsl.ir.grouped import grouped
from mtsldsl.methods.transference.language import OPTIMIZER, SGD, LookAhead, Settings
from mtsldsl.runtime.learning.probe import Gains, Probe, Weights
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View

__all__ = ["Settings", "Transference"]


class Transference(Learner):
    """Looks ahead every so many steps, and tells the mean of an epoch.

    After the epochs that its settings name it chooses groups, by the mean of all that was measured.

    `sums` and `counts` (tasks, tasks) are those of the epoch, a row for each recipient, `run_sums` and `run_counts` are
    those of the run; `errors` (2,) is the sum of how far the first order was off, and of how many numbers that is.
    """

    sums: Tensor
    counts: Tensor
    errors: Tensor
    run_sums: Tensor
    run_counts: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._tasks: tuple[str, ...] = ()
        self._grouped = False
        self._pairs: tuple[Mapping[str, Weights], frozenset[tuple[str, str]]] | None = None

    def begin(self, spec: Spec) -> None:
        """Nothing is measured yet."""
        self._tasks = spec.sharing.tasks
        self._grouped = bool(spec.sharing.helpers)
        for name in ("sums", "counts", "run_sums", "run_counts"):
            self.register_buffer(name, torch.zeros(len(self._tasks), len(self._tasks), dtype=torch.float64))
        self.register_buffer("errors", torch.zeros(2, dtype=torch.float64))

    def observing(self, position: Position) -> bool:
        """At every so many steps of the run, beginning with the first, until groups are chosen."""
        until = self._until
        return position.step % self.settings.every == 0 and (until is None or position.epoch < until)

    def observe(self, probe: Probe) -> None:
        """Take the gains of a step, or of a set of its tasks that is computed apart as it shares nothing."""
        pairs = self._sharing(probe)
        if pairs.isdisjoint(product(probe.losses, repeat=2)):
            return
        if self.settings.step == SGD:
            found = probe.gains()
        elif self.settings.step == OPTIMIZER:
            found = probe.gains_of_optimizer()
        else:
            found = probe.first_order()
            if not self.counts.any():  # once an epoch it is held against the step itself
                exact = probe.gains()
                off = [abs(found[pair] - exact[pair]) for pair in pairs & found.keys() & exact.keys()]
                self.errors += torch.tensor([sum(off), len(off)], device=self.errors.device)
        self._add({pair: gain for pair, gain in found.items() if pair in pairs})

    def _sharing(self, probe: Probe) -> frozenset[tuple[str, str]]:
        """The pairs of tasks of the run that share a weight. Of others there is nothing to measure, as of those that
        help in a group."""
        if self._pairs is None or self._pairs[0] is not probe.shared:
            names = {task: weights.keys() for task, weights in probe.shared.items() if task in self._tasks}
            pairs = ((one, other) for one in names for other in names if names[one] & names[other])
            self._pairs = probe.shared, frozenset(pairs)
        return self._pairs[1]

    def _add(self, gains: Gains) -> None:
        if not gains:
            return
        places: Mapping[str, int] = {task: place for place, task in enumerate(self._tasks)}
        at = torch.tensor([(places[recipient], places[donor]) for donor, recipient in gains]).unbind(1)
        values = torch.tensor([*gains.values()], dtype=self.sums.dtype, device=self.sums.device)
        self.sums[at] += values
        self.counts[at] += 1

    def due(self, position: Position) -> bool:
        """At the end of every epoch in which it looked ahead."""
        return self._until is None or position.epoch <= self._until

    @property
    def _until(self) -> int | None:
        """Until which epoch it looks ahead: not at all where it would choose groups, and the tasks are in some."""
        return 0 if self._grouped and self.settings.groups is not None else self.settings.until

    def decide(self, view: View) -> Proposal:
        """Tell what was measured in the epoch, and choose groups when the time has come."""
        self.run_sums += self.sums
        self.run_counts += self.counts
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
        if self.settings.groups is None or view.position.epoch != self.settings.until:
            return Proposal(view.spec.sharing, ())
        return self._chosen(view, self.settings.groups)

    def _chosen(self, view: View, groups: int) -> Proposal:
        sums, counts = self.run_sums.tolist(), self.run_counts.tolist()
        affinity = {
            recipient: {
                donor: sums[row][column] / counts[row][column]
                for column, donor in enumerate(self._tasks)
                if counts[row][column]
            }
            for row, recipient in enumerate(self._tasks)
        }
        if not any(donor != recipient for recipient, donors in affinity.items() for donor in donors):
            return Proposal(
                view.spec.sharing, (), {"reason": "nothing was measured of any two tasks: none share a layer"}
            )
        found = grouped(view.spec, affinity, groups, self.settings.singles, view.decided)
        if found.sharing == view.spec.sharing:
            return Proposal(view.spec.sharing, (), {"reason": "all tasks are in these groups already"})
        return Proposal(found.sharing, found.decisions, found.evidence)
