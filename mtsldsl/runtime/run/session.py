"""One run of one spec: where it computes, where it writes, and what a person sees. A generated `train.py` drives it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
from torch import nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.loss_scales import remark_on_scales
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.trained import SchedulerFactory
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.learning.warmup import warmth
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.answered import Answered
from mtsldsl.runtime.run.beginning import Read
from mtsldsl.runtime.run.best import load_kept
from mtsldsl.runtime.run.checkpoint import (
    give_back_kept,
    restore_checkpoint,
    save_checkpoint,
)
from mtsldsl.runtime.run.data_record import recorded_places, warn_of_other_code, warn_of_other_data
from mtsldsl.runtime.run.epoch import EpochLosses, under_way
from mtsldsl.runtime.run.event_json import class_of
from mtsldsl.runtime.run.found_in_steps import found_in_steps
from mtsldsl.runtime.run.initial_weights import begin_run
from mtsldsl.runtime.run.opened_run import OpenedRun
from mtsldsl.runtime.run.peak_memory import peak_memory_mb
from mtsldsl.runtime.run.selection import (
    thresholds_of,
)
from mtsldsl.runtime.run.single_task import single_task
from mtsldsl.runtime.run.stopping import tasks_out_of_patience, undecided
from mtsldsl.runtime.run.teaching import cost_of_teachers
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.runtime.structure.view import Watcher
from mtsldsl.syntax import write_text_atomically

MOST_OFTEN = 20
"""There is no checkpoint before a phase where the last one is not so many times as old as it takes to write one."""


@attrs.define
class Session(OpenedRun):
    """A run that goes on."""

    page: bool = True
    """Whether a page is written in the end; `mtsldsl log --html` writes it at any time."""
    checkpoint_every: float | None = 600.0
    """The seconds after which a checkpoint is written in the midst of an epoch; None: at the end of epochs alone."""
    _started: float = attrs.field(factory=time.monotonic)
    _saved: float = attrs.field(factory=time.monotonic)
    """When the last checkpoint was."""
    _saving: float = 0.0
    """The seconds that it took."""
    _unfinished: Saved | None = None
    """What the checkpoint has of an epoch that was not over."""
    _partly: bool = False
    """Whether a task has no label of some of the training set."""
    _differences: Sequence[str] = ()
    """Between the data of a run that goes on and what it was."""
    _stopped: events.Stopped | None = None
    _learner: Learner | None = None

    def load_data(self) -> Splits[Any]:
        """The spec's data set, each split apart. Without its data, or labels to learn from, a new run leaves no folder
        behind."""
        if self.checkpoint is not None:
            warn_of_other_code(self.spec, self.folder.events)
        else:
            self.write_request()
        with self._whole_or_nothing():
            read = Read.of(
                self.spec, recorded_places(self.spec, self.folder.events), cache=self.cache, workers=self.workers
            )
        data, described = read.data, read.described["train"]["labels"]
        self._partly = not all(map(events.whole, described.values()))
        constant = self._best.compare_with_constant(self.spec, data)
        if self.checkpoint is None:
            file = str(self.in_place.path) if self.in_place else None
            place = str(self.folder.path)
            start = read.start(self.spec, self.device, self.ranks, folder=place, in_place=file)
            with self._whole_or_nothing():
                doubts = [] if self.teaching is None else list(self.teaching.hold_data(self.spec, start.read or {}))
            self.log.write(attrs.evolve(start, loggers=self.loggers.names(), command=self.command))
            for warning in (*read.warnings(self.spec, self.device), *doubts):
                self._warn(warning)
            self.log.write(events.Constant(split="validation", metrics=constant))
        else:
            self._differences = warn_of_other_data(self.spec, data, self.folder.events)
        return data

    def start(
        self,
        model_class: type[nn.Module],
        learner: Learner,
        make_optimizer: OptimizerFactory,
        make_scheduler: SchedulerFactory,
    ) -> Training:
        """A new training of a network of this class, or the one that the checkpoint holds."""
        self._learner = learner
        training = Training.start(
            self.spec, model_class, learner, make_optimizer, make_scheduler, self.device, self.ranks
        )
        if self.teaching is not None:
            training.teachers = self.teaching.teachers(self.spec)
        if self.checkpoint is not None:
            self._unfinished = restore_checkpoint(self.checkpoint, training)
            give_back_kept(self.checkpoint, self.folder, self.spec.sharing.tasks)
            self.log.cut(self._logged)
            self._best.resume(training.epoch)
            if self._differences:
                self.log.write(events.OtherData(differences=self._differences))
            step = training.batches or None
            self.log.write(events.Resume(epoch=training.epoch, step=step, loggers=self.loggers.names()))
        else:
            told = () if self.teaching is None else self.teaching.told(self.spec)
            with self._whole_or_nothing():
                begun = list(begin_run(self.weights, training.spec, training.model))
            for event in (*begun, *told):
                self._warn(event) if isinstance(event, events.Warned) else self.log.write(event)
            if self.weights is not None:
                learner.begins_with(training.spec, training.model)
            if self.weights is not None and learner.begins_anew:
                training.beginning = {name: value.cpu().clone() for name, value in training.model.state_dict().items()}
        return training

    @contextmanager
    def epoch(self, training: Training, batches: int, samples: int | None = None) -> Iterator[EpochLosses]:
        """An epoch of so many batches: collects the losses without waiting for the device, and logs their means.
        Without `samples`, those of all batches, each is a whole one. A signal ends the run between two steps, or
        once the epoch is validated, with a checkpoint; before a structural phase, which it ends at once, there is one
        too."""
        collected = EpochLosses(self.display, training.spec.penalty_name)
        collected.between = partial(self._between_steps, training, collected)
        with under_way(training, batches, collected, f"the run so far is in {self.folder.path}") as losses:
            if self._unfinished is not None:
                losses.go_on(self._unfinished, training)
                self._unfinished = None
            self.signals.waits = self.checkpoint_every is not None and not self.ranks.several
            yield losses
            if self._learner is not None and self._learner.due(training.position_after):
                if time.monotonic() - self._saved >= MOST_OFTEN * self._saving:
                    self._save_within(training, losses)
                self.signals.waits = False
        found, penalty = losses.means(), losses.penalty()
        means = {task.name: found[task.name] for task in training.trained if task.name in found}
        soft, teachers = losses.soft(), training.teachers
        whole = means if teachers is None else teachers.whole(means, soft)
        training.end_epoch(whole)
        seconds = losses.seconds()
        count = batches * training.spec.data.batch if samples is None else samples
        self.log.write(
            events.Epoch(
                epoch=training.epoch,
                losses={**means, **penalty},
                penalty=next(iter(penalty), None),
                labels=losses.labels(training.spec) if self._partly else None,
                lr=training.rate * warmth(training.steps, training.spec.train.warmup),
                epoch_seconds=round(seconds, 4),
                samples_per_second=round(count / seconds, 1) if seconds else None,
                seconds=round(time.monotonic() - self._started, 1),
                peak_memory_mb=peak_memory_mb(self.device),
                soft={task: soft[task] for task in means if task in soft} if soft else None,
                teachers_seconds=None if teachers is None else round(teachers.spent(), 4),
                skipped_steps=None if training.scale is None else training.scale.skipped or None,
            )
        )
        for event in found_in_steps(training):
            self.log.write(event)
        begins = training.epoch == 1 or training.epoch - 1 == self._best.since
        if begins and (scales := remark_on_scales(training.spec, whole)) is not None:
            self._warn(events.Warned(about="losses", text=scales))

    def _between_steps(self, training: Training, losses: EpochLosses) -> None:
        """Write a checkpoint where it is time to, or a signal ends the run."""
        every = self.checkpoint_every
        late = every is not None and time.monotonic() - self._saved >= every
        if self.signals.asked or (late and training.batches < training.epoch_steps):
            self._save_within(training, losses)
        self.signals.end_if_asked()

    def _save_within(self, training: Training, losses: EpochLosses) -> None:
        """Write a checkpoint in the midst of an epoch, where there are any, and none is there of the step."""
        place = self.folder.checkpoint_after(training.epoch, training.batches)
        if self.checkpoint_every is None or self.ranks.rank or self.checkpoint == place:
            return
        if training.guard is not None:
            training.guard.look()
        training.balance.catch_up()
        self._save(training, losses)

    def _save(self, training: Training, losses: EpochLosses | None = None) -> None:
        began = time.monotonic()
        self.checkpoint = save_checkpoint(self.folder, training, self.log.length(), self.checkpoint, losses)
        self._saved = time.monotonic()
        self._saving = self._saved - began

    def end_epoch(self, training: Training, validation: Evaluation) -> None:
        """Log the validation, keep the best weights of the present structure, write the checkpoint."""
        self._best.end_epoch(training, validation, self.log)
        if self._learner is not None:
            for stopped in tasks_out_of_patience(training, self._learner, self._best.selection):
                self.log.write(stopped)
        self._save(training)
        self.signals.end_if_asked()

    def stops(self, training: Training, learner: Learner, patience: int) -> bool:
        """Whether the run ends before its last epoch: no set of tasks was better in as many epochs, and nothing is to
        be decided any more of who shares what."""
        if undecided(training, learner) or self._best.improving(training.epoch, patience):
            return False
        self._stopped = events.Stopped(epoch=training.epoch, patience=patience)
        return True

    @property
    def watcher(self) -> Watcher:
        """Who is told of the work inside a phase."""
        return self.display

    def say(self, kind: str, **fields: Any) -> None:
        """Write the event of that kind, of a phase or of a learner's own."""
        made = class_of(kind)
        if made is None:
            raise ValueError(f"no `language.py` of a method has an event `{kind}` among its `findings`")
        self.log.write(made(**fields))

    def structure_changed(self, spec: Spec, epoch: int, decisions: Sequence[Decision], *, same: bool = False) -> None:
        """Write the evolved spec and its code. The best epoch is chosen anew, as earlier ones are of another network,
        unless it computes the `same`."""
        self.folder.write_spec(spec.source, f"epoch-{epoch:03d}")
        self.write_code(spec)
        if not same:
            self._best.begin_anew(epoch)
        own = self.in_place
        if own is not None and own.reason is None and not own.update(spec, decisions):
            self.log.write(own.left_alone(self.folder, epoch))
            own.warn(self.folder, epoch)

    def finish(self, training: Training, data: Splits[Any]) -> None:
        """Report the test set once, for the epoch that validation chose, and write the report."""
        from mtsldsl.runtime.run.report import run_page

        self.signals.waits = False
        if self._stopped is not None:
            self.log.write(self._stopped)
        spec, model = load_kept(self.folder, self.device)
        answered = Answered.of(spec, data)
        epochs = self._best.selection.epochs()
        thresholds = thresholds_of(self.folder.events, epochs)
        test = evaluate(model, spec, data.test, self.device, watch=answered.see, thresholds=thresholds)
        cost = spec.cost()
        own = final_events.Test(
            losses=test.losses,
            metrics=test.metrics,
            columns=test.columns,
            epochs=epochs,
            keep=spec.train.kept,
            chosen_by=self._best.selection.chosen_by(training.averaged_steps),
            parameters=cost.parameters,
            flops=cost.flops,
            thresholds=test.thresholds or None,
        )
        self.log.write(own)
        self._best.finish(training, own, self.log)
        if self._learner is not None and self._learner.teach and training.teachers is None:
            text = "no phase has changed what tasks share, so nothing has taught: `teach` makes no difference"
            self._warn(events.Warned(about="teachers", text=text))
        single = single_task(self.folder)
        for event in (*([single] if single else []), *answered.told(self.folder)):
            self.log.write(event)
        end = final_events.End(
            folder=str(self.folder.path),
            seconds=round(time.monotonic() - self._started, 1),
            peak_memory_mb=peak_memory_mb(self.device),
            teachers_seconds=cost_of_teachers(self.folder.events),
        )
        self.log.write(end)
        if self.page:
            write_text_atomically(self.folder.report, run_page(self.folder))
        if self.in_place is not None:
            self.in_place.warn(self.folder, training.epoch)
