"""Time of a training step: ours against PyTorch written by hand, and against a plain loop over single-task networks.

    python benchmarks/step.py [--rounds N] [--images]

Images: five tasks, images of 64x64, a batch of 8, an encoder-decoder of 16 channels (benchmarks/networks.py). Rows: 5,
10 and 20 tasks, rows of 32 numbers, a batch of 64, three hidden layers of 64 (benchmarks/rows.py). One thread, the
process's own CPU time, all ways in turn, the median of the rounds' ratios. All ways start from the same weights, and
their first losses are equal to 1e-5.

- Before merges: the generated model in the loop of a generated train.py, against an equal model and step written by
  hand with care (channels_last, fused Adam, ReLU in place, losses that leave out what has no label in these data); at
  most 1.02 of its time.
- Between merges, where stem and first block serve all tasks, and after most merges: the same; at most 1.02.
- The generated model before, between and after merges against what one writes first: the same network as a plain loop
  over the tasks in PyTorch's default layout, the sum of the same losses, one backward, Adam as it is by default; at
  most 0.90. Of rows, before merges, at most 0.75.

Prints a table and exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeAlias

import attrs
import torch
from networks import BETWEEN, SHARING, SPEC, Batch, Between, Separate, Shared, load_weights, losses_by_hand, make_batch
from rows import Rows, losses_of_rows, make_rows, spec_of, tasks_of
from torch import Tensor, nn

import mtsldsl
from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.run.epoch import EpochLosses
from mtsldsl.runtime.structure.learner import Learner

Losses: TypeAlias = Callable[[Mapping[str, Tensor], Batch], dict[str, Tensor]]
Step: TypeAlias = Callable[[], dict[str, Tensor]]
"""Makes one training step and gives the loss of every task before it."""

CPU = torch.device("cpu")

ROW_TASKS = (5, 10, 20)

EPOCHS = ExitStack()
"""Keeps open what a session opens for an epoch, for as many steps as are made."""


def step_by_hand(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    read: str = "image",
    losses: Losses = losses_by_hand,
) -> Step:
    """The step that an engineer writes, who wants to see the mean losses of the epoch; `read` is the input's name."""
    model.train()
    sums: Tensor | float = 0.0

    def step() -> dict[str, Tensor]:
        nonlocal sums
        found = losses(model(batch[read]), batch)
        terms = torch.stack(list(found.values()))
        optimizer.zero_grad()
        torch.autograd.backward(terms.sum())
        optimizer.step()
        sums += terms.detach()
        return found

    return step


def take(training: Training, batch: Batch, epoch: EpochLosses) -> dict[str, Tensor]:
    """What that loop does with a batch before the optimizer's step; the loss of every task."""
    found: dict[str, Tensor] = {}
    for tasks in training.sets():
        with autocast(training.spec.train.precision, training.device):
            outputs = training.forward(batch[training.spec.data.input], tasks)
        losses = training.losses(outputs, batch)
        penalty = training.penalty(batch, outputs, losses)
        training.require_finite(losses, penalty)
        training.zero_grad(tasks)
        training.backward(losses, penalty)
        epoch.add(losses, None)
        found |= losses.values
    return found


def step_of_ours(
    spec: Spec, batch: Batch, learner: Learner | None = None, device: torch.device = CPU
) -> tuple[Training, Step]:
    """What the loop of a generated train.py does, line by line; by default with a learner that does nothing."""

    def make_optimizer(parameters: NamedParameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=0.001, fused=True)

    training = Training.start(spec, model_class(spec), learner or Learner(), make_optimizer, lambda _: None, device)
    training.model.train()
    EPOCHS.enter_context(training.guarded())
    epoch = EpochLosses(QuietDisplay(), "penalty")

    def step() -> dict[str, Tensor]:
        found = take(training, batch, epoch)
        training.optimizer.step()
        epoch.end_step()
        return found

    return training, step


def make_steps(
    width: int = 16, size: int = 64, images: int = 8, rows: int = 64, row_tasks: Sequence[int] = ROW_TASKS
) -> dict[str, Step]:
    """All ways to make a step, by name; those that are compared from the same weights and on the same batch."""
    batch = make_batch(size, images)
    in_default_layout = {name: tensor.contiguous() for name, tensor in batch.items()}
    steps: dict[str, Step] = {}
    networks = (("separate", "", Separate), ("between", BETWEEN, Between), ("shared", SHARING, Shared))
    for name, sharing, network in networks:
        model = network(width)
        overrides: dict[str, int | str] = {
            "width": width,
            "data.input": f"image(3, {size}, {size})",
            "data.batch": images,
        }
        training, steps[f"{name}, ours"] = step_of_ours(mtsldsl.loads(SPEC + sharing, overrides=overrides), batch)
        load_weights(model, training.model)
        plain = copy.deepcopy(model)
        default = torch.optim.Adam(plain.parameters(), lr=1e-3)
        steps[f"{name}, plain loop"] = step_by_hand(plain, default, in_default_layout)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack the keyword
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        steps[f"{name}, by hand"] = step_by_hand(model, optimizer, batch)
    for count in row_tasks:
        steps |= make_row_steps(count, rows)
    return steps


def make_row_steps(count: int, rows: int) -> dict[str, Step]:
    """The ways to make a step of so many tasks on rows."""
    tasks = tasks_of(count)
    batch = make_rows(tasks, rows)
    losses = partial(losses_of_rows, tasks)
    training, ours = step_of_ours(mtsldsl.loads(spec_of(tasks, rows)), batch)
    model = Rows(tasks)
    load_weights(model, training.model)
    plain = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    default = torch.optim.Adam(plain.parameters(), lr=1e-3)
    return {
        f"rows {count}, ours": ours,
        f"rows {count}, by hand": step_by_hand(model, optimizer, batch, "row", losses),
        f"rows {count}, plain loop": step_by_hand(plain, default, batch, "row", losses),
    }


@attrs.frozen
class Comparison:
    """Two ways to make a step, and at most what part of the other's time ours may take."""

    name: str
    ours: str
    other: str
    target: float


BY_HAND = 1.02
PLAIN = 0.90
PLAIN_ROWS = 0.75

COMPARISONS = (
    Comparison("before merges, against an equal one by hand", "separate, ours", "separate, by hand", BY_HAND),
    Comparison("between merges, against an equal one by hand", "between, ours", "between, by hand", BY_HAND),
    Comparison("after merges, against an equal one by hand", "shared, ours", "shared, by hand", BY_HAND),
    Comparison("before merges, against a plain loop", "separate, ours", "separate, plain loop", PLAIN),
    Comparison("between merges, against a plain loop", "between, ours", "between, plain loop", PLAIN),
    Comparison("after merges, against a plain loop", "shared, ours", "shared, plain loop", PLAIN),
    *(
        Comparison(f"rows, {count} tasks, {against}", f"rows {count}, ours", f"rows {count}, {way}", target)
        for count in ROW_TASKS
        for against, way, target in (
            ("against an equal one by hand", "by hand", BY_HAND),
            ("against a plain loop", "plain loop", PLAIN_ROWS),
        )
    ),
)


def compared(ways: Collection[str]) -> Iterator[Comparison]:
    """The comparisons of ways that are there."""
    return (each for each in COMPARISONS if each.ours in ways)


def require_equal_losses(steps: Mapping[str, Step], tolerance: float = 1e-5) -> None:
    """Make one step of every way; AssertionError where two that are compared had other losses."""
    losses = {
        way: torch.stack([found[task] for task in sorted(found)]).detach()
        for way, step in steps.items()
        for found in [step()]
    }
    for comparison in compared(steps):
        torch.testing.assert_close(losses[comparison.ours], losses[comparison.other], rtol=0, atol=tolerance)


def measure(steps: Mapping[str, Step], rounds: int, repeats: int = 3, light: int = 8) -> dict[str, list[float]]:
    """The CPU time of a step in seconds, of every way in every round; each round begins with another way. A turn
    has `repeats` steps, `light` times as many of those on rows."""
    times: dict[str, list[float]] = {way: [] for way in steps}
    order = list(steps)
    for number in range(rounds):
        first = number % len(order)
        for way in order[first:] + order[:first]:
            made = repeats * light if way.startswith("rows") else repeats
            start = time.process_time()
            for _ in range(made):
                steps[way]()
            times[way].append((time.process_time() - start) / made)
    return times


def report(times: Mapping[str, Sequence[float]]) -> int:
    """Print the table; 1 where a target is missed, else 0."""
    print(f"{'training step':<44} {'ours ms':>8} {'other ms':>9} {'ratio':>6} {'quartiles':>12} {'target':>7}")
    missed = 0
    for comparison in compared(times):
        ours, other = times[comparison.ours], times[comparison.other]
        ratios = [a / b for a, b in zip(ours, other, strict=True)]
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        late = ratio > comparison.target
        missed += late
        print(
            f"{comparison.name:<44} {1e3 * statistics.median(ours):8.1f} {1e3 * statistics.median(other):9.1f} "
            f"{ratio:6.3f}  {low:.3f}-{high:.3f} {comparison.target:7.2f}{'  missed' if late else ''}"
        )
    return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of a training step, ours against others.")
    parser.add_argument("--rounds", type=int, default=21, help="how often every way has its turn (default: 21)")
    parser.add_argument("--images", action="store_true", help="the steps on images alone, without those on rows")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    steps = make_steps(row_tasks=() if options.images else ROW_TASKS)
    require_equal_losses(steps)
    measure(steps, 1)  # first steps pay for the optimizer's state and for memory
    return report(measure(steps, options.rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
