"""Time of training with sampled allocations, and of inference with what was allocated, against PyTorch written by hand.

    python benchmarks/allocation.py [--rounds N]

The network is that of specs/omniglot_small.mtl: 20 tasks, four layers of six alternatives, pictures of 28x28, a batch
of 32 of one task in a step. One thread, the process's own CPU time, all ways in turn with the batch of every task,
in an order that is drawn; the median of the rounds' ratios, of which each has all tasks.

- A training step: the generated model in the loop of a generated train.py, against an equal model and step written by
  hand with care (channels_last, a tensor of all logits of a task, fused Adam with two groups); at most 1.05 of its
  time. From the same weights, with the same noise, losses of both are equal to 1e-5.
- Inference where tasks use about half of the alternatives: the generated model, against modules and means by hand; at
  most 1.02 of its time. Outputs of both are equal to 1e-5.
- Alternatives that are alike, all at once with their weights side by side against each by itself, forward and
  backward: less time where a training step computes them so. Of the others, the table says `each`.

Prints tables and exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs
import torch
import torch.nn.functional as F
from networks import ByHand, load_weights
from torch import Tensor, nn

import mtsldsl
from mtsldsl.editing import rewritten
from mtsldsl.ir import Spec
from mtsldsl.methods.allocation.learner import Allocation, Settings
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.step import Position, keyed_generator
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, model_class
from mtsldsl.runtime.network.side_by_side import SideBySide
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.run.epoch import EpochLosses
from mtsldsl.sharing import Cover

Batches: TypeAlias = Mapping[str, Mapping[str, Tensor]]
"""For each task its pictures, under `image`, and their classes, under its name."""

Uses: TypeAlias = Mapping[str, Sequence[Sequence[str]]]
"""For each task the alternatives that it uses of each layer."""

Way: TypeAlias = Callable[[str], Tensor]
"""Computes once with the batch of a task: its loss, or its output."""

Noise: TypeAlias = Callable[[int, str], Tensor]
"""Uniform numbers (layers, alternatives, 2) of a step for its task."""

CPU = torch.device("cpu")
SPEC = Path(__file__).parents[1] / "specs" / "omniglot_small.mtl"
LAYERS = ("mix1", "mix2", "mix3", "mix4")
ALTERNATIVES = ("conv3", "conv5", "cross", "maximum", "average", "skip")
RATE, DECAY, RATE_OF_LOGITS = 3e-3, 1e-4, 4e-2
HOTTEST, COLDEST = 10.0, 0.5

EPOCHS = ExitStack()
"""Keeps open what a session opens for an epoch, for as many steps as are made."""


def unit(filters: int, kernel: int | tuple[int, int], stride: int = 1) -> nn.Sequential:
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return nn.Sequential(
        nn.Conv2d(filters, filters, kernel, stride, padding=(height // 2, width // 2)),
        nn.GroupNorm(4, filters),
        nn.ReLU(inplace=True),
    )


class EverySecond(nn.Module):
    """A convolution of one pixel, with stride 2."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(filters, filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, filters, h, w) -> (n, filters, h / 2, w / 2)."""
        found: Tensor = self.conv(x[:, :, ::2, ::2])  # with the stride in it oneDNN corrupts memory on AVX2
        return found


def menu(filters: int, stride: int) -> nn.ModuleDict:
    """The alternatives of a layer."""
    return nn.ModuleDict(
        {
            "conv3": unit(filters, 3, stride),
            "conv5": unit(filters, 5, stride),
            "cross": nn.Sequential(*unit(filters, (1, 5), stride), *unit(filters, (5, 1))),
            "maximum": nn.MaxPool2d(3, stride, padding=1),
            "average": nn.AvgPool2d(3, stride, padding=1),
            "skip": EverySecond(filters) if stride > 1 else nn.Identity(),
        }
    )


class Network(ByHand):
    """What both networks by hand have: stem, layers and normalisations for all tasks, a head for each."""

    places: ClassVar = {
        "stem": "stem",
        **{layer: f"{layer}.{{}}" for layer in LAYERS},
        **{f"norm{number}": f"norm{number}" for number in (1, 2, 3, 4)},
        "heads": "heads.{}",
    }

    def __init__(self, classes: Mapping[str, int], filters: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, filters, 3, stride=2, padding=1), nn.GroupNorm(4, filters), nn.ReLU(inplace=True)
        )
        self.mix1, self.mix2, self.mix3, self.mix4 = (menu(filters, stride) for stride in (2, 1, 2, 1))
        self.norm1, self.norm2, self.norm3, self.norm4 = (
            nn.Sequential(nn.GroupNorm(4, filters), nn.ReLU(inplace=True)) for _ in LAYERS
        )
        self.heads = nn.ModuleDict({task: nn.Linear(16 * filters, count) for task, count in classes.items()})
        self.layers = [(getattr(self, layer), getattr(self, f"norm{layer[-1]}")) for layer in LAYERS]


class Shares(nn.Module):
    """How much of every alternative a task takes, by a sample: straight-through (Jang et al., 2017)."""

    def __init__(self, tasks: Iterable[str], on: float) -> None:
        super().__init__()
        start = torch.tensor([math.log(on), math.log1p(-on)]).repeat(len(LAYERS), len(ALTERNATIVES), 1)
        self.logits = nn.ParameterDict({task: nn.Parameter(start.clone()) for task in tasks})

    def forward(self, task: str, uniform: Tensor, temperature: float) -> Tensor:
        """(layers, alternatives, 2) -> (layers, alternatives)."""
        noisy = self.logits[task] - (-(uniform + 1e-20).log() + 1e-20).log()
        soft = (noisy / temperature).softmax(-1)[..., 0]
        gates = (noisy[..., 0] >= noisy[..., 1]).to(soft) + (soft - soft.detach())
        return gates / gates.sum(-1, keepdim=True).clamp(min=1)


class Sampled(Network):
    """Tasks have shares of all alternatives."""

    def forward(self, task: str, image: Tensor, shares: Tensor) -> Tensor:
        """(n, 1, 28, 28) and (layers, alternatives) -> (n, classes)."""
        x = self.stem(image)
        for (layer, norm), weights in zip(self.layers, shares.unbind(), strict=True):
            (module, weight), *others = zip(layer.values(), weights.unbind(), strict=True)
            total = weight * module(x)
            for module, weight in others:
                total = total + weight * module(x)
            x = norm(total)
        found: Tensor = self.heads[task](F.dropout(x.flatten(1), 0.5, self.training))
        return found


class Pruned(Network):
    """Tasks use what they came to use, and nothing else is there."""

    def __init__(self, classes: Mapping[str, int], filters: int, uses: Uses) -> None:
        super().__init__(classes, filters)
        self.uses = uses
        for place, (layer, _) in enumerate(self.layers):
            for name in set(ALTERNATIVES).difference(*(used[place] for used in uses.values())):
                del layer[name]

    def forward(self, task: str, image: Tensor) -> Tensor:
        """(n, 1, 28, 28) -> (n, classes)."""
        x = self.stem(image)
        for (layer, norm), (name, *names) in zip(self.layers, self.uses[task], strict=True):
            total = layer[name](x)
            for other in names:
                total = total + layer[other](x)
            x = norm(total / (1 + len(names)) if names else total)
        found: Tensor = self.heads[task](x.flatten(1))
        return found


def settings(spec: Spec) -> Settings:
    """Those of the spec's allocation."""
    assert spec.structure is not None
    found = spec.structure.settings
    assert isinstance(found, Settings)
    assert found.lr == RATE_OF_LOGITS
    return found


def make_batches(classes: Mapping[str, int], images: int) -> dict[str, dict[str, Tensor]]:
    """Random pictures and classes of every task."""
    torch.manual_seed(0)
    return {
        task: {
            "image": torch.rand(images, 1, 28, 28).contiguous(memory_format=torch.channels_last),
            task: torch.randint(count, (images,)),
        }
        for task, count in classes.items()
    }


def keyed_noise(seed: int, step: int, task: str) -> Tensor:
    """The noise that ours has in a step."""
    position = Position(step=step, seed=seed)
    shape = (len(ALTERNATIVES), 2)
    return torch.stack([torch.rand(shape, generator=keyed_generator(position, layer, task)) for layer in LAYERS])


def steps_of_ours(spec: Spec, batches: Batches) -> tuple[Training, Way]:
    """What the loop of a generated train.py does, line by line."""

    def make_optimizer(parameters: NamedParameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=RATE, weight_decay=DECAY, fused=True)

    learner = Allocation(settings(spec))
    training = Training.start(spec, model_class(spec), learner, make_optimizer, lambda _: None, CPU)
    training.model.train()
    EPOCHS.enter_context(training.guarded())
    epoch = EpochLosses(QuietDisplay(), spec.penalty_name)

    def step(served: str) -> Tensor:
        batch = batches[served]
        found: dict[str, Tensor] = {}
        for tasks in training.sets((served,)):
            with autocast(training.spec.train.precision, CPU):
                outputs = training.forward(batch[spec.data.input], tasks)
            losses = training.losses(outputs, batch)
            penalty = training.penalty(batch, outputs, losses)
            training.require_finite(losses, penalty)
            training.zero_grad(tasks)
            training.backward(losses, penalty)
            epoch.add(losses, penalty)
            found |= losses.values
        training.optimizer.step()
        epoch.end_step()
        return found[served]

    return training, step


def steps_by_hand(model: Sampled, shares: Shares, batches: Batches, noise: Noise) -> Way:
    """The steps that an engineer writes, who wants to see the mean losses of the epoch."""
    model.train()
    groups = [
        {"params": list(model.parameters()), "lr": RATE, "weight_decay": DECAY},
        {"params": list(shares.parameters()), "lr": RATE_OF_LOGITS},
    ]
    optimizer = torch.optim.Adam(groups, fused=True)
    sums = dict.fromkeys(batches, torch.zeros(()))
    made = 0

    def step(task: str) -> Tensor:
        nonlocal made
        batch = batches[task]
        temperature = max(COLDEST, HOTTEST / math.sqrt(made + 1))
        output = model(task, batch["image"], shares(task, noise(made, task), temperature))
        loss = F.cross_entropy(output, batch[task])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        sums[task] = sums[task] + loss.detach()
        made += 1
        return loss

    return step


def half(tasks: Iterable[str]) -> Uses:
    """About half of the alternatives for each task, at least one of every layer."""
    chance = random.Random(0)

    def some() -> Sequence[str]:
        return [name for name in ALTERNATIVES if chance.random() < 0.5] or [chance.choice(ALTERNATIVES)]

    return {task: [some() for _ in LAYERS] for task in tasks}


def pruned(spec: Spec, uses: Uses) -> Spec:
    """The spec with these uses written down."""
    rows = {
        layer: Cover.of_pairs(((task, name) for task, used in uses.items() for name in used[place]), ALTERNATIVES)
        for place, layer in enumerate(LAYERS)
    }
    return rewritten(spec, spec.sharing.given({**spec.sharing.components, **rows}))


def inference(outputs_of: Callable[[str, Tensor], Tensor], batches: Batches) -> Way:
    """The output of a task."""

    @torch.no_grad()
    def infer(task: str) -> Tensor:
        return outputs_of(task, batches[task]["image"])

    return infer


def in_channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack the keyword


@attrs.frozen
class Ways:
    """Ways to train and to infer, by name; those that are compared from the same weights and on the same batches."""

    tasks: Sequence[str]
    by_name: Mapping[str, Way]


def make_ways(filters: int = 16, images: int = 32, *, same_noise: bool = False) -> Ways:
    """The ways; with the `same_noise` those by hand draw it as ours do, and not from one generator."""
    spec = mtsldsl.load(SPEC, overrides={"filters": filters, "data.batch": images})
    classes = {task.name: task.head.shape[0] for task in spec.tasks}
    batches = make_batches(classes, images)
    training, ours = steps_of_ours(spec, batches)
    sampled = Sampled(classes, filters)
    load_weights(sampled, training.model)
    in_channels_last(sampled)
    generator = torch.Generator().manual_seed(0)

    def noise(step: int, task: str) -> Tensor:
        if same_noise:
            return keyed_noise(spec.train.seed, step, task)
        return torch.rand(len(LAYERS), len(ALTERNATIVES), 2, generator=generator)

    uses = half(classes)
    small = in_channels_last(build_model(pruned(spec, uses)).eval())
    by_hand = Pruned(classes, filters, uses).eval()
    load_weights(by_hand, small)
    in_channels_last(by_hand)
    return Ways(
        tuple(classes),
        {
            "train, ours": ours,
            "train, by hand": steps_by_hand(sampled, Shares(classes, settings(spec).on), batches, noise),
            "infer, ours": inference(lambda task, image: small(image, (task,))[task], batches),
            "infer, by hand": inference(by_hand, batches),
        },
    )


@attrs.frozen
class Comparison:
    """Two ways, and at most what part of the other's time ours may take."""

    name: str
    ours: str
    other: str
    target: float


COMPARISONS = (
    Comparison("training step", "train, ours", "train, by hand", 1.05),
    Comparison("inference, half of the uses", "infer, ours", "infer, by hand", 1.02),
)


def require_equal(ways: Ways, tolerance: float = 1e-5) -> None:
    """Compute once for every task; AssertionError where two ways that are compared had other losses or outputs."""
    for task in ways.tasks:
        found = {}
        for name, way in ways.by_name.items():
            torch.manual_seed(0)  # of dropout
            found[name] = way(task).detach()
        for each in COMPARISONS:
            torch.testing.assert_close(found[each.ours], found[each.other], rtol=0, atol=tolerance)


def measure(ways: Ways, rounds: int) -> dict[str, list[float]]:
    """The CPU time in seconds for a task, of every way, the mean of every round; the order is drawn anew for each."""
    times: dict[str, list[float]] = {name: [] for name in ways.by_name}
    order, chance = list(ways.by_name), random.Random(0)
    for _ in range(rounds):
        sums = dict.fromkeys(order, 0.0)
        for task in ways.tasks:
            chance.shuffle(order)
            for name in order:
                start = time.process_time()
                ways.by_name[name](task)
                sums[name] += time.process_time() - start
        for name, total in sums.items():
            times[name].append(total / len(ways.tasks))
    return times


class Unit(nn.Module):
    """One of some alternatives that are alike."""

    def __init__(self, inputs: int, filters: int, kernel: int, groups: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, filters, kernel, padding=kernel // 2)
        self.norm = nn.GroupNorm(groups, filters) if groups else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, filters, h, w)."""
        y = self.conv(x)
        return F.relu(y if self.norm is None else self.norm(y), inplace=True)


@attrs.frozen
class Alike:
    """A number of units that read the same images, (n, inputs, size, size)."""

    units: int
    filters: int
    kernel: int
    size: int
    images: int
    inputs: int = 0
    """0 for as many as there are filters."""
    groups: int = 0

    def __str__(self) -> str:
        norm = f", {self.groups} groups" if self.groups else ""
        name = f"{self.units} of {self.kernel}x{self.kernel}, {self.inputs or self.filters} -> {self.filters}{norm}"
        return f"{name}, {self.size}x{self.size}, batch {self.images}"


ALIKE = (
    Alike(4, 4, 5, 28, 64, inputs=1),
    Alike(4, 4, 3, 12, 64),
    Alike(2, 4, 3, 14, 32),
    Alike(8, 4, 3, 14, 128),
    Alike(8, 8, 3, 8, 32),
    Alike(8, 8, 3, 8, 32, groups=4),
    Alike(8, 8, 5, 8, 32, groups=4),
    Alike(8, 8, 3, 28, 32),
    Alike(4, 16, 3, 7, 16),
    Alike(4, 16, 3, 14, 32),
    Alike(4, 48, 3, 7, 16),
    Alike(4, 48, 3, 14, 16),
)


def make_passes(alike: Alike) -> tuple[dict[str, Callable[[], Sequence[Tensor]]], bool]:
    """Both ways to make a forward and a backward pass through units, whose sum a layer gives, each times a share:
    gradients. And whether ours would compute them at once."""
    torch.manual_seed(0)
    inputs = alike.inputs or alike.filters
    units = nn.ModuleList(Unit(inputs, alike.filters, alike.kernel, alike.groups) for _ in range(alike.units))
    in_channels_last(units)
    together = SideBySide.of(list(units), (alike.filters, alike.size, alike.size))
    assert together is not None
    image = torch.rand(alike.images, inputs, alike.size, alike.size).contiguous(memory_format=torch.channels_last)
    shares = nn.Parameter(torch.full((alike.units,), 1 / alike.units))
    image.requires_grad_(not alike.inputs)  # another layer is below
    given = [shares, *units.parameters(), *([image] if image.requires_grad else [])]

    def gradients(made: Sequence[Tensor]) -> Sequence[Tensor]:
        first, *rest = [share * each for share, each in zip(shares.unbind(), made, strict=True)]
        return torch.autograd.grad(sum(rest, start=first).square().mean(), given)

    passes = {
        "at once": lambda: gradients(together(image)),
        "apart": lambda: gradients([unit(image) for unit in units]),
    }
    return passes, together.pays(alike.images)


def require_equal_gradients(passes: Mapping[str, Callable[[], Sequence[Tensor]]]) -> None:
    """AssertionError where the gradients of the two ways are not the same."""
    for one, other in zip(passes["at once"](), passes["apart"](), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def ratios_of(passes: Mapping[str, Callable[[], object]], rounds: int) -> list[float]:
    """The time at once over that apart, of every round."""
    found = []
    order = list(passes)
    for _ in range(rounds):
        order.reverse()
        times = {}
        for name in order:
            start = time.process_time()
            passes[name]()
            times[name] = time.process_time() - start
        found.append(times["at once"] / times["apart"])
    return found


def quartiles(ratios: Sequence[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else list(ratios) * 3
    return f"{low:.3f}-{high:.3f}"


def report(times: Mapping[str, Sequence[float]]) -> int:
    """Print the table; 1 where a target is missed, else 0."""
    print(f"{'a batch of one task':<50} {'ours ms':>8} {'other ms':>9} {'ratio':>6} {'quartiles':>12} {'target':>7}")
    missed = 0
    for comparison in COMPARISONS:
        ours, other = times[comparison.ours], times[comparison.other]
        ratios = [a / b for a, b in zip(ours, other, strict=True)]
        ratio = statistics.median(ratios)
        late = ratio > comparison.target
        missed += late
        print(
            f"{comparison.name:<50} {1e3 * statistics.median(ours):8.1f} {1e3 * statistics.median(other):9.1f} "
            f"{ratio:6.3f}  {quartiles(ratios)} {comparison.target:7.2f}{'  missed' if late else ''}"
        )
    return 1 if missed else 0


def report_alike(rounds: int) -> int:
    """Measure alike alternatives, and print the table; 1 where some are computed at once and no faster, else 0."""
    print(f"\n{'alike alternatives, at once / each by itself':<50} {'ratio':>6} {'quartiles':>12} {'target':>7}")
    missed = 0
    for alike in ALIKE:
        passes, pays = make_passes(alike)
        require_equal_gradients(passes)
        ratios = ratios_of(passes, rounds)
        ratio = statistics.median(ratios)
        late = pays and ratio > 1
        missed += late
        target = f"{1:7.2f}" if pays else "   each"
        print(f"{alike!s:<50} {ratio:6.3f}  {quartiles(ratios)} {target}{'  missed' if late else ''}")
    return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of sampled allocations and of pruned networks, against others.")
    parser.add_argument("--rounds", type=int, default=13, help="how often all tasks have their turn (default: 13)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    require_equal(make_ways(same_noise=True))
    ways = make_ways()
    measure(ways, 1)  # first steps pay for the optimizer's state and for memory
    status = report(measure(ways, options.rounds))
    return max(status, report_alike(3 * options.rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
