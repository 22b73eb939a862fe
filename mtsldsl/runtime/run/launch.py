"""Runs the `train.py` of a run folder: what `mtsldsl train` does once the session stands."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import use_threads

PACKAGE = "mtsldsl_run"
"""What the code of the run is called while it runs."""


def launch(session: Session, threads: int | None = None) -> None:
    """Execute `code/train.py` of the session's folder, the very file that `mtsldsl compile` writes for its spec.

    With so many threads; without a number as `use_threads` says. The texts are read, compared with what the spec
    compiles to, and then run: no byte code and no other file of the folder is.
    """
    written = compile_spec(session.spec)
    package = ModuleType(PACKAGE)
    package.__path__ = []
    sys.modules[PACKAGE] = package
    for name in ("model.py", "train.py"):  # the second imports the first
        module = _executed(session.folder.code / name, written[name])
    use_threads(threads, session.spec, session.device, session.folder.events)
    with closing(session.display):  # whatever happens, the terminal gets its cursor back
        module.main(session)


def _executed(path: Path, expected: str) -> ModuleType:
    """The module that the text of a file is, as a part of the run's package."""
    text = path.read_text(encoding="utf-8")
    if text != expected:
        cause = f"{path} is not what the run's spec compiles to"
        raise MtlError.of("MTL702", cause, "leave the files of a run as they are; change the spec and train anew")
    module = ModuleType(f"{PACKAGE}.{path.stem}")
    module.__file__ = str(path)
    module.__package__ = PACKAGE
    sys.modules[module.__name__] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module
