"""Time of looking ahead: training with `structure transference` against the same training without it.

    python benchmarks/transference.py [--rounds N]

Five tasks that share all layers: the network of specs/nyuv2_small.mtl on random images of 48x64, a batch of 16, and
three hidden layers of 64 on rows of 32 numbers, a batch of 64 (benchmarks/rows.py). A turn is ten steps of the loop of
a generated train.py, data loading apart, of which one looks ahead. One thread, the process's own CPU time, all ways in
turn, the median of the rounds' ratios; at the end the weights of all ways are held to be the same, bit for bit.

A look every ten steps may take 1.5 times the time of plain training at most, whatever `step` is. Then how far what is
measured in bf16 is from what is measured in fp32, with the losses of the look in bf16 and, as it is done, in fp32.

Prints two tables and exits with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch
from networks import Batch, make_batch
from rows import HIDDEN, make_rows, spec_of, tasks_of
from step import CPU, Step, step_of_ours
from torch import Tensor

import mtsldsl
from mtsldsl.ir import Spec
from mtsldsl.methods.transference.language import GRADIENT, OPTIMIZER, SGD
from mtsldsl.methods.transference.learner import Settings, Transference
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.probe import Moved, Probe
from mtsldsl.runtime.learning.random_state import random_state
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.structure.learner import Learner

EVERY = 10
GOAL = 1.5
PLAIN = "plain"
WAYS = (PLAIN, SGD, OPTIMIZER, GRADIENT)


@attrs.frozen
class Way:
    """A training, and how it makes a step."""

    training: Training
    step: Step

    def turn(self) -> None:
        """The steps from one look ahead to the next."""
        for number in range(EVERY):
            self.training.steps = number  # the guard and the learner read it
            self.step()


def images(size: int, count: int) -> tuple[Spec, Batch]:
    """The network of specs/nyuv2_small.mtl, shared by all, and a batch."""
    text = (Path(__file__).parents[1] / "specs" / "nyuv2_small.mtl").read_text(encoding="utf-8")
    text = text.partition("structure mtsl")[0] + "sharing {\n  stem..dec1 = all\n}\n"
    height = size * 3 // 4
    batch = {name: each[..., :height, :] for name, each in make_batch(size, count).items()}
    batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
    return mtsldsl.loads(text, overrides={"data.input": f"image(3, {height}, {size})", "data.batch": count}), batch


def rows(count: int) -> tuple[Spec, Batch]:
    """Linear layers, shared by all, and a batch."""
    tasks = tasks_of(5)
    sharing = "".join(f"  {layer} = all\n" for layer in HIDDEN)
    return mtsldsl.loads(f"{spec_of(tasks, count)}\nsharing {{\n{sharing}}}\n"), make_rows(tasks, count)


def make_networks(size: int = 64, count: int = 16, rows_count: int = 64) -> dict[str, dict[str, Way]]:
    """For each network all ways to train it, from the same weights."""
    return {
        name: {way: make_way(spec, batch, way) for way in WAYS}
        for name, (spec, batch) in {"images": images(size, count), "rows": rows(rows_count)}.items()
    }


def make_way(spec: Spec, batch: Batch, way: str) -> Way:
    """One of them."""
    measuring = Settings(every=EVERY, step=way, groups=None, epochs=1, singles="never") if way != PLAIN else None
    learner = Transference(measuring) if measuring else Learner()
    return Way(*step_of_ours(spec, batch, learner))


def measure(ways: Mapping[str, Way], rounds: int, repeats: int) -> dict[str, list[float]]:
    """The CPU time of so many turns of every way in every round; each round begins with another way."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    order = list(ways)
    for number in range(rounds):
        first = number % len(order)
        for way in order[first:] + order[:first]:
            start = time.process_time()
            for _ in range(repeats):
                ways[way].turn()
            times[way].append(time.process_time() - start)
    return times


def require_equal_weights(ways: Mapping[str, Way]) -> None:
    """AssertionError where two have other weights, statistics or moments after as many steps."""
    plain = ways[PLAIN].training
    for way in ways.values():
        torch.testing.assert_close(way.training.model.state_dict(), plain.model.state_dict(), rtol=0, atol=0)
        moments, others = (list(each.optimizer.state.values()) for each in (way.training, plain))
        torch.testing.assert_close(moments, others, rtol=0, atol=0)


def report(name: str, times: Mapping[str, Sequence[float]], turns: int) -> int:
    """Print the rows of a network; 1 where the target is missed, else 0."""
    missed = 0
    for way in (SGD, OPTIMIZER, GRADIENT):
        ratios = [ours / plain for ours, plain in zip(times[way], times[PLAIN], strict=True)]
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        late = ratio > GOAL
        missed += late
        step = 1e3 * statistics.median(times[PLAIN]) / turns / EVERY
        print(
            f"{name:<8} step = {way:<10} {step:9.2f} {ratio:6.3f}  {low:.3f}-{high:.3f} {GOAL:7.2f}"
            f"{'  missed' if late else ''}"
        )
    return 1 if missed else 0


def bf16_errors(spec: Spec, batch: Batch, seeds: Sequence[int]) -> dict[str, float]:
    """How far gains of the plain step are from those of fp32, in parts of their mean size, for random weights."""
    off: dict[str, list[float]] = {"losses in bf16": [], "losses in fp32": []}
    sizes: list[float] = []
    for seed in seeds:
        exact = probe_of(spec, batch, seed, "fp32").gains()
        probe = probe_of(spec, batch, seed, "bf16")
        sizes += [abs(gain) for gain in exact.values()]
        for name, found in (("losses in bf16", gains_by_bf16(probe)), ("losses in fp32", probe.gains())):
            off[name] += [abs(found[pair] - gain) for pair, gain in exact.items()]
    return {name: statistics.fmean(errors) / statistics.fmean(sizes) for name, errors in off.items()}


def probe_of(spec: Spec, batch: Batch, seed: int, precision: str) -> Probe:
    """A look ahead from the first step of a training."""
    train = attrs.evolve(spec.train, seed=seed, precision=precision)
    training, _ = step_of_ours(attrs.evolve(spec, train=train), batch)
    random = random_state(CPU)
    with autocast(precision, CPU):
        outputs = training.forward(batch[spec.data.input], spec.sharing.tasks)
    return training._probe(batch[spec.data.input], random, batch, outputs, training.losses(outputs, batch))


def gains_by_bf16(probe: Probe) -> dict[tuple[str, str], float]:
    """The gains if the losses of the look were computed as those of the step are."""

    def losses(moved: Moved) -> Mapping[str, Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return probe._losses_with(moved)

    before = losses({})
    found = {}
    for donor in probe.losses:
        moved = {
            probe.shared[donor][name]: probe.shared[donor][name].detach() - probe.rate * each
            for name, each in probe._gradient(donor).items()
        }
        after = losses(moved)
        found |= {(donor, task): 1 - float(after[task]) / float(before[task]) for task in probe.losses}
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of looking ahead, against plain training.")
    parser.add_argument("--rounds", type=int, default=21, help="how often every way has its turn (default: 21)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    networks = make_networks()
    print(f"{'network':<26} {'plain ms':>9} {'ratio':>6} {'quartiles':>12} {'target':>7}")
    status = 0
    for name, ways in networks.items():
        turns = 1 if name == "images" else 12
        measure(ways, 1, 1)  # first steps pay for the optimizer's state and for memory
        status |= report(name, measure(ways, options.rounds, turns), turns)
        require_equal_weights(ways)
    print(f"\n{'network':<8} {'mean error, losses in bf16':>27} {'in fp32':>8}")
    for name, (spec, batch) in {"images": images(64, 16), "rows": rows(64)}.items():
        errors = bf16_errors(spec, batch, range(3))
        print(f"{name:<8} {errors['losses in bf16']:27.3f} {errors['losses in fp32']:8.3f}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
