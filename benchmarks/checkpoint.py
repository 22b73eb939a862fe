"""How much of a run goes into its checkpoints, at the defaults: one after each epoch and before each phase.

    python benchmarks/checkpoint.py specs/scenes.mtl

The share of the time in `save_checkpoint` in that of all epochs, phases and validations, by the clock, one thread; it
exits with 1 where the median over some runs is more than a twentieth. Other specs and settings may be given, as
`specs/nyuv2_small.mtl --set data.root=data/nyuv2`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from mtsldsl import load
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run import session as sessions
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.session import Session

GOAL = 0.05


class Timed(Session):
    """A run that ends with its last epoch."""

    began: float = 0.0
    seconds: float = 0.0

    def start(self, *given: Any) -> Training:
        """Take the time."""
        training = super().start(*given)
        self.began = time.perf_counter()
        return training

    def finish(self, training: Training, data: Splits[Any]) -> None:
        """The same."""
        self.seconds = time.perf_counter() - self.began


def share(spec: str, settings: dict[str, str], folder: Path) -> tuple[float, float, int]:
    """Of one run: the part of its time that went into checkpoints, the seconds of one, and how many there were."""
    save, spent = sessions.save_checkpoint, []

    def timed(*given: Any) -> Path:
        began = time.perf_counter()
        place = save(*given)
        spent.append(time.perf_counter() - began)
        return place

    session = Timed.create(load(spec, settings), "timed", folder, "cpu", "quiet")
    assert isinstance(session, Timed)
    sessions.save_checkpoint = timed
    try:
        Code.of(session.spec).run().main(session)
    finally:
        sessions.save_checkpoint = save
        session.close()
    return sum(spent) / session.seconds, median(spent), len(spent)


def main() -> int:
    """Make the runs, print their shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default="specs/scenes.mtl")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = dict(each.split("=", 1) for each in chosen.set)
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.runs):
            part, each, count = share(chosen.spec, settings, Path(folder))
            print(f"{count} checkpoints of {1000 * each:.1f} ms: {100 * part:.1f} % of the run", flush=True)
            shares.append(part)
    middle = median(shares)
    print(f"median {100 * middle:.1f} %, goal {100 * GOAL:.0f} %: {'ok' if middle <= GOAL else 'MISSED'}")
    return int(middle > GOAL)


if __name__ == "__main__":
    sys.exit(main())
