"""How long an epoch of pictures takes whose Dataset decodes JPEGs, with workers beside it against without.

    OMP_NUM_THREADS=1 python benchmarks/workers.py

trains a small network on pictures of a `data python` in turn with 0, 1 and 2 workers, in one thread, and holds that the
losses are the same. With `--handing` it measures instead what a batch costs that is handed from one process to another,
of rows of 8 numbers and of pictures: `mtsldsl.runtime.data.parallel_reading.QUICK` is above that of rows. What counts
here is the time by the clock, as workers spend CPU time of their own: run it on a machine that does nothing else. Exits
with 1 where the median ratio to no workers is above its target.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn

from mtsldsl.editing import loads
from mtsldsl.runtime.data import Samples, batches, load_data
from mtsldsl.runtime.data.parallel_reading import Processes

TARGETS = {1: 1.0, 2: 1.0}
"""By the number of workers: never slower than in one process."""

CODE = """\
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset


class Photos(Dataset):
    def __init__(self, folder, size):
        self.files, self.size = sorted(Path(folder).glob("*.jpg")), int(size)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, number):
        with Image.open(self.files[number]) as picture:
            pixels = np.asarray(picture.resize((self.size, self.size)))
        return {"image": np.moveaxis(pixels, -1, 0), "light": pixels.mean() / 255}
"""

SPEC = """\
mtl 1
data python {{
  input     = image(3, {size}, {size})
  factory   = "photos_of_benchmark:Photos"
  arguments = ["{folder}", "{size}"]
  batch     = 32
}}
task light {{
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
}}
backbone {{
  stem = conv2d(8, 3, stride=2) | relu
}}
train {{
  epochs = 1
}}
"""


def make_photos(folder: Path, count: int, side: int) -> None:
    """So many JPEGs of `side` x `side` pixels, and the module that reads them."""
    random = np.random.default_rng(0)
    (folder / "photos_of_benchmark.py").write_text(CODE, encoding="utf-8")
    for number in range(count):
        small = random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((side, side)).save(folder / f"{number:05}.jpg", quality=90)


def samples_of(folder: Path, size: int, workers: int) -> Samples:
    """The training samples, as a run reads them."""
    sys.path.append(str(folder))
    try:
        train = load_data(loads(SPEC.format(folder=folder, size=size)), workers=workers).train
    finally:
        sys.path.remove(str(folder))
    assert isinstance(train, Samples)
    return train


def epoch(samples: Samples, number: int) -> list[float]:
    """Train anew for one epoch of that number: the losses of its steps."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    )
    head = nn.Linear(16, 1)
    optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for batch in batches(samples, 32, epoch=number, shuffle=True, drop_last=True):
        loss = nn.functional.mse_loss(head(network(batch["image"]).flatten(1)), batch["light"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def measure(ways: dict[int, Samples], rounds: int) -> dict[int, list[float]]:
    """The seconds of an epoch with so many workers, in turn; holds that the losses are the same."""
    taken: dict[int, list[float]] = {workers: [] for workers in ways}
    for number in range(rounds):
        found = []
        for workers, samples in ways.items():
            start = time.monotonic()
            found.append(epoch(samples, number))
            taken[workers].append(time.monotonic() - start)
        if any(each != found[0] for each in found):
            raise RuntimeError("the losses depend on the number of workers")
    return taken


def made(shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """A batch, of which nothing takes time but that it is handed on."""
    return {"row": torch.zeros(shape), "label": torch.zeros(shape[0], 1)}


def report_handing(rounds: int, batches: int = 100) -> None:
    """Print what a batch costs in milliseconds, by the number of workers."""
    for shape in ((32, 8), (256, 8), (32, 3, 64, 64)):
        ways = {workers: Processes(workers, "batches", None) for workers in (0, 1, 2)}
        taken: dict[int, list[float]] = {workers: [] for workers in ways}
        for number in range(rounds + 1):
            for workers, processes in ways.items():
                start = time.monotonic()
                for _ in processes.in_turn(made, [shape] * batches):
                    pass
                if number:  # in the first the processes start
                    taken[workers].append(1000 * (time.monotonic() - start) / batches)
        print(shape, {workers: round(median(found), 3) for workers, found in taken.items()}, "ms a batch")


def report(taken: dict[int, list[float]]) -> int:
    """Print the table; 1 where a target is missed."""
    missed = False
    for workers, seconds in taken.items():
        ratios = [own / alone for own, alone in zip(seconds, taken[0], strict=True)]
        target = TARGETS.get(workers)
        verdict = "" if target is None else f", target {target}: {'ok' if median(ratios) <= target else 'MISSED'}"
        missed |= verdict.endswith("MISSED")
        print(
            f"{workers} workers: {median(seconds):.2f} s, ratio {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}){verdict}"
        )
    return int(missed)


def main() -> int:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1200)
    parser.add_argument("--side", type=int, default=320, help="pixels of a picture")
    parser.add_argument("--size", type=int, default=96, help="pixels of an input")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--handing", action="store_true", help="what it costs to hand a batch on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.handing:
        report_handing(options.rounds)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder), options.photos, options.side)
        ways = {workers: samples_of(Path(folder), options.size, workers) for workers in (0, 1, 2)}
        print(f"{options.photos} photos of {options.side} pixels, {os.cpu_count()} processors")
        return report(measure(ways, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
