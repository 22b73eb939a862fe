"""Runs the `train.py` of a run: what `mtsldsl train` and a script run by itself do once the session stands."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from signal import SIGINT

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.printable import let_go_of_output, printable
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.folder import RunFolder, place_of
from mtsldsl.runtime.run.last_words import LOST, watched_over
from mtsldsl.runtime.run.memory import within_memory
from mtsldsl.runtime.run.record_file import got_further, has_ended
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.signals import EndedBySignal
from mtsldsl.runtime.run.threads import use_threads
from mtsldsl.syntax.files import is_file

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
    session.threads = threads if threads is not None else session.threads
    use_threads(session.threads, session.spec, session.device, session.folder.events)
    try:
        # whatever happens, the terminal gets its cursor back
        with closing(session), session.hearing(), within_memory(session.spec):
            module.main(session)
    except KeyboardInterrupt as ended:
        if session.ranks.rank == 0:
            print(_stopped("stopped", session.folder, session.ranks), file=sys.stderr)
        sys.exit(128 + (ended.number if isinstance(ended, EndedBySignal) else SIGINT))
    except OSError as error:
        raise _not_taken(error, session.folder, session.ranks) from error
    except MtlError as error:
        raise _with_remedy(error, session.folder, session.ranks) from error
    except RuntimeError as error:
        if not session.ranks.several or not any(each in str(error) for each in _LOST):
            raise
        said = _stopped("another process of this run has ended", session.folder, session.ranks)
        sys.exit(LOST if watched_over() else said)


def _not_taken(error: OSError, folder: RunFolder, ranks: Ranks) -> MtlError:
    """What a person reads where the system does not take what a run writes, or what it prints."""
    said = error.strerror or str(error)
    remedy = f"mend that; then {_then(folder, ranks)}"
    where = f"the output, or a file of {folder.path}" if error.filename is None else os.fsdecode(error.filename)
    try:
        print(end="", flush=True)
    except OSError:
        let_go_of_output()
    return MtlError.of("MTL703", f"{where}: {said}; the run has ended", remedy)


def _with_remedy(error: MtlError, folder: RunFolder, ranks: Ranks) -> MtlError:
    """The same error, which says how the run goes on where it is one of what a run writes."""
    if any(each.code != "MTL703" for each in error.diagnostics) or not folder.path.exists():
        return error
    then = _then(folder, ranks)
    return MtlError(attrs.evolve(each, remedy=f"{each.remedy}; then {then}") for each in error.diagnostics)


def _then(folder: RunFolder, ranks: Ranks) -> str:
    try:
        return printable(_going_on(folder, ranks))
    except (OSError, MtlError):  # the folder cannot be read
        return "train anew"


def said_of_ended(run: Path) -> str | None:
    """What a person reads who lets a run go on that has ended; None where it has not."""
    folder = RunFolder.open(run)
    if not (has_ended(folder.events) and is_file(folder.report)):
        return None
    return f"{folder.path} has ended: `mtsldsl log {folder.path}` tells what came of it"


def _stopped(what: str, folder: RunFolder, ranks: Ranks) -> str:
    """What a person reads who stopped the run, or whose run was: how it goes on."""
    return printable(f"{what}; {_going_on(folder, ranks)}")


def _going_on(folder: RunFolder, ranks: Ranks) -> str:
    """How a run goes on that has ended."""
    latest = folder.latest_checkpoint()
    if latest is None and (not is_file(folder.request) or got_further(folder.events)):
        return "train anew"
    command = f"mtsldsl train --resume {folder.path}" + (f" --nproc {ranks.size}" if ranks.several else "")
    epoch, step = (0, 0) if latest is None else place_of(latest)
    where = f"after epoch {epoch}" if not step else f"after step {step} of epoch {epoch + 1}"
    return f"go on {'from the start' if latest is None else where} with `{command}`"
