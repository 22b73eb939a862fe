"""Runs the `train.py` of a run: what `mtsldsl train` and a script run by itself do once the session stands."""

from __future__ import annotations

from contextlib import closing

from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import use_threads


def launch(session: Session, threads: int | None = None, code: Code | None = None) -> None:
    """Run the `main` of `code`, by default that of the session's folder: the very files that `mtsldsl compile` writes
    for its spec.

    With so many threads; without a number as `use_threads` says.
    """
    if code is None:
        remedy = "leave the files of a run as they are; change the spec and train anew"
        problem = "is not what the run's spec compiles to"
        code = Code.read(session.folder.code / "train.py", session.spec, problem, remedy)
    module = code.run()
    use_threads(threads, session.spec, session.device, session.folder.events)
    with closing(session.display):  # whatever happens, the terminal gets its cursor back
        module.main(session)
