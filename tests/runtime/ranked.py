"""The two processes of tests/runtime/test_ranks.py: each trains the examples with every balance, and saves what came of
it. `python -m tests.runtime.ranked FOLDER`, which is told where they meet, forks them."""

from __future__ import annotations

import os
import sys
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.learning.probe import Gains, Probe
from mtsldsl.runtime.learning.ranks import Ranks
from mtsldsl.runtime.learning.step import Penalty, Position
from mtsldsl.runtime.learning.training import Training
from tests.runtime.started import CPU
from tests.runtime.test_accumulate import AVAILABLE, TEXT, Drawing, cut, one_by_one, samples, steps, training
from tests.runtime.test_teachers import taught

NORMAL = TEXT.replace("linear(8) | tanh", "linear(8) | batch_norm | tanh", 1)

MEANS = ("ema = 0.5", "keep = average(1)")


class Looking(Penalty):
    """A learner that keeps what is seen of every step: gains of three kinds, and the cosines at each copy."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Gains] = []

    def observing(self, position: Position) -> bool:
        return True

    def observe(self, probe: Probe) -> None:
        self.found += [probe.gains(), probe.first_order(), probe.gains_of_optimizer()]
        for copy, cosines in probe.cosines().items():
            pairs = product(enumerate(cosines.tasks), repeat=2)
            self.found.append(
                {(f"{copy.name} {one}", other): float(cosines.values[i, j]) for (i, one), (j, other) in pairs}
            )


def trained(balance: str, ranks: Ranks, accumulate: int = 1) -> Training:
    """Three steps of 48 samples."""
    made = training(balance)
    made.ranks = ranks
    torch.manual_seed(0)
    batches = [samples(seed) for seed in range(3)]
    if accumulate > 1:
        steps(made, [part for batch in batches for part in cut(batch, 48 // accumulate)], accumulate)
    else:
        one_by_one(made, batches)
    return made


def mean_of_two_steps(said: str, ranks: Ranks) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The mean of a network at the end of an epoch of two steps: as each process has it, and as all have."""
    averaging = training("equal", NORMAL.replace("epochs    = 2", f"epochs    = 1\n  {said}"))
    averaging.ranks, averaging.epoch_steps = ranks, 2
    for seed in range(2):
        one_by_one(averaging, [samples(seed)])
        averaging.average()
    own = {name: value.clone() for name, value in averaging.network.state_dict().items()}
    averaging.end_epoch(dict.fromkeys("abcd", 1.0))
    return own, averaging.network.state_dict()


def main(folder: Path, rank: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    ranks = Ranks.of_environment(CPU)
    found: dict[str, object] = {"place": (ranks.rank, ranks.size)}
    for balance in AVAILABLE:
        made = trained(balance, ranks)
        found[balance] = made.model.state_dict(), made.balance.state_dict(), made.weighed.steps
    for balance in ("equal", "relative", "pcgrad"):
        found[f"{balance} 2"] = trained(balance, ranks, 2).model.state_dict()
    for balance in ("equal", "pcgrad"):
        made = taught(balance)
        made.ranks = ranks
        one_by_one(made, [samples(0)])
        found[f"{balance} and teachers"] = made.model.state_dict()
    made = training("equal")
    made.ranks = ranks
    made.learner = looking = Looking()
    one_by_one(made, [samples(0)])
    found["gains"] = looking.found
    for balance in ("equal", "pcgrad"):
        made = training(balance)
        made.ranks, made.learner = ranks, Drawing()
        one_by_one(made, [samples(0)])
        found[f"{balance} and a penalty"] = made.model.state_dict()
    made = training("equal", NORMAL)
    made.ranks = ranks
    one_by_one(made, [samples(0)])
    made.end_epoch(dict.fromkeys("abcd", 1.0))
    found["buffers"] = dict(made.model.named_buffers())
    found |= {said: mean_of_two_steps(said, ranks) for said in MEANS}
    with torch.no_grad():
        next(made.model.parameters()).view(-1)[0] += ranks.rank * 1e-6
    try:
        made.end_epoch(dict.fromkeys("abcd", 1.0))
    except MtlError as error:
        found["other weights"] = [each.code for each in error.diagnostics]
    torch.save(found, folder / f"{ranks.rank}.pt")


if __name__ == "__main__":
    both = [get_context("fork").Process(target=main, args=(Path(sys.argv[1]), rank)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    sys.exit(any(process.exitcode for process in both))
