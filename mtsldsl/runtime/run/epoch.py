"""What is added up while an epoch goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import attrs
from torch import Tensor

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.objectives import BatchLosses, LossTotals
from mtsldsl.runtime.run.display import Display


@attrs.define
class EpochLosses:
    """The losses of an epoch, kept on the device so that no step waits for it."""

    display: Display
    penalty_name: str
    steps: int = 0
    _totals: LossTotals = attrs.field(factory=LossTotals)
    _penalty: Tensor | None = None
    _began: float = attrs.field(factory=time.monotonic)

    def add(self, losses: BatchLosses, penalty: Tensor | None) -> None:
        """Add the losses of a step, of all tasks or of one set of them after the other."""
        self._totals.add(losses)
        if penalty is not None:
            detached = penalty.detach()
            self._penalty = detached if self._penalty is None else self._penalty + detached

    def end_step(self) -> None:
        """Count a step that is made."""
        self.steps += 1
        self.display.advance()

    def means(self) -> dict[str, float]:
        """Each task's loss over all that counted in the epoch, NaN without any; waits for the device."""
        return self._totals.values()

    def soft(self) -> dict[str, float]:
        """Each task's loss against its teacher's answers over all of the epoch, of those that have one; waits for the
        device."""
        return self._totals.soft()

    def labels(self, spec: Spec) -> dict[str, int]:
        """How many entries of each task that learned counted in the epoch; waits for the device."""
        counts = self._totals.counts()
        return {task.name: counts[task.name] for task in spec.tasks if task.name in counts}

    def penalty(self) -> dict[str, float]:
        """The penalty as the mean over steps, under its name; nothing where no step had any."""
        return {} if self._penalty is None else {self.penalty_name: float(self._penalty) / self.steps}

    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self._began


Losses = TypeVar("Losses", bound=EpochLosses)


def _put_into_training(training: Training) -> None:
    """The network, but for copies of layers and heads that no task has which learns: nothing of them changes."""
    training.model.train()
    rest = frozenset(training.spec.trained_with(training.stopped))
    for copy in copies(training.spec) if rest else ():
        if copy.component and copy.component <= rest:
            training.model.get_submodule(copy.name).eval()


@contextmanager
def under_way(training: Training, batches: int, losses: Losses, hint: str = "") -> Iterator[Losses]:
    """While open, an epoch of so many batches goes on, which collects its losses: what fails in it is told with its
    place in the spec, and with `hint` where losses are not finite."""
    _put_into_training(training)
    steps = -(-batches // training.spec.train.accumulate)
    losses.display.begin_epoch(training.epoch + 1, training.spec.train.epochs, steps)
    training.epoch_steps = steps
    with located(training.model, training.spec), training.guarded(hint), training.watched():
        yield losses
