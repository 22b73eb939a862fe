"""Time of linear maps that are alike, computed at once with their weights stacked, against each by itself.

    python benchmarks/rows_at_once.py [--rounds N]

Forward and backward of copies of a linear map and a ReLU, each of rows of its own, as in a layer that tasks do not
share. One thread, the process's own CPU time, both ways in turn, the median of the rounds' ratios. Outputs and
gradients are equal to 1e-4. Exits with 1 where what a step computes at once takes longer than each by itself.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtsldsl.runtime.network.side_by_side import RowsSideBySide

CASES = (
    (2, 64, 1, 64),
    (2, 64, 64, 16),
    (2, 64, 64, 64),
    (2, 128, 128, 64),
    (3, 64, 64, 64),
    (5, 32, 32, 64),
    (5, 64, 64, 64),
    (5, 64, 64, 256),
    (5, 128, 128, 64),
    (20, 64, 4, 64),
    (20, 64, 64, 64),
    (20, 128, 128, 64),
    (5, 512, 32, 64),
    (2, 128, 128, 256),
    (20, 128, 128, 256),
    (5, 64, 64, 1024),
    (2, 128, 128, 1),
    (2, 512, 512, 16),
    (5, 256, 256, 64),
    (5, 512, 512, 64),
    (5, 64, 64, 2048),
    (5, 1024, 1, 256),
)
"""Copies, features that are read and given, rows; the last ten are computed one by one."""


class Map(nn.Module):
    """(n, features) -> (n, features)."""

    def __init__(self, reads: int, gives: int) -> None:
        super().__init__()
        self.linear = nn.Linear(reads, gives)

    def forward(self, x: Tensor) -> Tensor:
        """As a generated layer does it."""
        return F.relu(self.linear(x), inplace=True)


Way = Callable[[], list[Tensor]]
"""Makes both passes, and gives the gradients of all parameters."""


def ways(copies: int, reads: int, gives: int, rows: int) -> tuple[RowsSideBySide, Way, Way]:
    """At once, and each by itself, with the same weights, rows and gradients of what they give."""
    torch.manual_seed(0)
    maps = [Map(reads, gives) for _ in range(copies)]
    parameters = [each for one in maps for each in one.parameters()]
    together = RowsSideBySide.of_rows(maps)
    assert together is not None
    x, slope = torch.randn(copies, reads, rows), torch.randn(copies, gives, rows)
    joined = x.clone().requires_grad_()
    apart = [each.t().contiguous().requires_grad_() for each in x]
    slopes = [each.t().contiguous() for each in slope]

    def taken() -> list[Tensor]:
        found = [each.grad for each in parameters if each.grad is not None]
        for each in (*parameters, *apart, joined):
            each.grad = None
        return found

    def at_once() -> list[Tensor]:
        made = joined
        for step in together.steps:
            made = step(made)
        torch.autograd.backward([made], [slope])
        return taken()

    def one_by_one() -> list[Tensor]:
        torch.autograd.backward([one(each) for one, each in zip(maps, apart, strict=True)], slopes)
        return taken()

    return together, at_once, one_by_one


def measure(pair: Sequence[Way], rounds: int, seconds: float = 0.02) -> list[float]:
    """The ratio of the first way's time to the second's, in every round."""
    start = time.process_time()
    pair[1]()
    repeats = max(1, int(seconds / max(time.process_time() - start, 1e-6)))
    ratios = []
    for number in range(rounds):
        taken = {}
        for way in (0, 1) if number % 2 else (1, 0):
            start = time.process_time()
            for _ in range(repeats):
                pair[way]()
            taken[way] = time.process_time() - start
        ratios.append(taken[0] / taken[1])
    return ratios


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of linear maps at once, against each by itself.")
    parser.add_argument("--rounds", type=int, default=15, help="how often both ways have their turn (default: 15)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    missed = False
    for copies, reads, gives, rows in CASES:
        together, *pair = ways(copies, reads, gives, rows)
        for one, other in zip(*(way() for way in pair), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        ratios = measure(pair, options.rounds)
        ratio, pays = statistics.median(ratios), together.pays(rows)
        missed |= pays and ratio > 1
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        case = f"{copies:2} of {reads} -> {gives}, {rows} rows"
        print(f"{case:28} {ratio:.3f} ({low:.3f}-{high:.3f}) {'1.00' if pays else 'each'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
