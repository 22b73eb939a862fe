"""Runs of the command line whose results are kept in one file, a line of JSON for each as it ends.

What is in the file is not run again: a run is told by the hash of what its spec means, its settings included, by the
device and by the number of threads. Where the data lie is no part of that. So a study that was cut off goes on where it
was, and its tables can be printed elsewhere from the file alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, pstdev
from threading import Lock
from typing import Any, TypeAlias

import attrs

from mtsldsl.editing import loads
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.studies.affinity import affinities

Metrics: TypeAlias = Mapping[str, Mapping[str, float]]
"""By task and then by key."""

_DIVERGED = "MTL803"
"""The code of a run that stopped because its losses were not finite numbers."""


@attrs.frozen
class Run:
    """A run that is wanted: the text of its spec, and settings for it, by name."""

    name: str
    text: str
    settings: Mapping[str, str]

    def key(self, options: argparse.Namespace) -> str:
        """What tells it from others."""
        return f"{digest(loads(self.text, overrides=self.settings))} {options.device} {options.threads}"


@attrs.frozen(kw_only=True)
class Result:
    """What a run reached with the weights that validation chose, on validation and test; what its network costs, a
    picture; and the processor time of its process, which other work on the machine changes little. `affinity` is what
    `structure transference` measured, a row for each that is helped."""

    name: str
    key: str
    failed: str = ""
    """What it said where its losses were no numbers any more; nothing else is then known."""
    validation: Metrics = attrs.field(factory=dict)
    gain: float = 0.0
    """Over the best constant answer on validation, in percent, by which its epoch was chosen."""
    test: Metrics = attrs.field(factory=dict)
    epochs: Mapping[str, int] = attrs.field(factory=dict)
    parameters: int = 0
    flops: int = 0
    seconds: float = 0.0
    affinity: Metrics = attrs.field(factory=dict)
    torch: str = ""

    @classmethod
    def read(cls, name: str, key: str, folder: Path, seconds: float) -> Result:
        """That of a finished run."""
        events: dict[str, list[dict[str, Any]]] = {}
        for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            events.setdefault(event["event"], []).append(event)
        (test,) = events["test"]
        of_epoch = {event["epoch"]: event for event in events["validation"]}
        chosen = {task: of_epoch[epoch] for task, epoch in test["epochs"].items()}
        return cls(
            name=name,
            key=key,
            validation={task: event["metrics"][task] for task, event in chosen.items()},
            gain=fmean(event["gains"][task] for task, event in chosen.items()),
            test=test["metrics"],
            epochs=test["epochs"],
            parameters=test["parameters"],
            flops=test["flops"],
            seconds=seconds,
            affinity=affinities(folder).mean if "look_ahead" in events else {},
            torch=events["start"][0]["torch"],
        )


def add_options(parser: argparse.ArgumentParser, home: str) -> None:
    """The options that every study has; `home` is where its runs and their results go by default."""
    parser.add_argument("--output", type=Path, default=Path(home), help="folder of the runs")
    parser.add_argument("--results", type=Path, help="file of the results, by default results.jsonl in that folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="for a trial")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--device", default="cpu")


def results_of(wanted: Sequence[Run], options: argparse.Namespace) -> list[Result]:
    """The result of each run, in order; those that are not in the file are made, the first ones first."""
    path = options.results or options.output / "results.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = dict(each.split("=", 1) for each in options.settings)
    wanted = [attrs.evolve(run, settings={**run.settings, **settings}) for run in wanted]
    keys = [run.key(options) for run in wanted]
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {result.key: result for result in (Result(**json.loads(line)) for line in lines)}
    lock = Lock()

    def made(key: str, run: Run) -> Result:
        result = _train(run, key, options)
        with lock, path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(attrs.asdict(result)) + "\n")
        print(f"{run.name}: {'diverged' if result.failed else f'{result.seconds:.0f} s'}", file=sys.stderr, flush=True)
        return result

    missing = {key: run for key, run in zip(keys, wanted, strict=True) if key not in known}
    with ThreadPoolExecutor(options.jobs) as pool:
        known |= zip(missing, pool.map(made, missing, missing.values()), strict=True)
    return [known[key] for key in keys]


def _train(run: Run, key: str, options: argparse.Namespace) -> Result:
    options.output.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f"{run.name.replace(' ', '-')}-", dir=options.output))
    spec = home / "study.mtl"
    spec.write_text(run.text, encoding="utf-8")
    command = [sys.executable, "-m", "mtsldsl", "train", str(spec), "--runs", str(home), "--quiet"]
    command += ["--device", options.device, "--threads", str(options.threads)]
    for name, value in {**run.settings, "data.root": str(options.data.resolve())}.items():
        command += ["--set", f"{name}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and _DIVERGED in said:
        return Result(name=run.name, key=key, failed=said)
    if process.returncode:
        sys.stderr.write(said)
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
    return Result.read(run.name, key, home / "study" / "1", used.ru_utime + used.ru_stime)


def spread(values: Sequence[float], digits: int = 1, sign: str = "") -> str:
    """Mean and standard deviation over seeds."""
    return f"{fmean(values):{sign}.{digits}f} ± {pstdev(values):.{digits}f}"
