"""A generated `train.py` run by itself, as `python generated/scenes/train.py`: its options, and which spec it is of."""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.printable import printable
from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.device import DEVICES
from mtsldsl.runtime.run.display import DISPLAYS
from mtsldsl.runtime.run.launch import launch, said_of_ended
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.run.threads import MOST
from mtsldsl.syntax.files import is_file


def run_alone(source: str, script: str) -> None:
    """Run a generated `train.py` by itself: `script` is its path, `source` the spec it is compiled from.

    What trains is the text that the spec compiles to, and of a run that goes on the run's own. A user's error ends the
    process with status 1 and its report, as on the command line.
    """
    options = _arguments(source)
    try:
        if options.resume:
            if (said := said_of_ended(options.resume)) is not None:
                print(printable(said))
                return
            code = None
            session = Session.resume(options.resume, options.device, options.display, options.log)
        else:
            path = options.spec or _find(source, Path(script))
            spec = load(path)
            code = _fresh(spec, Path(script), path)
            session = Session.create(spec, path.stem, options.runs, options.device, options.display, options.log)
        session.cache, session.workers = not options.no_cache, options.workers
        session.checkpoint_every = 60 * options.checkpoint_every
        launch(session, options.threads, code)
    except MtlError as error:
        sys.exit(str(error))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _arguments(source: str) -> argparse.Namespace:
    parser = _Parser(description=f"Train {source}.")
    parser.add_argument("--spec", type=Path, help=f"where {source} is (default: found from here or above this file)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder for run folders (default: runs)")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--threads", type=_count, metavar="N", help="compute with N threads (default: as many as help)")
    parser.add_argument("--no-cache", action="store_true", help="decode or render the data anew, and keep none")
    parser.add_argument(
        "--workers", type=partial(_count, least=0), default=0, metavar="N", help="read samples in N processes beside"
    )
    parser.add_argument(
        "--checkpoint-every",
        type=_minutes,
        default=10.0,
        metavar="MINUTES",
        help="also write a checkpoint after so long within an epoch; 0: after every step (default: 10)",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run folder, by its own code")
    parser.add_argument("--display", choices=DISPLAYS, default="auto", help="what to show (default: auto)")
    parser.add_argument("--log", action="append", default=[], metavar="NAME", help="tell the logger of that name too")
    return parser.parse_args()


def _count(text: str, least: int = 1) -> int:
    if text.isdecimal() and least <= int(text) <= MOST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no number from {least} to {MOST}")


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if 0 <= minutes < math.inf:
        return minutes
    raise argparse.ArgumentTypeError(f"{text} is no number of minutes")


def _find(source: str, script: Path) -> Path:
    for folder in [Path(), *script.resolve().parents]:
        if (folder / source).is_file():
            return folder / source
    raise MtlError.of("MTL703", f"`{source}` is neither here nor above {script}", "say where it is with --spec")


def _fresh(spec: Spec, script: Path, path: Path) -> Code:
    run = script.absolute().parents[1]
    if is_file(run / "events.jsonl"):
        problem = "is the code of a run as it is now, and no script of its own"
        return Code.read(script, spec, problem, f"go on with `mtsldsl train --resume {run}`")
    return Code.read(script, spec, f"is older than {path}, or was edited", f"run `mtsldsl compile {path}`")
