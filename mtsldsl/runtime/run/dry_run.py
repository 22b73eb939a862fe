"""A run that ends after its first steps and one batch of validation, to see that it goes and what it takes.

The `train.py` of the spec drives it as it drives a `Session`: the same text, data, training, guard and places. It has
no run folder, and writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import attrs
import torch
from torch import nn

from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Mixed, Samples, Splits, steps_per_epoch
from mtsldsl.runtime.data.mixed import streamed
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.trained import SchedulerFactory
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.user_modules import check_own_modules
from mtsldsl.runtime.objectives import BatchLosses
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.beginning import Read
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.device import choose_device
from mtsldsl.runtime.run.display import Display, QuietDisplay, choose_display, warn
from mtsldsl.runtime.run.epoch import EpochLosses, under_way
from mtsldsl.runtime.run.event_lines import warning_lines
from mtsldsl.runtime.run.initial_weights import InitialWeights, begin_run
from mtsldsl.runtime.run.memory import within_memory
from mtsldsl.runtime.run.peak_memory import peak_memory_mb
from mtsldsl.runtime.run.requirements import require_for_run
from mtsldsl.runtime.run.teaching import TeachingRun
from mtsldsl.runtime.run.threads import use_threads
from mtsldsl.runtime.structure.learner import Learner

_TIMED = 3
"""Steps that are made after the first for their time: the first one's is that of warming up."""


class _Enough(Exception):  # noqa: N818  # nothing is wrong
    """Ends the loop of the `train.py`."""


@attrs.define
class _FirstSteps(EpochLosses):
    """Of the first steps of an epoch: ends where each of `tasks` has had its turn, and a few were made for the time."""

    tasks: frozenset[str] = frozenset()
    device: torch.device = attrs.field(factory=lambda: torch.device("cpu"))
    ends: list[float] = attrs.field(factory=list)
    """When each step was done."""
    _seen: set[str] = attrs.field(factory=set)

    def add(self, losses: BatchLosses, penalty: torch.Tensor | None) -> None:
        """Take note of whose losses they are."""
        self._seen |= losses.values.keys()
        super().add(losses, penalty)

    def end_step(self) -> None:
        """Take the time; raise `_Enough` where these are enough."""
        super().end_step()
        self.ends.append(_now(self.device))
        if self.tasks <= self._seen and self.steps > _TIMED:
            raise _Enough

    def step_seconds(self) -> float:
        """The mean of the steps after the first, or that of the only one."""
        first, last = self.ends[0], self.ends[-1]
        return (last - first) / (self.steps - 1) if self.steps > 1 else last - self._began


@attrs.define
class DryRun:
    """What a generated `train.py` finds in the place of a `Session`."""

    spec: Spec
    device: torch.device
    display: Display
    weights: InitialWeights | None = None
    teaching: TeachingRun | None = None
    cache: bool = True
    workers: int = 0
    _data: Splits[Any] | None = None

    @classmethod
    def create(cls, spec: Spec, device: str, display: str) -> DryRun:
        """The dry run of a spec. Raises MtlError as the beginning of a run does."""
        chosen = choose_device(device)
        check_own_modules(spec)
        require_for_run(spec)
        weights, teaching = InitialWeights.said_by(spec), TeachingRun.said_by(spec, chosen)
        return cls(self_contained(spec), chosen, choose_display(display), weights, teaching)

    def run(self, threads: int | None = None) -> None:
        """Make the first steps of the spec's own `train.py`, and tell what they took. Raises MtlError as a run does."""
        module = Code.of(self.spec).run()
        use_threads(threads, self.spec, self.device)
        with closing(self.display), within_memory(self.spec), suppress(_Enough):
            module.main(self)

    def load_data(self) -> Splits[Any]:
        """The spec's data set, as a run reads it."""
        read = Read.of(self.spec, cache=self.cache, workers=self.workers)
        start = read.start(self.spec, self.device, Ranks(), folder=None)
        doubts = [] if self.teaching is None else list(self.teaching.hold_data(self.spec, start.read or {}))
        self.display.event(start)
        for warning in (*read.warnings(self.spec, self.device), *doubts):
            _warn(warning)
        self._data = read.data
        return read.data

    def start(
        self,
        model_class: type[nn.Module],
        learner: Learner,
        make_optimizer: OptimizerFactory,
        make_scheduler: SchedulerFactory,
    ) -> Training:
        """The training that a run begins with."""
        training = Training.start(self.spec, model_class, learner, make_optimizer, make_scheduler, self.device)
        told = () if self.teaching is None else self.teaching.told(self.spec)
        if self.teaching is not None:
            training.teachers = self.teaching.teachers(self.spec)
        for event in (*begin_run(self.weights, self.spec, training.model), *told):
            _warn(event) if isinstance(event, events.Warned) else self.display.event(event)
        return training

    def stops(self, training: Training, learner: Learner, patience: int) -> bool:
        """A dry run ends by itself."""
        return False

    @contextmanager
    def epoch(self, training: Training, batches: int, samples: int | None = None) -> Iterator[EpochLosses]:
        """The first steps of the first epoch; then a batch of validation, and the end."""
        tasks = frozenset(task.name for task in self.spec.tasks)
        collected = _FirstSteps(QuietDisplay(), self.spec.penalty_name, tasks=tasks, device=self.device)
        with under_way(training, batches, collected) as losses, suppress(_Enough):
            yield losses
        self.display.event(self._found(training, losses))
        raise _Enough

    def _found(self, training: Training, losses: _FirstSteps) -> events.DryRun:
        assert self._data is not None
        train, means, penalty = self.spec.train, losses.means(), losses.penalty()
        few, sources = _first_batches(self.spec, self._data.validation), len(self.spec.streams)
        validation = training.evaluate(few)  # whose time is that of warming up
        began = _now(self.device)
        training.evaluate(few)
        step, batch = losses.step_seconds(), (_now(self.device) - began) / sources
        batches = sum(
            steps_per_epoch(own, stream.data.batch, drop_last=False)
            for stream, own in streamed(self.spec, self._data.validation)
        )
        epoch = step * training.epoch_steps + batch * batches
        return events.DryRun(
            steps=losses.steps,
            losses={**means, **penalty},
            penalty=next(iter(penalty), None),
            validation=validation.losses,
            step_seconds=step,
            batch_seconds=batch,
            epoch_steps=training.epoch_steps,
            epoch_batches=batches,
            epochs=train.epochs,
            epoch_seconds=epoch,
            run_seconds=epoch * train.epochs,
            peak_memory_mb=peak_memory_mb(self.device),
        )


def _first_batches(spec: Spec, samples: Samples | Mixed) -> Samples | Mixed:
    """The first batch of every source."""
    first = {
        stream.name: own.take(torch.arange(min(stream.data.batch, len(own)))) for stream, own in streamed(spec, samples)
    }
    return attrs.evolve(samples, parts=first) if isinstance(samples, Mixed) else next(iter(first.values()))


def _warn(warning: events.Warned) -> None:
    for line in warning_lines(warning):
        warn(line)


def _now(device: torch.device) -> float:
    """The time at which the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.monotonic()
