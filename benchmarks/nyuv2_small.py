"""Is a learned structure worth its cost? The runs behind
docs/results/nyuv2_48x64.md, each a process of the command line.

    python benchmarks/nyuv2_small.py --data data/nyuv2 --jobs 2 --seeds 0 1 2

trains every network of the table below on `specs/nyuv2_small.mtl` and prints test metrics with their spread, Delta-m
against the single-task networks (higher is better), parameters, FLOPs, the architectures found, the similarity of
every decision and what the merges cost. A run that is already finished under --output is read, not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, pstdev
from threading import Lock
from typing import Any

import attrs

from mtsldsl.editing import load
from mtsldsl.runtime.studies.gain import delta_m
from mtsldsl.sharing import format_components

SPEC = Path(__file__).parent.parent / "specs" / "nyuv2_small.mtl"
ENCODER = "stem..enc3 = all\n  dec2..dec1 = each"
LAST = "stem..dec2 = all\n  dec1 = each"


@attrs.frozen
class Network:
    """One row of the table: options of `mtsldsl train`, and where its sharing comes from."""

    name: str
    options: tuple[str, ...] = ()
    sharing: str | None = None
    """`each`, `all`, the text of a sharing block, or `found:<row>` for what that row found with the same seed."""


def mtsl(threshold: float, align: float = 0.2) -> Network:
    """Structural learning at one threshold and weight of the alignment loss (the paper's: 0.8 and 0.2)."""
    settings = ("--set", f"structure.threshold={threshold}", "--set", f"structure.align={align}")
    return Network(f"MTSL {threshold}" + ("" if align else " without alignment"), settings)


NETWORKS = (
    Network("single-task", sharing="each"),
    Network("all shared", sharing="all"),
    Network("shared encoder, own decoders", sharing=ENCODER),
    Network("shared but the last decoder layer", sharing=LAST),
    mtsl(0.8),
    mtsl(0.97),
    mtsl(0.985),
    mtsl(0.9, align=0),
    mtsl(0.8, align=0),
    Network("structure of MTSL 0.985, from scratch", sharing="found:MTSL 0.985"),
)


@attrs.frozen
class Result:
    """What one run's events say."""

    network: str
    seed: int
    test: dict[str, Any]
    phases: tuple[dict[str, Any], ...]
    seconds: float
    spec: Path

    @classmethod
    def read(cls, network: str, seed: int, folder: Path) -> Result | None:
        """The result of a finished run, None where there is none."""
        events_path = folder / "events.jsonl"
        if not events_path.exists():
            return None
        events = [json.loads(line) for line in events_path.read_text(encoding="utf-8").splitlines()]
        if not events or events[-1]["event"] != "end":
            return None
        test = next(event for event in events if event["event"] == "test")
        phases = tuple(event for event in events if event["event"] == "phase")
        return cls(network, seed, test, phases, events[-1]["seconds"], folder / "spec.mtl")


_LOCKS: defaultdict[tuple[str, int], Lock] = defaultdict(Lock)


def train(network: Network, seed: int, options: argparse.Namespace) -> Result:
    """Train one network, unless its finished run is there already, or another thread is at it."""
    with _LOCKS[network.name, seed]:
        return _train(network, seed, options)


def _number(run: Path) -> int:
    return int(run.name)


def _train(network: Network, seed: int, options: argparse.Namespace) -> Result:
    home = options.output / network.name.replace(" ", "-").replace(",", "") / str(seed)
    runs = sorted(home.glob(f"{SPEC.stem}/*"), key=_number)
    finished = next((result for run in runs if (result := Result.read(network.name, seed, run))), None)
    if finished:
        return finished
    home.mkdir(parents=True, exist_ok=True)
    spec = SPEC
    command = [
        sys.executable,
        "-m",
        "mtsldsl",
        "train",
        str(spec),
        "--runs",
        str(home),
        "--quiet",
        "--device",
        options.device,
    ]
    command += ["--set", f"train.seed={seed}", "--set", f"data.root={options.data}", *network.options]
    if network.sharing:
        command += ["--structure", "none", "--sharing", _sharing(network.sharing, home, seed, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    subprocess.run(command, check=True, env=environment)
    run = max(home.glob(f"{spec.stem}/*"), key=_number)
    result = Result.read(network.name, seed, run)
    if result is None:
        raise RuntimeError(f"{run} did not finish")
    print(f"{network.name}, seed {seed}: {result.seconds:.0f} s", file=sys.stderr, flush=True)
    return result


def _sharing(choice: str, home: Path, seed: int, options: argparse.Namespace) -> str:
    if choice in ("each", "all"):
        return choice
    if choice.startswith("found:"):
        source = next(network for network in NETWORKS if network.name == choice.removeprefix("found:"))
        return str(train(source, seed, options).spec)
    path = home / "sharing.mtl"
    path.write_text(f"{SPEC.read_text(encoding='utf-8')}\nsharing {{\n  {choice}\n}}\n", encoding="utf-8")
    return str(path)


def spread(values: Iterable[float], digits: int = 1, sign: str = "") -> str:
    """Mean and standard deviation over seeds."""
    numbers = list(values)
    return f"{fmean(numbers):{sign}.{digits}f} ± {pstdev(numbers):.{digits}f}"


def report(results: dict[str, list[Result]]) -> Iterator[str]:
    """The tables, as markdown."""
    baseline = _mean_metrics(results["single-task"])
    columns = [(task, metric) for task, metrics in baseline.items() for metric in metrics]
    scene = {task: metrics for task, metrics in baseline.items() if task != "autoencode"}
    yield (
        "| network | Δm % of all five | Δm % of the four scene tasks | parameters | MFLOP | "
        + " | ".join(f"{task} {metric}" for task, metric in columns)
        + " |"
    )
    yield "|---" * (5 + len(columns)) + "|"
    for name, runs in results.items():
        gains = [delta_m(run.test["metrics"], baseline).mean for run in runs]
        scene_gains = [delta_m(run.test["metrics"], scene).mean for run in runs]
        low, high = (function(run.test["parameters"] for run in runs) / 1000 for function in (min, max))
        flops = fmean(run.test["flops"] for run in runs) / 1e6
        cells = [spread((run.test["metrics"][task][metric] for run in runs), 4) for task, metric in columns]
        size = f"{low:.0f} k" if low == high else f"{low:.0f}-{high:.0f} k"
        gain = f"{spread(gains, sign='+')} | {spread(scene_gains, sign='+')}"
        yield f"| {name} | {gain} | {size} | {flops:.1f} | " + " | ".join(cells) + " |"
    yield ""
    yield "Per task, Δm % against single-task, mean over seeds; seconds of wall time a run."
    yield ""
    yield "| network | " + " | ".join(baseline) + " | each seed's Δm | epoch reported, each seed | seconds |"
    yield "|---" * (len(baseline) + 4) + "|"
    for name, runs in results.items():
        gains_by_run = [delta_m(run.test["metrics"], baseline) for run in runs]
        cells = [f"{fmean(gain.tasks[task] for gain in gains_by_run):+.1f}" for task in baseline]
        each = ", ".join(f"{gain.mean:+.1f}" for gain in gains_by_run)
        seconds = fmean(run.seconds for run in runs)
        yield f"| {name} | " + " | ".join(cells) + f" | {each} | {_epochs(runs)} | {seconds:.0f} |"
    for name, runs in results.items():
        for run in runs:
            if run.phases:
                yield ""
                yield f"**{name}, seed {run.seed}**"
                yield ""
                yield from _story(run)


def _epochs(runs: list[Result]) -> str:
    """The epochs whose weights are reported: one for each seed, or where tasks have their own, those of each task."""
    by_task = {task: [str(run.test["epochs"][task]) for run in runs] for task in runs[0].test["epochs"]}
    if all(epochs == next(iter(by_task.values())) for epochs in by_task.values()):
        return ", ".join(next(iter(by_task.values())))
    return "; ".join(f"{task} {', '.join(epochs)}" for task, epochs in by_task.items())


def _story(run: Result) -> Iterator[str]:
    spec = load(run.spec)
    for layer in spec.backbone.layers:
        yield f"- `{layer} = {format_components(spec.sharing, layer)}`"
    for phase in run.phases:
        for merge in phase["merges"]:
            tasks = " + ".join(merge["tasks"])
            yield f"- epoch {phase['epoch']}: {merge['layer']}, {tasks}, similarity {merge['similarity']:.3f}"
        if phase["merges"]:
            before, after = phase["before"]["losses"], phase["after"]["losses"]
            cost = ", ".join(f"{task} {before[task]:.3f} -> {after[task]:.3f}" for task in before)
            yield f"  - validation loss before and after: {cost}"


def _mean_metrics(runs: list[Result]) -> dict[str, dict[str, float]]:
    first = runs[0].test["metrics"]
    return {
        task: {metric: fmean(run.test["metrics"][task][metric] for run in runs) for metric in metrics}
        for task, metrics in first.items()
    }


def main() -> None:
    """Train what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/nyuv2", help="the NYUv2 folder, zip or .mat")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark"), help="where the runs go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", help="names of rows; the single-task row is always there")
    options = parser.parse_args()
    rows = [row for row in NETWORKS if not options.only or row.name in options.only or row.name == "single-task"]
    # A row that takes what another found waits for it, so the rows without such a wish go first.
    ordered = sorted(rows, key=lambda row: str(row.sharing).startswith("found:"))
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {
            (row.name, seed): pool.submit(train, row, seed, options) for seed in options.seeds for row in ordered
        }
        results = {row.name: [futures[row.name, seed].result() for seed in options.seeds] for row in rows}
    print("\n".join(report(results)))


if __name__ == "__main__":
    main()
