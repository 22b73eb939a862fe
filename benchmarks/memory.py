"""Peak memory and time of a step of ten separate networks: ours against a plain loop over them.

    python benchmarks/memory.py [--rounds N]

Ten tasks that share nothing, images of 128x128, a batch of 8, the encoder-decoder of benchmarks/networks.py. The plain
loop is what one writes first: ten networks in PyTorch's default layout, the sum of their losses, one backward, Adam as
it is by default. Ours is the loop of a generated train.py, which computes sets of tasks that share no layer one after
the other: forward and backward, then the next; the gradients are the same.

Memory is the peak of the resident memory of a process of its own above what it had before the first step, the median
over processes; time the CPU time of a step, one thread, the two in turn in one process, the median of the rounds'
ratios. Exits with 1 where the peak is above 0.5 of the plain loop's, or the time above it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

import torch
from networks import SPEC, TASKS, Network
from step import measure, step_of_ours
from torch import Tensor, nn

import mtsldsl

MEMORY, TIME = 0.5, 1.0

SIZE, IMAGES, COUNT = 128, 8, 10

DEPTH = "task depth {\n  target = values(1)\n  head   = conv2d(1, 1) | resize_as(image)\n  loss   = l1\n}\n"


def spec_of(count: int) -> str:
    """SPEC with that many tasks that are all `depth`."""
    before, after = SPEC.split("task segment {")[0], SPEC[SPEC.index("block basic") :]
    tasks = [DEPTH.replace("depth", f"depth{number}", 1).replace("}", "  field  = depth\n}") for number in range(count)]
    return before + "\n".join(tasks) + "\n" + after


def batch_of(images: int, size: int) -> dict[str, Tensor]:
    """Random images and depths, some pixels without one."""
    generator = torch.Generator().manual_seed(0)
    known = torch.rand(images, 1, size, size, generator=generator) > 0.1
    return {
        "image": torch.rand(images, 3, size, size, generator=generator).contiguous(memory_format=torch.channels_last),
        "depth": torch.rand(images, 1, size, size, generator=generator).add(1.0) * known,
    }


def plain_loop(count: int, batch: Mapping[str, Tensor]) -> Callable[[], object]:
    """A step over that many networks."""
    torch.manual_seed(0)
    networks = nn.ModuleList([Network(16, TASKS["depth"]) for _ in range(count)]).train()
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)
    image, depth = batch["image"].contiguous(), batch["depth"]

    def step() -> object:
        measured = depth > 0
        losses = [((network(image) - depth).abs() * measured).sum() / measured.sum() for network in networks]
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        return losses

    return step


def ours(count: int, batch: Mapping[str, Tensor]) -> Callable[[], object]:
    """The step of a generated train.py."""
    images, _, height, width = batch["image"].shape
    size = {"data.input": f"image(3, {height}, {width})", "data.batch": images}
    return step_of_ours(mtsldsl.loads(spec_of(count), overrides=size), batch)[1]


WAYS = {"ours": ours, "plain loop": plain_loop}


def peak(way: str, steps: int = 3) -> float:
    """By how many MB a process of its own grows while it makes some steps; each has all that a step needs loaded."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (way, steps))


def _peak(way: str, steps: int) -> float:
    torch.set_num_threads(1)
    warm = batch_of(1, 16)
    plain_loop(1, warm)()  # what torch loads and keeps at its first step
    step = WAYS[way](COUNT, batch_of(IMAGES, SIZE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(steps):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Peak memory and time of a step of ten separate networks.")
    parser.add_argument("--rounds", type=int, default=7, help="how often every way has its turn (default: 7)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    peaks = {way: statistics.median(peak(way) for _ in range(3)) for way in WAYS}
    memory = peaks["ours"] / peaks["plain loop"]
    batch = batch_of(IMAGES, SIZE)
    steps = {way: make(COUNT, batch) for way, make in WAYS.items()}
    measure(steps, 1, 1, 1)  # first steps pay for the optimizer's state and for memory
    times = measure(steps, options.rounds, 1, 1)
    ratios = [a / b for a, b in zip(times["ours"], times["plain loop"], strict=True)]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    for way in WAYS:
        print(f"{way:<10} {peaks[way]:6.0f} MB above the start {1e3 * statistics.median(times[way]):8.0f} ms a step")
    print(f"memory {memory:.3f}, at most {MEMORY}{'  missed' if memory > MEMORY else ''}")
    print(f"time   {ratio:.3f} ({low:.3f}-{high:.3f}), at most {TIME}{'  missed' if ratio > TIME else ''}")
    return 1 if memory > MEMORY or ratio > TIME else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
