"""Runs the `train.py` of a run: what `mtsldsl train` and a script run by itself do once the session stands."""

from __future__ import annotations

import sys
from contextlib import closing
from signal import SIGINT

from mtsldsl.diagnostics.printable import printable
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.folder import RunFolder, epoch_of
from mtsldsl.runtime.run.last_words import LOST, watched_over
from mtsldsl.runtime.run.memory import within_memory
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import use_threads

_LOST = ("closed by peer", "reset by peer", "Broken pipe")
"""What gloo and NCCL say of a process that is gone."""


def launch(session: Session, threads: int | None = None, code: Code | None = None) -> None:
    """Run the `main` of `code`, by default that of the session's folder: the very files that `mtsldsl compile` writes
    for its spec.

    With so many threads; without a number as `use_threads` says. A person's Ctrl-C ends the process with status 130,
    and is told how the run goes on.
    """
    if code is None:
        remedy = "leave the files of a run as they are; change the spec and train anew"
        problem = "is not what the run's spec compiles to"
        code = Code.read(session.folder.code / "train.py", session.spec, problem, remedy)
    module = code.run()
    use_threads(threads, session.spec, session.device, session.folder.events)
    try:
        # whatever happens, the terminal gets its cursor back
        with closing(session), within_memory(session.spec):
            module.main(session)
    except KeyboardInterrupt:
        if session.ranks.rank == 0:
            print(_stopped("stopped", session.folder, session.ranks), file=sys.stderr)
        sys.exit(128 + SIGINT)
    except RuntimeError as error:
        if not session.ranks.several or not any(each in str(error) for each in _LOST):
            raise
        said = _stopped("another process of this run has ended", session.folder, session.ranks)
        sys.exit(LOST if watched_over() else said)


def _stopped(what: str, folder: RunFolder, ranks: Ranks) -> str:
    """What a person reads who stopped the run, or whose run was: how it goes on."""
    latest = folder.latest_checkpoint()
    if latest is None:
        return printable(f"{what} before the first epoch was saved in {folder.path}: train anew")
    command = f"mtsldsl train --resume {folder.path}" + (f" --nproc {ranks.size}" if ranks.several else "")
    return printable(f"{what}; go on after epoch {epoch_of(latest)} with `{command}`")
