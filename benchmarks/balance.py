"""Time and memory of a step under each balance: ours against the same by hand with torchjd, and against LibMTL.

    python benchmarks/balance.py [--rounds N] [--libmtl PATH]

Five tasks that share all but their heads. Images: 64x64, a batch of 8, the encoder-decoder of 16 channels of
benchmarks/networks.py. Rows: 32 numbers, a batch of 64, three layers of 64. One thread, the process's own CPU time, all
ways in turn, the median of the rounds' ratios. All ways start from the same weights, have the same losses to 1e-5, and
the gradients of ours and by hand are equal.

- By hand: a gradient of each task after the other, on the shared parameters and its own head, these rows as one
  matrix for torchjd's aggregator, what it gives cut into the gradients of the parameters. Ours takes at most 1.05 of
  its time under `pcgrad`, `mgda` and `cagrad`, and at most its memory.
- LibMTL, where `--libmtl` names a checkout of it: its own architecture HPS and weighting of these names, with its
  defaults, of the same modules, losses and optimizer, in the order of its trainer; both in PyTorch's default layout, as
  it knows no other. Ours takes less than its time.
- Every balance against `equal`, which has no target.

The targets are of images. A step on rows is so short that what else is done in it counts: losses that leave out what
has no label, and a guard.

Memory is the peak of the resident memory of a process of its own above what it had before the first step, the median of
three processes, told in sizes of a gradient: a trunk of 64 channels has a large one, and two images of 32x32 little
else. Adam's two means and the gradient itself are three of these.

Prints the tables, and exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import attrs
import torch
import torch.nn.functional as F
from networks import LAYERS, SPEC, TASKS, Basic, Batch, ByHand, Up, load_weights, losses_by_hand, make_batch, make_stem
from rows import HIDDEN, KINDS, ROW, WIDTH, losses_of_rows, make_rows, spec_of, tasks_of
from step import Losses, Step, measure, step_of_ours
from torch import Tensor, nn

import mtsldsl
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.training import Training

BY_HAND, LIBMTL = 1.05, 1.0

COMPARED = ("pcgrad", "mgda", "cagrad")

ALL_SHARED = "\nsharing {{\n  {} = all\n}}\n"

OF_LIBMTL = {
    "pcgrad": ("PCGrad", {}),
    "mgda": ("MGDA", {"mgda_gn": "none"}),
    "cagrad": ("CAGrad", {"calpha": 0.5, "rescale": 1}),
}
"""The classes of LibMTL, and its defaults."""


def aggregator_of(balance: str) -> Callable[[Tensor], Tensor]:
    """What torchjd makes of the matrix of gradients, times the number of tasks where that is a mean, as ours is."""
    from torchjd import aggregation

    if balance == "pcgrad":
        return aggregation.PCGrad()
    made = aggregation.MGDA() if balance == "mgda" else aggregation.CAGrad(0.5)
    return lambda matrix: len(matrix) * made(matrix)


class Encoder(nn.Module):
    """What all tasks on images share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = Basic(width, 2 * width, stride=2)
        self.enc3 = Basic(2 * width, 4 * width, stride=2)
        self.dec2 = Up(6 * width, 2 * width)
        self.dec1 = Up(3 * width, width)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, width, h / 2, w / 2)."""
        enc1 = self.enc1(self.stem(image))
        enc2 = self.enc2(enc1)
        found: Tensor = self.dec1(self.dec2(self.enc3(enc2), enc2), enc1)
        return found


class Head(nn.Module):
    """Gives each pixel of an image its channels."""

    def __init__(self, width: int, channels: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, channels, 1)
        self.size = size

    def forward(self, features: Tensor) -> Tensor:
        """(n, width, h / 2, w / 2) -> (n, channels, h, w)."""
        return F.interpolate(self.conv(features), size=self.size, mode="bilinear", align_corners=False)


class Trunk(ByHand):
    """An encoder and a head for each task."""

    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The outputs of the tasks."""
        features = self.encoder(inputs)
        return {task: head(features) for task, head in self.heads.items()}


class ImageTrunk(Trunk):
    """Five tasks on images."""

    places: ClassVar = {**{layer: f"encoder.{layer}" for layer in LAYERS[:-1]}, "heads": "heads.{}"}

    def __init__(self, width: int, size: int) -> None:
        super().__init__(Encoder(width), {task: Head(width, count, size) for task, count in TASKS.items()})


class RowTrunk(Trunk):
    """Tasks on rows of numbers."""

    places: ClassVar = {**{layer: f"encoder.{place}.0" for place, layer in enumerate(HIDDEN)}, "heads": "heads.{}"}

    def __init__(self, tasks: Mapping[str, str]) -> None:
        sizes = (ROW, *[WIDTH] * len(HIDDEN))
        layers = [nn.Sequential(nn.Linear(given, found), nn.ReLU(inplace=True)) for given, found in pairwise(sizes)]
        super().__init__(
            nn.Sequential(*layers), {task: nn.Linear(WIDTH, KINDS[kind][1]) for task, kind in tasks.items()}
        )


@attrs.frozen
class Case:
    """A network and a batch: the text of its spec, the same by hand, the input's name and the losses by hand."""

    text: str
    settings: Mapping[str, Any]
    batch: Batch
    read: str
    trunk: Callable[[], Trunk]
    losses: Losses

    def ours(self, balance: str) -> tuple[Training, Step]:
        """The step of a generated train.py."""
        spec = mtsldsl.loads(self.text, overrides={**self.settings, "train.balance": balance})
        training, step = step_of_ours(spec, self.batch)
        if self.batch[self.read].is_contiguous():
            training.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return training, step

    def model(self, like: nn.Module) -> Trunk:
        """By hand, with the weights of ours and in its layout."""
        model = self.trunk()
        load_weights(model, like)
        model.train()
        if self.batch[self.read].dim() == 4 and not self.batch[self.read].is_contiguous():
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack the keyword
        return model

    def in_default_layout(self) -> Case:
        """The same in PyTorch's default layout."""
        return attrs.evolve(self, batch={name: tensor.contiguous() for name, tensor in self.batch.items()})


def image_case(width: int = 16, size: int = 64, images: int = 8) -> Case:
    """Five tasks on images."""
    settings = {"width": width, "data.input": f"image(3, {size}, {size})", "data.batch": images}
    trunk = partial(ImageTrunk, width, size)
    text = SPEC + ALL_SHARED.format("stem..dec1")
    return Case(text, settings, make_batch(size, images), "image", trunk, losses_by_hand)


def row_case(count: int = 5, rows: int = 64) -> Case:
    """So many tasks on rows."""
    tasks = tasks_of(count)
    text = spec_of(tasks, rows) + ALL_SHARED.format(f"{HIDDEN[0]}..{HIDDEN[-1]}")
    return Case(text, {}, make_rows(tasks, rows), "row", partial(RowTrunk, tasks), partial(losses_of_rows, tasks))


def step_by_hand(case: Case, model: Trunk, aggregate: Callable[[Tensor], Tensor]) -> Step:
    """A gradient of each task after the other, and torchjd's aggregator on the matrix of these rows."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    shared = list(model.encoder.parameters())
    sizes = [parameter.numel() for parameter in shared]
    last = max(model.heads)

    def step() -> dict[str, Tensor]:
        found = case.losses(model(case.batch[case.read]), case.batch)
        optimizer.zero_grad()
        rows = []
        for task in sorted(found):
            own = list(model.heads[task].parameters())
            gradients = torch.autograd.grad(found[task], [*shared, *own], retain_graph=task != last)
            rows.append(torch.cat([gradient.flatten() for gradient in gradients[: len(shared)]]))
            for parameter, gradient in zip(own, gradients[len(shared) :], strict=True):
                parameter.grad = gradient
        combined = aggregate(torch.stack(rows))
        for parameter, part in zip(shared, combined.split(sizes), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(part.view_as(parameter))  # in the parameter's layout
        optimizer.step()
        return found

    return step


def step_of_libmtl(case: Case, model: Trunk, folder: Path, balance: str) -> Step:
    """What the trainer of LibMTL does in a step; it asks for CUDA, so that its loop stands here."""
    if "LibMTL" not in sys.modules:  # its own `__init__` imports what needs torchvision
        package = types.ModuleType("LibMTL")
        package.__path__ = [str(folder / "LibMTL")]
        sys.modules["LibMTL"] = package
    from LibMTL import architecture, weighting  # type: ignore[attr-defined]  # of the checkout

    name, arguments = OF_LIBMTL[balance]
    joined = type("MTLmodel", (architecture.HPS, getattr(weighting, name)), {})
    tasks = sorted(model.heads)
    made = joined(tasks, lambda: model.encoder, model.heads, False, False, torch.device("cpu"))
    made.init_param()
    made.train()
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3, fused=True)

    def step() -> dict[str, Tensor]:
        found = case.losses(made(case.batch[case.read]), case.batch)
        losses = torch.zeros(len(tasks))
        for place, task in enumerate(tasks):
            losses[place] = found[task]
        optimizer.zero_grad(set_to_none=False)
        made.backward(losses, **arguments)
        optimizer.step()
        return found

    return step


@attrs.frozen
class Comparison:
    """Two ways to make a step, and at most what part of the other's time ours may take."""

    ours: str
    other: str
    target: float | None


def make_ways(
    name: str, case: Case, target: float | None, libmtl: Path | None = None, balances: Sequence[str] = COMPARED
) -> tuple[dict[str, Step], list[Comparison]]:
    """All ways to make a step under these balances, by name, and which are compared."""
    ways: dict[str, Step] = {}
    comparisons = []
    plain = case.in_default_layout()
    for balance in balances:
        of = f"{name}, {balance}"
        training, ways[f"{of}, ours"] = case.ours(balance)
        ways[f"{of}, by hand"] = step_by_hand(case, case.model(training.model), aggregator_of(balance))
        comparisons.append(Comparison(f"{of}, ours", f"{of}, by hand", target))
        if libmtl is not None:
            training, ways[f"{of}, ours, default layout"] = plain.ours(balance)
            ways[f"{of}, LibMTL"] = step_of_libmtl(plain, plain.model(training.model), libmtl, balance)
            bound = None if target is None else LIBMTL
            comparisons.append(Comparison(f"{of}, ours, default layout", f"{of}, LibMTL", bound))
    return ways, comparisons


def make_costs(case: Case) -> dict[str, Step]:
    """Our step under every balance."""
    return {rule.name: case.ours(rule.name)[1] for rule in BALANCES.rules}


def require_equal(case: Case, balance: str, tolerance: float = 1e-4) -> None:
    """Make one step of ours and one by hand; AssertionError where losses or gradients differ."""
    training, ours = case.ours(balance)
    model = case.model(training.model)
    by_hand = step_by_hand(case, model, aggregator_of(balance))
    found = []
    for step in (ours, by_hand):
        torch.manual_seed(0)  # pcgrad takes the tasks in an order that is drawn
        found.append(step())
    for task, loss in found[0].items():
        torch.testing.assert_close(loss.detach(), found[1][task].detach(), rtol=0, atol=1e-5)
    for layer, place in model.places.items():
        for name, component in training.model.get_submodule(layer).named_children():
            target = model.get_submodule(place.format(name))
            for one, other in zip(component.parameters(), target.parameters(), strict=True):
                assert one.grad is not None
                assert other.grad is not None
                torch.testing.assert_close(one.grad, other.grad, rtol=tolerance, atol=tolerance)


def peak(way: str, steps: int = 3) -> float:
    """By how many gradients of the network a process of its own grows while it makes some steps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (way, steps))


def _peak(way: str, steps: int) -> float:
    torch.set_num_threads(1)
    grown(image_case(4, 16, 2), way, 1)  # torch loads and keeps something at its first step
    return grown(image_case(64, 32, 2), way, steps)


def grown(case: Case, way: str, steps: int) -> float:
    """By how many gradients of the network this process grows beyond what it ever had, while it makes some steps."""
    balance, _, kind = way.partition(", ")
    training, step = case.ours(balance)
    if kind == "by hand":
        step = step_by_hand(case, case.model(training.model), aggregator_of(balance))
    gradient = sum(parameter.numel() for parameter in training.model.parameters()) * 4 / 1024
    del training
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(steps):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / gradient


def report(times: Mapping[str, Sequence[float]], comparisons: Sequence[Comparison]) -> int:
    """Print the table of comparisons; 1 where a target is missed, else 0."""
    print(f"{'training step':<24} {'against':<8} {'ours ms':>8} {'other ms':>9} {'ratio':>6} {'quartiles':>12}  target")
    missed = 0
    for each in comparisons:
        ours, other = times[each.ours], times[each.other]
        ratios = [a / b for a, b in zip(ours, other, strict=True)]
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        late = each.target is not None and ratio > each.target
        missed += late
        of, against = each.other.rsplit(", ", 1)
        print(
            f"{of:<24} {against:<8} {1e3 * statistics.median(ours):8.1f} {1e3 * statistics.median(other):9.1f} "
            f"{ratio:6.3f}  {low:.3f}-{high:.3f} {each.target or '':>7}{'  missed' if late else ''}"
        )
    return 1 if missed else 0


def report_costs(times: Mapping[str, Sequence[float]]) -> None:
    """Print what a step under each balance takes, relative to `equal`."""
    print(f"\n{'balance':<16} {'ms':>7} {'of equal':>9} {'quartiles':>12}")
    for balance, found in times.items():
        ratios = [a / b for a, b in zip(found, times["equal"], strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        ratio = f"{statistics.median(ratios):9.2f}  {low:.2f}-{high:.2f}"
        print(f"{balance:<16} {1e3 * statistics.median(found):7.1f} {ratio}")


def report_memory(peaks: Mapping[str, float]) -> int:
    """Print the peaks; 1 where ours is above that by hand, else 0."""
    print()
    missed = 0
    for way, found in peaks.items():
        late = way.endswith("ours") and found > peaks.get(way.replace("ours", "by hand"), found)
        missed += late
        print(f"{way:<16} {found:5.1f} gradients above the start{'  missed' if late else ''}")
    return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time and memory of a training step under each balance.")
    parser.add_argument("--rounds", type=int, default=21, help="how often every way has its turn (default: 21)")
    parser.add_argument("--libmtl", type=Path, help="a checkout of LibMTL to compare with")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ways = ["equal, ours", *(f"{balance}, {kind}" for balance in ("pcgrad", "mgda") for kind in ("ours", "by hand"))]
    # first, as a process begins with the peak of the one that starts it
    peaks = {way: statistics.median(peak(way) for _ in range(3)) for way in ways}
    missed = 0
    every, comparisons = {}, []
    for name, case, target in (("images", image_case(), BY_HAND), ("rows", row_case(), None)):
        for balance in COMPARED:
            require_equal(case, balance)
        steps, compared = make_ways(name, case, target, options.libmtl)
        measure(steps, 1, 1, 1)  # first steps pay for the optimizer's state and for memory
        every |= measure(steps, options.rounds, 1)
        comparisons += compared
    missed += report(every, comparisons)
    costs = make_costs(image_case())
    measure(costs, 1, 1, 1)
    report_costs(measure(costs, options.rounds, 1))
    missed += report_memory(peaks)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
