"""Time of an epoch in two processes (`--nproc 2`): against one process with one thread, and with two.

    python benchmarks/two_processes.py --data data/nyuv2 [--rounds N]

`specs/nyuv2_small.mtl` with all layers shared, 715 images of 48x64 in batches of 16, and three hidden layers of 64 on
rows of 32 numbers, five tasks, 20,000 rows in batches of 64 (benchmarks/rows.py). Wall time of training without
validation, as the record of a run has it, the median of epochs 2 and 3 of whole runs of the command line, which take
turns; needs two free cores. Prints a table; there is no target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rows import make_rows, spec_of, tasks_of

EPOCHS = 3
WAYS = {
    "one process, one thread": ("--threads", "1"),
    "one process, two threads": ("--threads", "2"),
    "two processes": ("--nproc", "2", "--threads", "1"),
}


def texts(folder: Path, data: Path) -> dict[str, str]:
    """The spec of each network, shared by all; the rows are written into the folder."""
    images = (Path(__file__).parents[1] / "specs" / "nyuv2_small.mtl").read_text(encoding="utf-8")
    images = images.partition("structure mtsl")[0].replace("data/nyuv2", str(data.resolve()))
    tasks = tasks_of(5)
    rows = spec_of(tasks, 64)
    arrays: dict[str, Any] = {name: each.numpy() for name, each in make_rows(tasks, 20_000).items()}
    np.savez(folder / "rows.npz", **arrays)
    return {"images": images, "rows": rows}


def epoch_seconds(spec: Path, name: str, words: tuple[str, ...]) -> float:
    """The median over the epochs after the first of a run of its own."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "mtsldsl", "train", spec.name, "--structure", "none", "--sharing", "all"]
        command += ["--set", f"train.epochs={EPOCHS}", "--device", "cpu", "--quiet", "--runs", runs, *words]
        subprocess.run(command, cwd=spec.parent, check=True)
        lines = (Path(runs) / name / "1" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return median([float(event["epoch_seconds"]) for event in events if event["event"] == "epoch"][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of an epoch in two processes, against one.")
    parser.add_argument("--data", type=Path, default=Path("data/nyuv2"))
    parser.add_argument("--rounds", type=int, default=5, help="how often every way has its turn (default: 5)")
    options = parser.parse_args()
    print(f"{'network':<8} {'way':<26} {'seconds an epoch':>17} {'of one thread':>14} {'least':>6} {'most':>6}")
    with tempfile.TemporaryDirectory() as place:
        for name, text in texts(Path(place), options.data).items():
            spec = Path(place) / f"{name}.mtl"
            spec.write_text(text, encoding="utf-8")
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in range(options.rounds):
                order = list(WAYS)[number % 3 :] + list(WAYS)[: number % 3]
                for way in order:
                    times[way].append(epoch_seconds(spec, name, WAYS[way]))
            first = times[next(iter(WAYS))]
            for way, found in times.items():
                ratios = [each / one for each, one in zip(found, first, strict=True)]
                print(
                    f"{name:<8} {way:<26} {median(found):17.2f} {median(ratios):14.2f} "
                    f"{min(ratios):6.2f} {max(ratios):6.2f}"
                )


if __name__ == "__main__":
    main()
