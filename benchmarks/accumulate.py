"""Time and memory of a step of four batches (`accumulate = 4`): against four steps, and against one of a large batch.

    python benchmarks/accumulate.py [--rounds N]

Five tasks that share all layers, as in benchmarks/transference.py: the network of specs/nyuv2_small.mtl on random
images of 48x64, four batches of 16, and three hidden layers of 64 on rows of 32 numbers, four batches of 64. One
thread, the process's own CPU time, all ways in turn, the median of the rounds' ratios. `equal` is to cost at most 1.05
of the four steps, which make four times as many updates; other balances take a backward pass for each task, and have
no target.

Memory is the peak of the resident memory of a process of its own above what it had before the first step, the median of
three processes. Prints two tables and exits with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable, Sequence

import attrs
import torch
from networks import Batch
from step import Step, measure, step_of_ours, take
from transference import images, rows

from mtsldsl.ir import Spec
from mtsldsl.language import Named
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.run.epoch import EpochLosses

PARTS = 4
GOAL = 1.05
BALANCES = ("equal", "relative", "pcgrad")
NETWORKS: dict[str, tuple[Callable[[int], tuple[Spec, Batch]], int]] = {
    "images": (lambda count: images(64, count), 16),
    "rows": (rows, 64),
}
"""A spec and samples, as many as are asked for, and how many a batch has."""

SMALL, LARGE, SEVERAL = "four steps", "one large batch", "accumulate = 4"
WAYS = (SMALL, LARGE, SEVERAL)


def balanced(spec: Spec, balance: str) -> Spec:
    """The spec with another balance."""
    return attrs.evolve(spec, train=attrs.evolve(spec.train, balance=Named(balance)))


def make_step(network: str, balance: str, way: str) -> Step:
    """All that one turn does with the same samples."""
    make, count = NETWORKS[network]
    spec, batch = make(count * PARTS)
    parts: list[Batch] = [
        {name: each[at : at + count] for name, each in batch.items()} for at in range(0, count * PARTS, count)
    ]
    small, _ = make(count)
    if way == LARGE:
        return step_of_ours(balanced(spec, balance), batch)[1]
    training, _ = step_of_ours(balanced(small, balance), parts[0])
    epoch = EpochLosses(QuietDisplay(), "penalty")

    def step() -> dict[str, torch.Tensor]:
        found = {}
        for part in training.in_steps(parts, PARTS) if way == SEVERAL else parts:
            found = take(training, part, epoch)
            if training.step_is_whole:
                training.optimizer.step()
                epoch.end_step()
        return found

    return step


def peak(way: str, balance: str) -> float:
    """By how many MB a process of its own grows while it makes three turns on images."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (way, balance))


def _peak(way: str, balance: str) -> float:
    torch.set_num_threads(1)
    step_of_ours(*images(32, 2))[1]()  # what torch loads and keeps at its first step
    step = make_step("images", balance, way)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time and memory of steps of several batches.")
    parser.add_argument("--rounds", type=int, default=21, help="how often every way has its turn (default: 21)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    peaks = {
        (balance, way): statistics.median(peak(way, balance) for _ in range(3)) for balance in BALANCES for way in WAYS
    }
    print(
        f"{'network':<8} {'balance':<9} {'of four steps':>14} {'quartiles':>12} {'target':>7} {'of a large batch':>17}"
    )
    missed = 0
    for network in NETWORKS:
        for balance in BALANCES:
            steps = {way: make_step(network, balance, way) for way in WAYS}
            measure(steps, 1, 1, 1)  # first steps pay for the optimizer's state and for memory
            times = measure(steps, options.rounds, 1 if network == "images" else 20)
            of_small, of_large = (
                [ours / other for ours, other in zip(times[SEVERAL], times[way], strict=True)] for way in (SMALL, LARGE)
            )
            ratio, target = statistics.median(of_small), GOAL if balance == "equal" else None
            low, _, high = statistics.quantiles(of_small, n=4) if len(of_small) > 1 else of_small * 3
            late = target is not None and ratio > target
            missed += late
            print(
                f"{network:<8} {balance:<9} {ratio:14.3f} {f'{low:.3f}-{high:.3f}':>12} {target or '-':>7} "
                f"{statistics.median(of_large):13.3f}{'  missed' if late else ''}"
            )
    print(f"\n{'MB above the start':<18} {' '.join(f'{way:>16}' for way in WAYS)}")
    for balance in BALANCES:
        print(f"{balance:<18} {' '.join(f'{peaks[balance, way]:16.0f}' for way in WAYS)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
