"""Does a task find its twin? Digits twice and turned digits twice, each learning which alternatives it uses.

    python benchmarks/mnist_rotated.py --data data/mnist --seeds 0 1 2 3 4

trains `specs/mnist_rotated.mtl` with each seed, a process of the command line, and compares the rows of the tasks: for
how many of the alternatives two tasks say the same, used or not. Prints the numbers of those that are used, the
agreement, mean test error and time, and exits with 1 where on some seed it is not higher within the pairs than between
them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import attrs

from mtsldsl.editing import load
from mtsldsl.sharing import Sharing

SPEC = Path(__file__).parent.parent / "specs" / "mnist_rotated.mtl"
LAYER = "mix"


@attrs.frozen
class Result:
    """What a run came to: who uses what, the mean test error, and how long it took."""

    sharing: Sharing
    error: float
    seconds: float

    def agreement(self, one: str, other: str) -> int:
        """For how many alternatives two tasks say the same."""
        alternatives = self.sharing.backbone.alternatives(LAYER)
        uses, others = (self.sharing.uses(LAYER, task) for task in (one, other))
        return sum((name in uses) == (name in others) for name in alternatives)

    def agreements(self) -> tuple[list[int], list[int]]:
        """Within the pairs, `upright1` and `upright2`, and between them."""
        found = {pair: self.agreement(*pair) for pair in combinations(self.sharing.tasks, 2)}
        within = [count for (one, other), count in found.items() if one[:-1] == other[:-1]]
        return within, [count for (one, other), count in found.items() if one[:-1] != other[:-1]]


def result_of(seed: int, data: Path, threads: int) -> Result:
    """Train with a seed."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mtsldsl", "train", str(SPEC), "--quiet", "--device", "cpu"]
        settings = {"train.seed": str(seed), "data.upright.root": str(data), "data.turned.root": str(data)}
        chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        start = time.perf_counter()
        subprocess.run([*command, "--runs", folder, "--threads", str(threads), *chosen], check=True)
        seconds = time.perf_counter() - start
        run = Path(folder) / "mnist_rotated" / "1"
        events = map(json.loads, (run / "events.jsonl").read_text(encoding="utf-8").splitlines())
        metrics = next(event["metrics"] for event in events if event["event"] == "test")
        return Result(load(run / "spec.mtl").sharing, fmean(each["error"] for each in metrics.values()), seconds)


def main() -> None:
    """Run the seeds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mnist"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    failed = False
    print("| seed | upright1 | upright2 | turned1 | turned2 | agree within | between | test error, % | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in options.seeds:
        result = result_of(seed, options.data.resolve(), options.threads)
        within, between = result.agreements()
        failed = failed or fmean(within) <= fmean(between)
        uses = [result.sharing.uses(LAYER, task) for task in result.sharing.tasks]
        each = [", ".join(name.removeprefix("unit") for name in used) or "none" for used in uses]
        agree = f"{', '.join(map(str, within))} | {', '.join(map(str, between))}"
        row = (seed, *each, agree, f"{100 * result.error:.1f}", f"{result.seconds:.0f}")
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
