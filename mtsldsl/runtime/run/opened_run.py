"""A run that is opened to be trained: a new one, or one that goes on; who writes it, and who is told of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Self

import attrs
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Spec
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.network.source_file import original_spans
from mtsldsl.runtime.network.user_modules import check_own_modules
from mtsldsl.runtime.run import events
from mtsldsl.runtime.run.best_epochs import BestEpochs
from mtsldsl.runtime.run.checkpoint import forget_kept, length_of_events, newest_whole
from mtsldsl.runtime.run.device import choose_device
from mtsldsl.runtime.run.display import Display, choose_display, warn
from mtsldsl.runtime.run.event_lines import warning_lines
from mtsldsl.runtime.run.folder import RunFolder, epoch_of, write_source
from mtsldsl.runtime.run.in_place import InPlace
from mtsldsl.runtime.run.initial_weights import InitialWeights
from mtsldsl.runtime.run.loggers import Loggers, makers, recorded_loggers
from mtsldsl.runtime.run.processes import own_device, require_even_shares, scratch_copy, scratch_folder
from mtsldsl.runtime.run.record_file import EventLog, got_further, started
from mtsldsl.runtime.run.request import Request
from mtsldsl.runtime.run.requirements import require_for_run
from mtsldsl.runtime.run.run_lock import hold
from mtsldsl.runtime.run.signals import Signals
from mtsldsl.runtime.run.teaching import TeachingRun, teaching_before
from mtsldsl.runtime.run.user_module_record import warn_of_other_modules


@attrs.define
class OpenedRun:
    """`spec` is the one that it starts from, or goes on from."""

    spec: Spec
    folder: RunFolder
    device: torch.device
    display: Display
    loggers: Loggers
    checkpoint: Path | None = None
    in_place: InPlace | None = None
    weights: InitialWeights | None = None
    """Those that a new run begins with."""
    weights_from: Path | None = None
    """Where they are, if it is not the spec that says so."""
    teaching: TeachingRun | None = None
    """Whose network teaches the tasks of this one."""
    cache: bool = True
    """Whether the samples may be those that were kept of an earlier run, and are kept for later ones."""
    command: str | None = None
    """By which a new run was started."""
    threads: int | None = None
    """With how many it was asked to compute."""
    workers: int = 0
    """Processes that read samples beside this one."""
    ranks: Ranks = attrs.field(factory=Ranks)
    """This process among those that train together; the first alone has the run folder that a person sees."""
    signals: Signals = attrs.field(factory=Signals)
    """By which the process is asked to end."""
    log: EventLog = attrs.field(init=False)
    _best: BestEpochs = attrs.field(init=False)
    _lock: int | None = None
    """What holds the lock of the run folder."""
    _logged: int = 0
    """The length of the event log when the checkpoint was written."""
    new: bool = False
    """Whether the run has just been made, so that nothing of it is lost where it cannot begin."""

    def __attrs_post_init__(self) -> None:
        self._best = BestEpochs.of(self.spec, self.folder)
        self.log = EventLog(self.folder.events, self._tell)

    @classmethod
    def create(cls, spec: Spec, name: str, root: Path, device: str, display: str, loggers: Sequence[str] = ()) -> Self:
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
        lock = hold(folder.lock, folder.path)
        spec = folder.with_path(spec)
        told = Loggers(folder.path, {} if ranks.rank else made)
        session = cls(
            spec,
            folder,
            chosen,
            choose_display(display),
            told,
            weights=weights,
            teaching=teaching,
            ranks=ranks,
            new=True,
            lock=lock,
        )
        try:
            folder.write_spec(spec.source, "start")
            session.write_code(spec)
        except (OSError, MtlError):
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return session

    @classmethod
    def resume(
        cls, path: Path, device: str, display: str, loggers: Sequence[str] = (), teachers: str | None = None
    ) -> Self:
        """A run that goes on from its newest checkpoint that is whole, or from its start where it has none yet; events
        written after it are dropped once it does. Without `loggers` it has those that it had. `teachers` is where the
        run that teaches it lies, if that was moved.

        Raises MtlError: MTL801 where the folder is no run, MTL817 where another process trains in it, MTL805 where no
        checkpoint is whole, and what a new run may raise.
        """
        chosen = own_device(choose_device(device))
        ranks = Ranks.of_environment(chosen)
        folder = RunFolder.open(path)
        folder.require_no_links()
        folder.require_first_spec()
        lock = hold(folder.lock, folder.path) if ranks.rank == 0 else None
        if ranks.rank:
            folder, display = RunFolder.open(scratch_copy(folder.path)), "quiet"
        ranks.wait()  # until all have a folder of their own
        folder.make_places()
        checkpoint = newest_whole(folder)
        if checkpoint is None:
            return cls._again(folder, chosen, display, loggers, ranks, lock, teachers)
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
        session = cls(
            spec,
            folder,
            chosen,
            choose_display(display),
            told,
            checkpoint,
            teaching=teaching,
            ranks=ranks,
            lock=lock,
        )
        session._logged = length_of_events(checkpoint)
        session.log.require(session._logged)
        session._best = BestEpochs.of(spec, folder, epoch_of(checkpoint))
        write_source(folder.spec, spec.source)
        session.write_code(spec)
        session.in_place = InPlace.of_run(folder, spec, epoch_of(checkpoint)) if ranks.rank == 0 else None
        return session

    @classmethod
    def _again(
        cls,
        folder: RunFolder,
        device: torch.device,
        display: str,
        loggers: Sequence[str],
        ranks: Ranks,
        lock: int | None,
        teachers: str | None,
    ) -> Self:
        """A run that was killed before its first checkpoint, from its start: with what it was asked for."""
        asked = Request.read(folder.request)
        if asked is None or got_further(folder.events):
            start = started(folder.events)
            command = (start and start.command) or f"mtsldsl train {folder.first_spec}"
            raise MtlError.of("MTL801", f"`{folder.path}` has no checkpoint", f"start anew with `{command}`")
        spec = folder.with_path(folder.read_spec(folder.first_spec))
        with original_spans(spec):
            require_even_shares(spec, ranks.size)
            check_own_modules(spec)
            require_for_run(spec)
            teaching = TeachingRun.said_by(spec, device, None, teachers)
        given = None if asked.weights is None else InitialWeights.of(Path(asked.weights))
        told = Loggers(folder.path, {} if ranks.rank else makers(loggers or asked.loggers))
        session = cls(
            spec,
            folder,
            device,
            choose_display(display),
            told,
            weights=given or InitialWeights.said_by(spec),
            weights_from=None if asked.weights is None else Path(asked.weights),
            teaching=teaching,
            command=asked.command,
            threads=asked.threads,
            ranks=ranks,
            lock=lock,
        )
        if asked.in_place is not None and ranks.rank == 0:
            session.in_place = InPlace(Path(asked.in_place), spec.sharing)
        session.log.cut(0)
        forget_kept(folder, spec.sharing.tasks)
        write_source(folder.spec, spec.source)
        session.write_code(spec)
        return session

    def write_code(self, spec: Spec) -> None:
        """Put what `mtsldsl compile` writes for `spec` into the run folder."""
        self.folder.write_code(compile_spec(spec))

    def _whole_or_nothing(self) -> ExitStack:
        """What cannot begin in here leaves no folder behind; what is ended by a signal may begin again, and does."""
        stack = ExitStack()
        stack.push(self._leave_nothing)
        return stack

    def _leave_nothing(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.new and kind is not None and issubclass(kind, Exception):  # also one of a person's own code
            shutil.rmtree(self.folder.path)

    def write_request(self) -> None:
        """Write down what a new run is asked for: once all of it is known, as a run begins again by it."""
        own = self.in_place
        asked = Request(
            spec=self.spec.source.name,
            command=self.command,
            threads=self.threads,
            weights=None if self.weights_from is None else str(self.weights_from.absolute()),
            in_place=str(own.path) if own else None,
            loggers=tuple(self.loggers.names() or ()),
        )
        asked.write(self.folder.request)

    def _tell(self, event: Event) -> None:
        """Show an event that is recorded, and tell the loggers."""
        self.display.event(event)
        for failed in self.loggers.tell(event):
            self._warn(events.Warned(about="loggers", text=failed))

    def hearing(self) -> AbstractContextManager[None]:
        """While open, a signal ends the run where it can go on from; of several processes each by itself at once."""
        return nullcontext() if self.ranks.several else self.signals.over()

    def close(self) -> None:
        """Nothing more is shown or told."""
        self.display.close()
        for failed in self.loggers.close():
            warn(f"warning: {failed}")
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _warn(self, event: events.Warned) -> None:
        for line in warning_lines(event):
            warn(line)
        self.log.write(event)
