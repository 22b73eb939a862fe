"""Is a learned allocation worth its cost? The runs behind
docs/results/omniglot_allocation.md, each a process of the command line.

    python benchmarks/omniglot_small.py --data data/omniglot --jobs 2 --seeds 0 1 2

trains on `specs/omniglot_small.mtl`: learned allocation; every alternative for every task; a random allocation that
gives every task as many alternatives of a layer as the learned one of the same seed; every task alone, twenty networks;
and MTSL on the same backbone, where a layer is the sum of all its alternatives. It prints the mean test error of the
twenty tasks with its spread over seeds, the relative reduction, parameters and operations, and time. A run that is
already finished under --output is read, not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import attrs
import numpy as np

from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.sharing import Cover, format_row

SPEC = Path(__file__).parent.parent / "specs" / "omniglot_small.mtl"
STRUCTURE = re.compile(r"structure allocation \{.*?\n\}\n", re.DOTALL)
MTSL = "structure mtsl {\n  phases    = [4, 6, 8, 10, 12, 14]\n  threshold = 0.9\n}\n"
ROWS = ("learned", "all", "random", "single", "mtsl")
TITLES = {
    "learned": "learned allocation",
    "all": "all alternatives for all tasks",
    "random": "random allocation of the same size",
    "single": "every task alone",
    "mtsl": "MTSL, alternatives summed",
}


@attrs.frozen
class Result:
    """What the runs of one row and seed reached: the test error of each task, the cost, and how long they took."""

    errors: dict[str, float]
    parameters: int
    flops: float
    """Of one picture for one task, on average."""
    seconds: float


def text_of(row: str, text: str, learned: Spec | None, seed: int) -> str:
    """The spec of a row: the text of omniglot_small with another structure or sharing."""
    if row == "learned":
        return text
    if row == "mtsl":
        text = STRUCTURE.sub(MTSL, text)
        text = text[: text.index("sharing {")]
        return re.sub(r"parallel\((.*?)\n  \)", _summed, text, flags=re.DOTALL)
    text = STRUCTURE.sub("", text)
    if row == "random":
        assert learned is not None
        lines = [f"  {layer} = {format_row(cover, learned.sharing.tasks)}\n" for layer, cover in _random(learned, seed)]
        text = text.replace("sharing {\n", f"sharing {{\n{''.join(lines)}")
    return text


def _summed(found: re.Match[str]) -> str:
    """`add(...)` of the alternatives of a layer."""
    values = re.findall(r"^\s+\w+=(.*),$", found[1], flags=re.MULTILINE)
    return f"add({', '.join(values)})"


def _random(learned: Spec, seed: int) -> Iterator[tuple[str, Cover]]:
    """Rows that give every task as many alternatives of a layer as it has learned to use, drawn at random."""
    chance = np.random.default_rng(seed)
    for layer in learned.backbone.layers:
        alternatives = learned.backbone.alternatives(layer)
        if alternatives:
            pairs = [
                (task, alternatives[place])
                for task in learned.sharing.tasks
                for place in chance.permutation(len(alternatives))[: len(learned.sharing.uses(layer, task))]
            ]
            yield layer, Cover.of_pairs(pairs, alternatives)


def results(row: str, seed: int, options: argparse.Namespace) -> Result:
    """Train the networks of a row with a seed, unless they are trained."""
    text = SPEC.read_text(encoding="utf-8")
    home: Path = options.output / row / str(seed)
    learned = None
    if row == "random":
        runs = options.output / "learned" / str(seed)
        learned = load(_finished(runs, "whole", seed, options) / "best" / "mean.mtl")
    tasks = load(SPEC).sharing.tasks
    texts = {"whole": text_of(row, text, learned, seed)}
    if row == "single":
        alone = re.compile(r"task \[.*?\] \{", re.DOTALL)
        texts = {task: alone.sub(f"task {task} {{", texts["whole"]) for task in tasks}
    home.mkdir(parents=True, exist_ok=True)
    for name, each in texts.items():
        (home / f"{name}.mtl").write_text(each, encoding="utf-8")
    read = [_read(_finished(home, name, seed, options)) for name in texts]
    return Result(
        {task: error for each in read for task, error in each.errors.items()},
        sum(each.parameters for each in read),
        fmean(each.flops for each in read),
        sum(each.seconds for each in read),
    )


def _finished(home: Path, name: str, seed: int, options: argparse.Namespace) -> Path:
    """The folder of the run of a spec, which is made where it is not there or did not end."""
    for run in sorted(home.glob(f"{name}/*")):
        if (run / "report.html").exists():
            return run
    command = [sys.executable, "-m", "mtsldsl", "train", str(home / f"{name}.mtl"), "--runs", str(home), "--quiet"]
    command += ["--device", options.device, "--threads", str(options.threads)]
    command += ["--set", f"train.seed={seed}", "--set", f"data.root={options.data.absolute()}"]
    if options.epochs:
        command += ["--set", f"train.epochs={options.epochs}"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(options.threads)})
    return max(home.glob(f"{name}/*"), key=lambda run: int(run.name))


def _read(run: Path) -> Result:
    events: list[dict[str, Any]] = [
        json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    test = next(event for event in events if event["event"] == "test")
    cost = load(run / "best" / "mean.mtl").cost()
    errors = {task: found["error"] for task, found in test["metrics"].items()}
    return Result(errors, cost.parameters, fmean(each.flops for each in cost.tasks.values()), events[-1]["seconds"])


def table(found: dict[tuple[str, int], Result], rows: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    """The rows of the table, as docs/results/omniglot_allocation.md has them."""
    mean = {row: [100 * fmean(found[row, seed].errors.values()) for seed in seeds] for row in rows}
    yield "| | test error, % | less than all for all | less than alone | parameters | MFLOP a picture | minutes |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        each = [found[row, seed] for seed in seeds]
        gains = [
            _relative(mean[row], mean[other]) if other in mean and row != other else "" for other in ("all", "single")
        ]
        cost = f"{fmean(one.parameters for one in each):,.0f} | {fmean(one.flops for one in each) / 1e6:.1f}"
        time = f"{fmean(one.seconds for one in each) / 60:.1f}"
        error = f"{fmean(mean[row]):.1f} ± {pstdev(mean[row]):.1f}"
        yield f"| {TITLES[row]} | {error} | {' | '.join(gains)} | {cost} | {time} |"


def _relative(errors: Sequence[float], others: Sequence[float]) -> str:
    """By what part of the other's error the error is less, seed by seed."""
    less = [100 * (1 - one / other) for one, other in zip(errors, others, strict=True)]
    return f"{fmean(less):+.1f} ± {pstdev(less):.1f} %"


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/omniglot"))
    parser.add_argument("--output", type=Path, default=Path("runs/omniglot_small"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--epochs", type=int, default=0, help="other than the spec's, for a trial")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    wanted = [(row, seed) for row in options.rows for seed in options.seeds]
    first = [pair for pair in wanted if pair[0] != "random"]  # which needs the learned one
    found: dict[tuple[str, int], Result] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for pairs in (first, [pair for pair in wanted if pair not in first]):
            found |= zip(pairs, pool.map(lambda pair: results(*pair, options), pairs), strict=True)
    for line in table(found, options.rows, options.seeds):
        print(line)


if __name__ == "__main__":
    main()
