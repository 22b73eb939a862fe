"""CPU time of the exact grouping of T tasks, with no threshold reached, so that every number of groups is searched.

    python benchmarks/grouping.py

Prints a table and exits 1 where a target is missed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import sys
import time

import numpy as np

from mtsldsl.sharing import decide_grouping

TARGETS = {12: 50.0, 15: 500.0}
"""Milliseconds of CPU for that number of tasks."""

ROUNDS = 9
OUT_OF_REACH = 2.0


def milliseconds(tasks: int) -> float:
    """The median CPU time over rounds, each with another random similarity matrix."""
    times = []
    for seed in range(ROUNDS):
        similarity = np.random.default_rng(seed).uniform(0.0, 1.0, (tasks, tasks))
        start = time.process_time()
        decision = decide_grouping(similarity, OUT_OF_REACH)
        times.append(1000.0 * (time.process_time() - start))
        assert decision.exact
        assert len(decision.trace) == tasks - 1
    return statistics.median(times)


def main() -> int:
    milliseconds(5)  # the first call pays for numpy's own start
    missed = 0
    print(f"{'tasks':>5} {'CPU ms':>9} {'target':>9}")
    for tasks in range(5, 16):
        taken, target = milliseconds(tasks), TARGETS.get(tasks)
        late = target is not None and taken > target
        missed += late
        print(f"{tasks:>5} {taken:>9.2f} {'' if target is None else f'{target:.0f}':>9}{'  MISSED' if late else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
