"""Many runs of a study, several at a time, each in a process of its own.

Where the system can, these are forked from one that has loaded what takes longer than to train a small network.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from signal import SIGINT, Signals
from threading import Lock
from typing import Any, TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.runtime.run.threads import wait_passively
from mtsldsl.runtime.studies.baselines.trial import TEST, Outcome, Trial, outcome, train

LOADED = (__name__, "mtsldsl.runtime.run.launch", "mtsldsl.runtime.run.session", "torch._dynamo")
"""What the process has loaded that all others are forked from. The last one is loaded by every optimizer of torch."""

_STDERR = 2

_FORKER_GONE = 255
"""What multiprocessing says of a process where the one that would know is gone."""

Tell: TypeAlias = Callable[[Trial, Outcome, int, int], None]
"""Is told of each run that has ended, the how manyth that is, and of how many that are to be made at once."""


class FailedTrialError(Exception):
    """A process that made a run ended without one: what it said."""


@attrs.define
class Trials:
    """Makes the runs of a study in its folder, so many at a time."""

    study: Path
    jobs: int
    tell: Tell
    split: str = TEST
    _running: set[BaseProcess] = attrs.field(factory=set)
    _stopped: bool = False
    _ended: int = 0
    _missing: int = 0
    _lock: Lock = attrs.field(factory=Lock)

    def outcomes(self, wanted: Sequence[Trial]) -> list[Outcome]:
        """What they came to, in order. What is there already is read, what was begun goes on; of those that mean the
        same one is made.

        Raises MtlError MTL801 where a record is damaged, FailedTrialError for the first that ends otherwise than a run
        does; then, and at a KeyboardInterrupt, the others are stopped as by Ctrl-C.
        """
        places: dict[str, Path] = {}
        folders = [places.setdefault(trial.key, trial.folder(self.study)) for trial in wanted]
        made = dict(zip(reversed(folders), reversed(wanted), strict=True))  # the first ones of those that are the same
        missing = {folder: made[folder] for folder in dict.fromkeys(folders) if outcome(folder) is None}
        self._ended, self._missing = 0, len(missing)
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                futures = {pool.submit(self._make, trial, folder): trial for folder, trial in missing.items()}
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stop()
                pool.shutdown(cancel_futures=True)
                raise
        asked = [(folder, trial.network) for folder, trial in zip(folders, wanted, strict=True)]
        found = {each: outcome(*each, self.split) for each in dict.fromkeys(asked)}
        return [_there(found[each], each[0]) for each in asked]

    def _make(self, trial: Trial, folder: Path) -> None:
        with tempfile.TemporaryDirectory() as there:
            errors = Path(there, "stderr")
            with self._lock:
                if self._stopped:
                    return
                process = _process(trial, folder, errors)
                self._running.add(process)
            process.join()
            said = errors.read_text(encoding="utf-8", errors="replace") if errors.exists() else ""
        with self._lock:
            self._running.discard(process)
            if self._stopped:
                return
        found = outcome(folder)
        if process.exitcode or found is None:
            why = said.strip() or _ending(process.exitcode)
            raise FailedTrialError(f"{trial.row}, seed {trial.seed}: {why}")
        with self._lock:
            self._ended += 1
            self.tell(trial, found, self._ended, self._missing)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.pid is not None and process.is_alive():
                    os.kill(process.pid, SIGINT)


def _ending(status: int | None) -> str:
    """What is known of a process that said nothing at its end."""
    if status is not None and status < 0:
        return f"its process was ended by {Signals(-status).name}"
    if status == _FORKER_GONE:
        return "the process that it was forked from has been ended"
    return f"its process ended with status {status}"


def _process(trial: Trial, folder: Path, errors: Path) -> BaseProcess:
    """The process that makes the run of a trial, which has been started."""
    source = trial.spec.source
    said = {"name": source.name, "text": source.text, "bom": source.bom, "path": source.path}
    process = _maker()(target=make, args=(folder, said, trial.device, trial.threads, errors))
    process.start()
    return process


def _maker() -> type[BaseProcess]:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn").Process
    wait_passively()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context.Process


def make(folder: Path, source: dict[str, Any], device: str, threads: int, errors: Path) -> None:
    """Make a run as a process of its own, which writes what it has to say into `errors`, and ends where the one that
    has started it does."""
    from mtsldsl.editing import loads_source

    with errors.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), _STDERR)
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    try:
        train(folder, loads_source(Source(**source)), device, threads)
    except MtlError as problem:
        sys.exit(str(problem))


def _end_with_the_other() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # what it has written is whole, and it goes on from there


def _there(found: Outcome | None, folder: Path) -> Outcome:
    if found is None:
        raise MtlError.of("MTL801", f"the run in {folder} is there no more", "leave the folder of a study as it is")
    return found
