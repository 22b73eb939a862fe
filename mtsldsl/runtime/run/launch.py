"""Runs the `train.py` of a run folder: what `mtsldsl train` does once the session stands."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import closing

from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import use_threads


def launch(session: Session, threads: int | None = None) -> None:
    """Execute `code/train.py` of the session's folder, the very file that `mtsldsl compile` writes for its spec.

    With so many threads; without a number as `use_threads` says.
    """
    path = session.folder.code / "train.py"
    specification = importlib.util.spec_from_file_location("mtsldsl_run_train", path)
    if specification is None or specification.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    use_threads(threads, session.spec, session.device, session.folder.events)
    with closing(session.display):  # whatever happens, the terminal gets its cursor back
        module.main(session)
