"""One run of a study: a run like any other, in a folder that is told by what it means, and what it came to."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs

from mtsldsl import __version__
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.objectives.relative_gain import Results
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_beside import tested
from mtsldsl.runtime.run.kept_epoch import last
from mtsldsl.runtime.run.newest import newest_run
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.selection import validations
from mtsldsl.sharing import Sharing
from mtsldsl.syntax import write_text_atomically
from mtsldsl.syntax.files import is_file
from mtsldsl.syntax.writing import locked

DIVERGED = "MTL803"
"""The code of a run that stopped because something was not a finite number."""

TEST = "test"
"""The set that rows are compared on where nothing else is said."""

_LOCK, _CLOCK, _DIVERGED = "lock", "cpu_seconds.json", "diverged.txt"


@attrs.frozen
class Trial:
    """A run that is wanted of a row, with a seed."""

    row: str
    seed: int
    spec: Spec
    device: str
    threads: int
    network: str | None = None
    """Of a run that gives several networks the one that is meant."""
    taught_by: str | None = None
    """What the run that teaches it is told by; where that lies tells nothing apart."""

    def folder(self, study: Path) -> Path:
        """Where it is: called after its row, or the first one that it was made for, and told by what it means, the
        device, the threads and the versions that it is made with."""
        there = next(study.glob(f"*-{self.key}"), None) if study.is_dir() else None
        return there or study / f"{self.row.replace(':', '-')}-seed-{self.seed}-{self.key}"

    @property
    def key(self) -> str:
        """What it is told by."""
        import torch

        spec = self.spec
        if self.taught_by is not None:
            spec = attrs.evolve(spec, train=attrs.evolve(spec.train, teachers=self.taught_by))
        facts = f"{digest(spec)} {self.device} {self.threads} {__version__} {torch.__version__}"
        return sha256(facts.encode()).hexdigest()[:12]


@attrs.frozen(eq=False)
class Outcome:
    """What a run came to. Of one that diverged there is what it said, and nothing else."""

    folder: Path
    diverged: str = ""
    metrics: Results = attrs.field(factory=dict)
    """On test, of the weights that it kept; NaN where one is not finite, or nothing valid went into it."""
    parameters: int = 0
    flops: int = 0
    cpu_seconds: float | None = None
    """Processor time of the process that made it, and of those that it started, until its end, without what it takes to
    start Python; of one that went on, of the epochs that it is made of. None where a part was made by `mtsldsl train
    --resume`, which does not measure it."""
    data: object = None
    """The digests of what it read."""
    network: str | None = None
    """Of a run that gives several networks the one that this is of, by the first of its names."""
    stopped: int | None = None
    """The epoch after which `stop` ended it; None where it made all of them."""

    @property
    def made_by(self) -> tuple[Path, str | None]:
        """The run, and which of its networks it is of."""
        return self.folder, self.network

    def sharing(self) -> Sharing:
        """What its network shared in the end, with what helped in training."""
        run = RunFolder.open(self.folder)
        if self.network is not None:
            return run.read_spec(run.beside / f"{self.network}.mtl").sharing
        evolved, kept = (run.read_spec(path).sharing for path in (run.spec, run.best / "mean.mtl"))
        return evolved if evolved.served() == kept else kept


def outcome(folder: Path, network: str | None = None, split: str = TEST) -> Outcome | None:
    """That of the run in a trial's folder, or of a network that it has given beside its own, on the `test` set or on
    that for `validation`; None where it has not ended. Raises MtlError MTL801 where its record is damaged."""
    if is_file(folder / _DIVERGED):
        return Outcome(folder, (folder / _DIVERGED).read_text(encoding="utf-8"))
    recorded = list(read_events(newest_run(folder) / "events.jsonl"))
    start, test = last(recorded, events.Start), last(recorded, final_events.Test)
    if start is None or test is None or last(recorded, final_events.End) is None:
        return None
    meant = test if network is None else tested(RunFolder.open(folder), network)
    metrics = {
        task: {key: math.nan if value is None else value for key, value in found.items()}
        for task, found in (meant.metrics if split == TEST else _validated(recorded, meant)).items()
    }
    seconds, read = _Clock.read(folder).get("end"), digests_of(start.read or {})
    name = meant.names[0] if isinstance(meant, final_events.BesideTest) else None
    epoch = last(recorded, events.Epoch)
    stopped = epoch.epoch if epoch is not None and epoch.epoch < start.epochs else None
    return Outcome(folder, "", metrics, meant.parameters, meant.flops, seconds, read, name, stopped)


def _validated(recorded: Sequence[Event], meant: final_events.Test | final_events.BesideTest) -> events.Metrics:
    """What the network of a test reached on validation, each task in the epoch whose weights it has."""
    beside = None if isinstance(meant, final_events.Test) or meant.own else meant.names[0]
    by_epoch = {each.epoch: each.metrics for each in validations(recorded, beside)}
    return {task: by_epoch[epoch][task] for task, epoch in meant.epochs.items()}


def digests_of(read: Mapping[str, Any]) -> dict[str, Any]:
    """Those of all that was read, of a run's record of its data: by data block, then by field."""
    return {name: block.get("sha256") for name, block in read.get("blocks", {"": read}).items()}


def train(folder: Path, spec: Spec, device: str, threads: int) -> None:
    """Make the run of a trial in its folder, without a page of it, or go on with it; nothing where it has ended, or
    another process ends it meanwhile, which is waited for. Raises MtlError as a run does, but where it diverges: that
    is its outcome."""
    from mtsldsl.runtime.run.launch import launch
    from mtsldsl.runtime.run.session import Session

    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LOCK).touch()
    with locked(folder / _LOCK):
        if outcome(folder) is not None:
            return
        begun = RunFolder(newest_run(folder))
        if begun.latest_checkpoint() is not None:
            session = Session.resume(begun.path, device, "quiet", teachers=spec.train.teachers)
        else:
            if begun.path != folder:
                shutil.rmtree(begun.path)  # it was stopped before it had made an epoch
            session = Session.create(spec, folder.name, folder.parent, device, "quiet")
        session.display = _Clock(folder)
        session.page = False
        session.checkpoint_every = None  # the clock is read at the end of epochs
        try:
            launch(session, threads)
        except MtlError as problem:
            if all(each.code != DIVERGED for each in problem.diagnostics):
                raise
            write_text_atomically(folder / _DIVERGED, f"{problem}\n")


@attrs.define
class _Clock(QuietDisplay):
    """Notes the processor time of a run beside it, after each epoch and at its end."""

    folder: Path
    _seconds: dict[str, float] = attrs.field(factory=dict)
    _before: float | None = 0.0
    """What the run had taken when this process went on with it; None where nobody knows."""
    _began: float = 0.0
    """The time of this process then."""

    @classmethod
    def read(cls, folder: Path) -> dict[str, float]:
        """What was noted, by the number of the epoch, and of the whole run as `end`."""
        path = folder / _CLOCK
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if is_file(path) else {}
        return found

    def event(self, event: Event) -> None:
        """Note the time where the event ends an epoch, or the run."""
        match event:
            case events.Resume():
                known = self.read(self.folder)
                self._seconds = {each: known[each] for each in known if each.isdecimal() and int(each) <= event.epoch}
                self._before, self._began = self._seconds.get(str(event.epoch)), _processor_seconds()
            case events.Validation():
                self._note(str(event.epoch))
            case final_events.End():
                self._note("end")

    def _note(self, name: str) -> None:
        if self._before is None:
            return
        self._seconds[name] = round(self._before + _processor_seconds() - self._began, 3)
        write_text_atomically(self.folder / _CLOCK, json.dumps(self._seconds) + "\n")


def _processor_seconds() -> float:
    """Of this process, and of those that it has started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
