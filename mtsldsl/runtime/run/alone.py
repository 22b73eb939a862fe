"""A generated `train.py` run by itself, as `python generated/scenes/train.py`: its options, and which spec it is of."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.run.device import DEVICES
from mtsldsl.runtime.run.display import DISPLAYS
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import MOST, use_threads
from mtsldsl.syntax.files import is_file


def package_of(script: str) -> str:
    """The package that a script and the files beside it are, where the script is run by its path: so that it can import
    them. It has a name that no other has."""
    package = ModuleType("mtsldsl_by_path")
    package.__path__ = [str(Path(script).resolve().parent)]
    sys.modules[package.__name__] = package
    return package.__name__


def run_alone(main: Callable[[Session], None], source: str, script: str) -> None:
    """Run the `main` of a generated `train.py` by itself: `script` is its path, `source` the spec it is compiled from.

    A user's error ends the process with status 1 and its report, as on the command line.
    """
    options = _arguments(source)
    try:
        session = _session(options, source, Path(script))
        session.cache = not options.no_cache
        use_threads(options.threads, session.spec, session.device, session.folder.events)
        with closing(session.display):
            main(session)
    except MtlError as error:
        sys.exit(str(error))


def _arguments(source: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Train {source}.")
    parser.add_argument("--spec", type=Path, help=f"where {source} is (default: found from here or above this file)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder for run folders (default: runs)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--threads", type=_count, metavar="N", help="compute with N threads (default: as many as help)")
    parser.add_argument("--no-cache", action="store_true", help="decode or render the data anew, and keep none")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run folder")
    parser.add_argument("--display", choices=DISPLAYS, default="auto", help="what to show (default: auto)")
    return parser.parse_args()


def _count(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MOST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {MOST}")


def _session(options: argparse.Namespace, source: str, script: Path) -> Session:
    if options.resume:
        return Session.resume(options.resume, options.device, options.display)
    path = options.spec or _find(source, script)
    spec = load(path)
    _require_fresh(spec, script, path)
    return Session.create(spec, path.stem, options.runs, options.device, options.display)


def _find(source: str, script: Path) -> Path:
    for folder in [Path(), *script.resolve().parents]:
        if (folder / source).is_file():
            return folder / source
    raise MtlError.of("MTL703", f"`{source}` is neither here nor above {script}", "say where it is with --spec")


def _require_fresh(spec: Spec, script: Path, path: Path) -> None:
    expected = compile_spec(spec)
    for file in (script, script.with_name("model.py")):
        if not file.is_file() or file.read_text(encoding="utf-8") != expected[file.name]:
            cause = f"{file} is older than {path}, or was edited"
            if is_file(script.parents[1] / "events.jsonl"):
                cause = f"{script} is the code of a run as it is now, and no script of its own"
                raise MtlError.of("MTL702", cause, f"go on with `mtsldsl train --resume {script.parents[1]}`")
            raise MtlError.of("MTL702", cause, f"run `mtsldsl compile {path}`")
