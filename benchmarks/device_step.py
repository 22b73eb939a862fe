"""Time of a training step on an accelerator: in float32, in bfloat16, and while transference is measured.

    python benchmarks/device_step.py --device cuda

Five tasks on images, all layers shared (benchmarks/networks.py), a small network and a large one; all ways in turn,
wall time around ten steps with nothing left to compute before and after, the median of the rounds. Prints milliseconds
a step, and the median of the rounds' ratios to float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence

import torch
from networks import SPEC, make_batch
from step import Step, step_of_ours

import mtsldsl
from mtsldsl.ir import Spec
from mtsldsl.methods.transference.learner import Transference
from mtsldsl.runtime.run.device import choose_device

SHARED = "sharing {\n  stem..dec1 = all\n}\n"
SIZES = {"small": (16, 64, 8), "large": (128, 128, 64)}
"""Channels of the first stage, pixels of a side, images of a batch."""

EVERY = 10
"""Steps from one look ahead to the next, and of a turn."""


def make_steps(size: tuple[int, int, int], device: torch.device) -> dict[str, Step]:
    """All ways to make a step, by name."""
    width, side, images = size
    batch = {name: tensor.to(device) for name, tensor in make_batch(side, images).items()}

    def spec(precision: str, structure: str = "") -> Spec:
        overrides: dict[str, int | str] = {
            "width": width,
            "data.input": f"image(3, {side}, {side})",
            "data.batch": images,
            "train.precision": precision,
        }
        return mtsldsl.loads(SPEC + structure + SHARED, overrides=overrides)

    measuring = spec("fp32", f"structure transference {{\n  every = {EVERY}\n}}\n")
    assert measuring.structure is not None
    learner = Transference(measuring.structure.settings)
    return {
        "fp32": step_of_ours(spec("fp32"), batch, device=device)[1],
        "bf16": step_of_ours(spec("bf16"), batch, device=device)[1],
        f"fp32, measured every {EVERY} steps": step_of_ours(measuring, batch, learner, device)[1],
    }


def measure(steps: Mapping[str, Step], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds a step, of every way in every round."""
    times: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(rounds):
        for way, step in steps.items():
            wait_for(device)
            start = time.perf_counter()
            for _ in range(EVERY):
                step()
            wait_for(device)
            times[way].append((time.perf_counter() - start) / EVERY)
    return times


def wait_for(device: torch.device) -> None:
    """Until it has nothing left to compute."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def report(size: str, times: Mapping[str, Sequence[float]]) -> None:
    """A row for each way."""
    first = next(iter(times.values()))
    for way, seconds in times.items():
        ratio = statistics.median(one / other for one, other in zip(seconds, first, strict=True))
        print(f"| {size} | {way} | {1e3 * statistics.median(seconds):.2f} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Measure every size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options = parser.parse_args()
    device = choose_device(options.device)
    print("| network | step | ms | beside fp32 |\n|---|---|---|---|", flush=True)
    for size in options.sizes:
        steps = make_steps(SIZES[size], device)
        measure(steps, 2, device)  # the first steps find out what is fastest
        report(size, measure(steps, options.rounds, device))


if __name__ == "__main__":
    main()
