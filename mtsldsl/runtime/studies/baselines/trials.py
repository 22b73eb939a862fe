"""Many runs of a study, several at a time, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from signal import SIGINT
from threading import Lock
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.studies.baselines.trial import Outcome, Trial, outcome

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
    _running: set[subprocess.Popen[str]] = attrs.field(factory=set)
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
        found = {each: outcome(*each) for each in dict.fromkeys(asked)}
        return [_there(found[each], each[0]) for each in asked]

    def _make(self, trial: Trial, folder: Path) -> None:
        trial.order(folder)
        command = [sys.executable, "-m", "mtsldsl.runtime.studies.baselines.trial", str(folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(trial.threads)}
        with self._lock:
            if self._stopped:
                return
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
            )
            self._running.add(process)
        assert process.stderr is not None
        with process:  # which ends where its input does
            said = process.stderr.read()
            status = process.wait()
        with self._lock:
            self._running.discard(process)
            if self._stopped:
                return
        found = outcome(folder)
        if status or found is None:
            raise FailedTrialError(f"{trial.row}, seed {trial.seed}: {said.strip() or f'exit status {status}'}")
        with self._lock:
            self._ended += 1
            self.tell(trial, found, self._ended, self._missing)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(SIGINT)


def _there(found: Outcome | None, folder: Path) -> Outcome:
    if found is None:
        raise MtlError.of("MTL801", f"the run in {folder} is there no more", "leave the folder of a study as it is")
    return found
