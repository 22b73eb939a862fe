"""One run of one spec: where it computes, where it writes, and what a person sees. A generated `train.py` drives it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Decision, Spec
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.loss_scales import remark_on_scales
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.trained import SchedulerFactory
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.learning.warmup import warmth
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.network.user_modules import check_own_modules
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.answered import Answered
from mtsldsl.runtime.run.beginning import Read
from mtsldsl.runtime.run.best import load_kept
from mtsldsl.runtime.run.best_epochs import BestEpochs
from mtsldsl.runtime.run.checkpoint import (
    length_of_events,
    restore_checkpoint,
    save_checkpoint,
)
from mtsldsl.runtime.run.data_record import recorded_places, warn_of_other_code, warn_of_other_data
from mtsldsl.runtime.run.device import choose_device
from mtsldsl.runtime.run.display import Display, choose_display, warn
from mtsldsl.runtime.run.epoch import EpochLosses, under_way
from mtsldsl.runtime.run.event_json import class_of
from mtsldsl.runtime.run.event_lines import warning_lines
from mtsldsl.runtime.run.folder import RunFolder, epoch_of, write_source
from mtsldsl.runtime.run.found_in_steps import found_in_steps
from mtsldsl.runtime.run.in_place import InPlace
from mtsldsl.runtime.run.initial_weights import InitialWeights, begin_run
from mtsldsl.runtime.run.loggers import Loggers, makers, recorded_loggers
from mtsldsl.runtime.run.peak_memory import peak_memory_mb
from mtsldsl.runtime.run.processes import own_device, require_even_shares, scratch_copy, scratch_folder
from mtsldsl.runtime.run.record_file import EventLog, started
from mtsldsl.runtime.run.requirements import require_for_run
from mtsldsl.runtime.run.selection import (
    thresholds_of,
)
from mtsldsl.runtime.run.single_task import single_task
from mtsldsl.runtime.run.stopping import tasks_out_of_patience, undecided
from mtsldsl.runtime.run.teaching import TeachingRun, cost_of_teachers, teaching_before
from mtsldsl.runtime.run.user_module_record import warn_of_other_modules
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.runtime.structure.view import Watcher
from mtsldsl.syntax import write_text_atomically


@attrs.define
class Session:
    """A run that goes on. `spec` is the one it started from, or goes on from."""

    spec: Spec
    folder: RunFolder
    device: torch.device
    display: Display
    loggers: Loggers
    checkpoint: Path | None = None
    in_place: InPlace | None = None
    weights: InitialWeights | None = None
    """Those that a new run begins with."""
    teaching: TeachingRun | None = None
    """Whose network teaches the tasks of this one."""
    cache: bool = True
    """Whether the samples may be those that were kept of an earlier run, and are kept for later ones."""
    command: str | None = None
    """By which a new run was started."""
    workers: int = 0
    """Processes that read samples beside this one."""
    page: bool = True
    """Whether a page is written in the end; `mtsldsl log --html` writes it at any time."""
    ranks: Ranks = attrs.field(factory=Ranks)
    """This process among those that train together; the first alone has the run folder that a person sees."""
    log: EventLog = attrs.field(init=False)
    _started: float = attrs.field(factory=time.monotonic)
    _best: BestEpochs = attrs.field(init=False)
    _logged: int = 0
    """The length of the event log when the checkpoint was written."""
    _partly: bool = False
    """Whether a task has no label of some of the training set."""
    _differences: Sequence[str] = ()
    """Between the data of a run that goes on and what it was."""
    _stopped: events.Stopped | None = None
    _learner: Learner | None = None

    def __attrs_post_init__(self) -> None:
        self._best = BestEpochs.of(self.spec, self.folder)
        self.log = EventLog(self.folder.events, self._tell)

    @classmethod
    def create(
        cls, spec: Spec, name: str, root: Path, device: str, display: str, loggers: Sequence[str] = ()
    ) -> Session:
        """A new run of `spec` in the next free folder of `root/name`. What it imports is written into its copy."""
        chosen = own_device(choose_device(device))
        ranks = Ranks.of_environment(chosen)
        require_even_shares(spec, ranks.size)
        check_own_modules(spec)
        require_for_run(spec)
        weights = InitialWeights.said_by(spec)
        teaching = TeachingRun.said_by(spec, chosen)
        made = makers(loggers)
        spec = self_contained(spec)
        if ranks.rank:
            root, display = scratch_folder(), "quiet"
        folder = RunFolder.create(root, name.strip(".") or "spec")  # a name of dots would lead out of `root`
        spec = folder.with_path(spec)
        told = Loggers(folder.path, {} if ranks.rank else made)
        session = cls(
            spec, folder, chosen, choose_display(display), told, weights=weights, teaching=teaching, ranks=ranks
        )
        folder.write_spec(spec.source, "start")
        session.write_code(spec)
        return session

    @classmethod
    def resume(
        cls, path: Path, device: str, display: str, loggers: Sequence[str] = (), teachers: str | None = None
    ) -> Session:
        """A run that goes on from its newest checkpoint; events written after it are dropped once it does. Without
        `loggers` it has those that it had. `teachers` is where the run that teaches it lies, if that was moved."""
        chosen = own_device(choose_device(device))
        ranks = Ranks.of_environment(chosen)
        folder = RunFolder.open(path)
        if folder.latest_checkpoint() is None:
            start = started(folder.events)
            again = (start and start.command) or f"mtsldsl train {folder.first_spec}"
            raise MtlError.of("MTL801", f"`{path}` has no checkpoint yet", f"start anew with `{again}`")
        if ranks.rank:
            folder, display = RunFolder.open(scratch_copy(folder.path)), "quiet"
        ranks.wait()  # until all have a folder of their own
        checkpoint = folder.latest_checkpoint()
        assert checkpoint is not None
        spec = folder.with_path(folder.read_spec(checkpoint / "spec.mtl"))
        folder.require_own(spec, checkpoint)
        with original_spans(spec):
            require_even_shares(spec, ranks.size)
            warn_of_other_modules(folder.events)
            check_own_modules(spec)
            require_for_run(spec)
            teaching = TeachingRun.said_by(spec, chosen, teaching_before(folder), teachers)
        made = makers(loggers or recorded_loggers(folder.events))
        told = Loggers(folder.path, {} if ranks.rank else made)
        session = cls(spec, folder, chosen, choose_display(display), told, checkpoint, teaching=teaching, ranks=ranks)
        session._logged = length_of_events(checkpoint)
        session.log.require(session._logged)
        session._best = BestEpochs.of(spec, folder, epoch_of(checkpoint))
        write_source(folder.spec, spec.source)
        session.write_code(spec)
        session.in_place = InPlace.of_run(folder, spec) if ranks.rank == 0 else None
        return session

    def load_data(self) -> Splits[Any]:
        """The spec's data set, each split apart. Without its data, or labels to learn from, a new run leaves no folder
        behind."""
        if self.checkpoint is not None:
            warn_of_other_code(self.spec, self.folder.events)
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

    @contextmanager
    def _whole_or_nothing(self) -> Iterator[None]:
        """What cannot begin leaves no folder behind."""
        try:
            yield
        except MtlError:
            if self.checkpoint is None:
                shutil.rmtree(self.folder.path)
            raise

    def _tell(self, event: Event) -> None:
        """Show an event that is recorded, and tell the loggers."""
        self.display.event(event)
        for failed in self.loggers.tell(event):
            self._warn(events.Warned(about="loggers", text=failed))

    def close(self) -> None:
        """Nothing more is shown or told."""
        self.display.close()
        for failed in self.loggers.close():
            warn(f"warning: {failed}")

    def _warn(self, event: events.Warned) -> None:
        for line in warning_lines(event):
            warn(line)
        self.log.write(event)

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
            restore_checkpoint(self.checkpoint, training)
            self.log.cut(self._logged)
            self._best.resume(training.epoch)
            if self._differences:
                self.log.write(events.OtherData(differences=self._differences))
            self.log.write(events.Resume(epoch=training.epoch, loggers=self.loggers.names()))
        else:
            told = () if self.teaching is None else self.teaching.told(self.spec)
            for event in (*begin_run(self.weights, training.spec, training.model, self.folder), *told):
                self._warn(event) if isinstance(event, events.Warned) else self.log.write(event)
            if self.weights is not None:
                learner.begins_with(training.spec, training.model)
            if self.weights is not None and learner.begins_anew:
                training.beginning = {name: value.cpu().clone() for name, value in training.model.state_dict().items()}
        return training

    def write_code(self, spec: Spec) -> None:
        """Put what `mtsldsl compile` writes for `spec` into the run folder."""
        self.folder.write_code(compile_spec(spec))

    @contextmanager
    def epoch(self, training: Training, batches: int, samples: int | None = None) -> Iterator[EpochLosses]:
        """An epoch of so many batches: collects the losses without waiting for the device, and logs their means.
        Without `samples`, those of all batches, each is a whole one."""
        collected = EpochLosses(self.display, training.spec.penalty_name)
        with under_way(training, batches, collected, f"the run so far is in {self.folder.path}") as losses:
            yield losses
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

    def end_epoch(self, training: Training, validation: Evaluation) -> None:
        """Log the validation, keep the best weights of the present structure, write the checkpoint."""
        self._best.end_epoch(training, validation, self.log)
        if self._learner is not None:
            for stopped in tasks_out_of_patience(training, self._learner, self._best.selection):
                self.log.write(stopped)
        save_checkpoint(self.folder, training, self.log.length())

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
