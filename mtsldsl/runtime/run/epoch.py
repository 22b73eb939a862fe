"""What is added up while an epoch goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
from torch import Tensor

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.objectives import BatchLosses, Loss, LossTotals
from mtsldsl.runtime.objectives.losses import Sums
from mtsldsl.runtime.run.display import Display


@attrs.define
class EpochLosses:
    """The losses of an epoch, kept on the device so that no step waits for it."""

    display: Display
    penalty_name: str
    steps: int = 0
    between: Callable[[], None] | None = None
    """Called between two steps, and after the last."""
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
        if self.between is not None:
            self.between()

    def saved(self) -> Saved:
        """What has been added up so far."""
        tensors = {} if self._penalty is None else {PENALTY: self._penalty}
        parts = list(self._totals.parts())
        for place, (_, _, sums) in enumerate(parts):
            tensors |= {f"{place}.{number}": each for number, each in enumerate(sums)}
        kept = [{"teach": teach, "tasks": list(tasks), "sums": len(sums)} for teach, tasks, sums in parts]
        facts = {"steps": self.steps, "tasks": list(self._totals.tasks()), "parts": kept, "seconds": self.seconds()}
        return Saved(tensors, facts)

    def go_on(self, saved: Saved, training: Training) -> None:
        """Begin with what had been added up when that was saved; the display counts these steps too."""

        def part(place: int, facts: Mapping[str, Any]) -> tuple[float | None, tuple[str, ...], Sums, Loss]:
            names, teach = tuple(facts["tasks"]), facts["teach"]
            sums = tuple(tensors[f"{place}.{number}"] for number in range(facts["sums"]))
            return teach, names, sums, training.loss_of(names[0], taught=teach is not None)

        tensors = {name: tensor.to(training.device) for name, tensor in saved.tensors.items()}
        self._penalty = tensors.get(PENALTY)
        self._totals.go_on(saved.facts["tasks"], [part(*each) for each in enumerate(saved.facts["parts"])])
        self._began -= saved.facts["seconds"]
        self.steps = saved.facts["steps"]
        for _ in range(self.steps):
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


PENALTY = "penalty"
"""The sum of the learner's own losses, among the tensors that are saved."""

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
