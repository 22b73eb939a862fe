"""CPU time and memory of the grouping of T tasks, and how often the local search finds what the exact one proves; CPU
time of choosing groups that may overlap, by affinity.

    python benchmarks/grouping.py

One thread. Prints tables and exits 1 where a target is missed. `--one TASKS THRESHOLD EXACT_TASKS SEED` groups one
random matrix, for a process whose memory is its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from processes import ROOT

from mtsldsl.sharing import decide_grouping, decide_groups
from mtsldsl.sharing.exact import EXACT_TASKS, MOST_EXACT_TASKS

TARGETS = {12: 50.0, 15: 500.0}
"""Milliseconds of CPU for that number of tasks."""

OVERLAPPING = ((9, 4, 2.0), (12, 3, 20.0), (13, 4, None), (14, 4, None), (30, 5, None))
"""Tasks, groups that may overlap, and the target in seconds of CPU."""

ROUNDS = 9
OUT_OF_REACH = 2.0
"""A threshold that no similarity reaches, so that every number of groups is searched."""

LARGE = (
    # tasks, threshold, exact_tasks, CPU seconds, GB, rounds
    (EXACT_TASKS, OUT_OF_REACH, EXACT_TASKS, 5.0, 1.0, 5),
    (EXACT_TASKS, 0.8, EXACT_TASKS, 5.0, 1.0, 5),
    (MOST_EXACT_TASKS, OUT_OF_REACH, MOST_EXACT_TASKS, 60.0, 4.0, 3),
    (MOST_EXACT_TASKS, 0.8, MOST_EXACT_TASKS, 60.0, 4.0, 3),
    (MOST_EXACT_TASKS, OUT_OF_REACH, EXACT_TASKS, None, None, 3),
    (30, OUT_OF_REACH, EXACT_TASKS, None, None, 3),
    (50, OUT_OF_REACH, EXACT_TASKS, None, None, 3),
    (50, 0.8, EXACT_TASKS, None, None, 3),
    (100, OUT_OF_REACH, EXACT_TASKS, None, None, 1),
)

EQUAL = 0.95
"""The share of matrices of a family whose value is to be the exact one."""

COMPARED, BEYOND = (10, 11, 12, 13, 14), (18,)
"""Numbers of tasks of the compared matrices; of the second nothing is asked."""

THRESHOLDS = (0.8, 0.95, OUT_OF_REACH)

ROUNDING = 1e-9
"""What two equal values may differ by: the exact search's unit with 18 tasks is 2^-33 of the largest similarity."""


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


def small() -> bool:
    """The exact search of few tasks; whether a target is missed."""
    milliseconds(5)  # the first call pays for numpy's own start
    missed = False
    print(f"{'tasks':>5} {'CPU ms':>9} {'target':>9}")
    for tasks in range(5, 16):
        taken, target = milliseconds(tasks), TARGETS.get(tasks)
        late = target is not None and taken > target
        missed |= late
        print(f"{tasks:>5} {taken:>9.2f} {'' if target is None else f'{target:.0f}':>9}{'  MISSED' if late else ''}")
    return missed


def one(tasks: int, threshold: float, exact_tasks: int, seed: int) -> None:
    """Group one matrix, and print CPU seconds, the peak of the process in GB and whether the grouping is proven."""
    similarity = np.random.default_rng(seed).uniform(0.0, 1.0, (tasks, tasks))
    start = time.process_time()
    decision = decide_grouping(similarity, threshold, exact_tasks=exact_tasks)
    taken = time.process_time() - start
    print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, int(decision.exact))


def large() -> bool:
    """Both searches of many tasks, each matrix in a process of its own; whether a target is missed."""
    missed = False
    print(f"\n{'tasks':>5} {'threshold':>9} {'search':>6} {'CPU s':>7} {'least':>7} {'most':>7} {'peak GB':>7}  target")
    for tasks, threshold, exact_tasks, seconds, gigabytes, rounds in LARGE:
        found = []
        for seed in range(rounds):
            given = [str(each) for each in (tasks, threshold, exact_tasks, seed)]
            command = [sys.executable, __file__, "--one", *given]
            found.append([float(word) for word in subprocess.check_output(command, cwd=ROOT).split()])
        times, peaks, proven = zip(*found, strict=True)
        taken, peak = statistics.median(times), max(peaks)
        assert set(proven) == {float(tasks <= exact_tasks)}
        late = seconds is not None and (taken > seconds or peak > gigabytes)
        missed |= late
        target = "" if seconds is None else f"{seconds:g} s, {gigabytes:g} GB{'  MISSED' if late else ''}"
        search = "exact" if tasks <= exact_tasks else "local"
        print(
            f"{tasks:>5} {shown(threshold):>9} {search:>6} {taken:>7.2f} {min(times):>7.2f} {max(times):>7.2f} "
            f"{peak:>7.3f}  {target}"
        )
    return missed


def quality() -> bool:
    """The local search against the exact one; whether it is equal too rarely."""
    sys.path.insert(0, str(ROOT))  # the tests hold the local search to the same families
    from tests.sharing.families import FAMILIES

    missed = False
    print(
        f"\n{'family':<8} {'tasks':>6} {'threshold':>9} {'matrices':>8} {'equal':>6} {'all k':>6} {'worst':>8}  target"
    )
    for family, make in FAMILIES.items():
        for sizes, count, goal in ((COMPARED, 40, EQUAL), (BEYOND, 4, None)):
            pairs = []
            for tasks in sizes:
                for seed in range(count):
                    similarity = make(np.random.default_rng([tasks, seed]), tasks)
                    decisions = (
                        decide_grouping(similarity, OUT_OF_REACH, exact_tasks=each) for each in (EXACT_TASKS, 2)
                    )
                    pairs.append(tuple([value for _, value, _ in decision.trace] for decision in decisions))
            for threshold in THRESHOLDS:
                walked = [tuple(until(values, threshold) for values in pair) for pair in pairs]
                equal = [abs(best[-1] - found[-1]) <= ROUNDING for best, found in walked]
                whole = [len(best) == len(found) and np.allclose(best, found, 0, ROUNDING) for best, found in walked]
                worst = max(best[-1] - found[-1] for best, found in walked)
                low = goal is not None and sum(equal) < goal * len(equal)
                missed |= low
                span = "-".join(str(each) for each in sorted({sizes[0], sizes[-1]}))
                target = "" if goal is None else f"{goal:.0%}{'  MISSED' if low else ''}"
                print(
                    f"{family:<8} {span:>6} {shown(threshold):>9} {len(equal):>8} {np.mean(equal):>6.1%} "
                    f"{np.mean(whole):>6.1%} {max(worst, 0.0):>8.4f}  {target}"
                )
    return missed


def overlapping() -> bool:
    """The choice of groups that may overlap; whether a target is missed."""
    missed = False
    print(f"\n{'tasks':>5} {'groups':>6} {'search':>6} {'CPU s':>7} {'least':>7} {'most':>7}  target")
    for tasks, groups, seconds in OVERLAPPING:
        times = []
        for seed in range(5):
            matrix = np.random.default_rng(seed).normal(size=(tasks, tasks))
            affinity = {
                str(one): dict(zip(map(str, range(tasks)), row, strict=True)) for one, row in enumerate(matrix.tolist())
            }
            start = time.process_time()
            exact = decide_groups(affinity, groups).exact
            times.append(time.process_time() - start)
        taken = statistics.median(times)
        late = seconds is not None and taken > seconds
        missed |= late
        target = "" if seconds is None else f"{seconds:g} s{'  MISSED' if late else ''}"
        search = "exact" if exact else "local"
        print(f"{tasks:>5} {groups:>6} {search:>6} {taken:>7.2f} {min(times):>7.2f} {max(times):>7.2f}  {target}")
    return missed


def until(values: list[float], threshold: float) -> list[float]:
    """The values that a walk with this threshold looks at, of one that never stopped."""
    reached = (count for count, value in enumerate(values, 1) if value >= threshold)
    return values[: next(reached, len(values))]


def shown(threshold: float) -> str:
    """A threshold in a table."""
    return "none" if threshold == OUT_OF_REACH else f"{threshold:g}"


def main() -> int:
    """Everything, in turn."""
    if sys.argv[1:2] == ["--one"]:
        tasks, threshold, exact_tasks, seed = sys.argv[2:]
        one(int(tasks), float(threshold), int(exact_tasks), int(seed))
        return 0
    missed = [small(), overlapping(), large(), quality()]
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
