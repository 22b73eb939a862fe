"""A structural phase as the authors of the method make it, for benchmarks/phase.py.

Gurulingan, Arani, Zonooz: Multi-Task Structural Learning using Local Task Similarity induced Neuron Creation and
Removal, ICML 2023, arXiv 2305.00441, and their published code. Written anew, to do on the same batches what ours does.
As in their code, because that is what costs:

- Features: whole networks, decoders and heads included, run over the images with a gradient asked for the image and the
  graph kept, as nothing there is under `no_grad`; outputs of the compared stage are taken by hooks. In evaluation
  mode, in which an evaluation leaves the network.
- Similarity: for every ordered pair of tasks both Gram matrices are made, tested for symmetry and centred, with
  sums in float64.
- Grouping: all sets of at most k groups are gone through, for k from 1 on.
- Amalgamation: batches of whole samples, targets included; gradients flow through the shared trunk and the teachers,
  which the optimizer does not hold; the losses are read for a log at every step; Adam with no options of speed.
- Everything in PyTorch's default layout.

In their favour: samples are decoded beforehand, the images of features come without targets, survivors keep their
optimizer state by name and not by a search over all tensors, nothing is written, and overlapping groups, which their
search lets through, are not looked at. Other than in their code, so that both compute the same: gates start open, new
components start from the mean of their members (an option of theirs), the network is evaluated after the phase too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar, TypeAlias

import attrs
import torch
import torch.nn.functional as F
from epoch import MetricsByHand, batches_by_hand
from networks import Basic, ByHand, Up, losses_by_hand, make_stem
from torch import Tensor, nn

from mtsldsl.runtime.data import Samples, Splits

TASKS = {"segment": 5, "depth": 1, "normal": 3, "edge": 1}
"""The channels of every task's output."""

BATCH = 16
THRESHOLD = 0.9
LEARNING_RATE = 2e-3

Groups: TypeAlias = tuple[tuple[int, ...], ...]
Order: TypeAlias = tuple[Tensor, Tensor]
"""The order of the samples, and which are mirrored."""


@attrs.frozen
class Outcome:
    """What a phase found: similarities by pair, the groups, the means of the losses of amalgamation, metrics before and
    after, and the weights of the new copies of enc2 by their names."""

    similarity: Tensor
    groups: set[frozenset[str]]
    losses: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]
    merged: Mapping[str, Sequence[Tensor]]


class Branched(ByHand):
    """One trunk; enc2 for each group of tasks, the rest of the network for each task."""

    places: ClassVar = {"stem": "stem", "enc1": "enc1"} | {
        layer: f"{layer}.{{}}" for layer in ("enc2", "enc3", "dec2", "dec1", "heads")
    }

    def __init__(self, groups: Sequence[Sequence[str]], width: int = 12) -> None:
        super().__init__()
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = nn.ModuleDict({name_of(group): Basic(width, 2 * width, stride=2) for group in groups})
        self.enc3 = nn.ModuleDict({task: Basic(2 * width, 4 * width, stride=2) for task in TASKS})
        self.dec2 = nn.ModuleDict({task: Up(6 * width, 2 * width) for task in TASKS})
        self.dec1 = nn.ModuleDict({task: Up(3 * width, width) for task in TASKS})
        self.heads = nn.ModuleDict({task: nn.Conv2d(width, channels, 1) for task, channels in TASKS.items()})

    def trunk(self, image: Tensor) -> Tensor:
        """What every copy of enc2 reads."""
        found: Tensor = self.enc1(self.stem(image))
        return found

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the outputs of the tasks."""
        enc1, outputs = self.trunk(image), {}
        for name, layer in self.enc2.items():
            enc2 = layer(enc1)
            for task in name.split("+"):
                x = self.dec1[task](self.dec2[task](self.enc3[task](enc2), enc2), enc1)
                outputs[task] = F.interpolate(
                    self.heads[task](x), size=image.shape[-2:], mode="bilinear", align_corners=False
                )
        return outputs


def name_of(tasks: Sequence[str]) -> str:
    """Of the copy that these tasks share."""
    return "+".join(sorted(tasks))


def evaluate_by_hand(model: nn.Module, samples: Samples) -> dict[str, float]:
    """Metrics over a set, and the losses read at every batch."""
    model.eval()
    metrics, losses = MetricsByHand(), dict.fromkeys(TASKS, 0.0)
    with torch.no_grad():
        for batch in batches_by_hand(samples, torch.arange(len(samples)), None, BATCH, torch.contiguous_format):
            outputs = model(batch["image"])
            for task, loss in losses_by_hand(outputs, batch).items():
                losses[task] += loss.item()
            metrics.update(outputs, batch)
    return metrics.compute()


def features_by_hand(model: Branched, samples: Samples) -> list[Tensor]:
    """The output of every task's enc2, averaged over space: (n, channels) each."""
    found: dict[str, Tensor] = {}
    kept: dict[str, list[Tensor]] = {task: [] for task in TASKS}

    def keeper(task: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(_: nn.Module, __: Any, output: Tensor) -> None:
            found[task] = output.detach()

        return keep

    handles = [layer.register_forward_hook(keeper(task)) for task, layer in model.enc2.items()]
    images = Samples({"image": samples.fields["image"]}, samples.layout)
    for first in range(0, len(samples), BATCH):
        image = images.fields["image"][first : first + BATCH].float().div_(255).requires_grad_()
        model(image)
        for task, output in found.items():
            kept[task].append(output.mean((2, 3)))
    for handle in handles:
        handle.remove()
    return [torch.cat(kept[task]) for task in TASKS]


def centred(gram: Tensor) -> Tensor:
    """A Gram matrix (n, n) centred for the unbiased estimate."""
    if not torch.allclose(gram, gram.T, equal_nan=True):
        raise ValueError("a Gram matrix is symmetric")
    n = len(gram)
    gram = gram.clone().fill_diagonal_(0)
    means = gram.sum(0, dtype=torch.float64) / (n - 2)
    means -= means.sum() / (2 * (n - 1))
    gram -= means[:, None]
    gram -= means[None, :]
    return gram.fill_diagonal_(0)


def similarity_by_hand(features: Sequence[Tensor]) -> Tensor:
    """CKA of every two tasks, pair by pair."""
    found = torch.zeros(len(features), len(features))
    for i, x in enumerate(features):
        for j, y in enumerate(features):
            k, m = centred(x @ x.T), centred(y @ y.T)
            found[i, j] = k.flatten().dot(m.flatten()) / (k.norm() * m.norm())
    return found


def grouping_by_hand(similarity: Tensor, threshold: float) -> Groups:
    """The groups of the fewest splits whose value reaches the threshold; those that are not similar enough left out."""
    matrix, tasks = similarity.tolist(), range(len(similarity))
    scores: dict[tuple[int, ...], float] = {(task,): 0.0 for task in tasks}
    for size in range(2, len(matrix) + 1):
        for group in combinations(tasks, size):
            scores[group] = sum(matrix[i][j] for i in group for j in group if i != j) / (size * (size - 1))
    best: Groups = ()
    for splits in range(1, len(matrix)):
        value = float("-inf")
        for count in range(1, splits + 1):
            for chosen in combinations(scores, count):
                covered = [task for group in chosen for task in group]
                if len(covered) == len(set(covered)) == len(matrix):
                    mean = sum(len(group) * scores[group] for group in chosen) / len(matrix)
                    if mean > value:
                        best, value = chosen, mean
        if value >= threshold:
            break
    return tuple(group for group in best if len(group) > 1 and scores[group] > threshold)


def reestimate_by_hand(model: nn.Module, data: Samples, drawn: Order) -> None:
    """Mean and variance of the input of every batch normalisation over the samples, batches normalised by their own."""
    moments: dict[nn.BatchNorm2d, list[Tensor]] = {}

    def add(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        found = torch.stack([inputs[0].mean((0, 2, 3)), inputs[0].square().mean((0, 2, 3))])
        moments.setdefault(norm, []).append(found)

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(add) for norm in norms]
    model.train()
    with torch.no_grad():
        for batch in batches_by_hand(data, *drawn, BATCH, torch.contiguous_format):
            model(batch["image"])
        for norm, found in moments.items():
            mean, square = torch.stack(found).mean(0)
            norm.running_mean, norm.running_var = mean, square - mean.square()
    for handle in handles:
        handle.remove()


def gates_by_hand(channels: int) -> nn.Sequential:
    """The channel gate of a member."""
    last = nn.Linear(channels, channels)
    nn.init.constant_(last.bias, 4.0)
    return nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), last, nn.Sigmoid())


def amalgamate_by_hand(model: Branched, evolved: Branched, data: Samples, drawn: Order) -> dict[str, float]:
    """Train the merged copies on what their members make of the samples; the mean losses."""
    merged = {name: layer for name, layer in evolved.enc2.items() if "+" in name}
    torch.manual_seed(0)
    gates = {name: nn.ModuleList(gates_by_hand(24) for _ in name.split("+")) for name in merged}
    parameters = [value for name in merged for part in (merged[name], gates[name]) for value in part.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    log: dict[str, list[float]] = {name: [] for name in merged}
    evolved.train()
    for batch in batches_by_hand(data, *drawn, BATCH, torch.contiguous_format):
        enc1 = model.trunk(batch["image"])
        losses = {}
        for name, layer in merged.items():
            wanted = [model.enc2[task](enc1) for task in name.split("+")]
            output = layer(enc1)
            summary = output.mean((2, 3))
            factors = [gate(summary)[:, :, None, None] for gate in gates[name]]
            pairs = zip(wanted, factors, strict=True)
            losses[name] = torch.stack([F.mse_loss(target, factor * output) for target, factor in pairs]).sum()
            log[name].append(losses[name].item())
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
    return {name: statistics.fmean(values) for name, values in log.items()}


def evolved_by_hand(model: Branched, groups: Sequence[Sequence[str]]) -> tuple[Branched, dict[str, list[str]]]:
    """The network of these groups, its new copies the mean of their members; and for each of its parameters the names
    of those that it comes from."""
    merged = {task for group in groups for task in group}
    evolved = Branched([*groups, *([task] for task in TASKS if task not in merged)])
    before = model.state_dict()
    members = {}
    for name, value in evolved.state_dict().items():
        layer, tasks, *rest = name.split(".")
        names = [".".join((layer, task, *rest)) for task in tasks.split("+")] if layer == "enc2" else [name]
        members[name] = names
        values = torch.stack([before[each] for each in names])
        mean = values.mean(0) if values.is_floating_point() else values.amax(0)
        if name.endswith("running_var"):  # of the members' samples together, as ours
            means = torch.stack([before[each.replace("running_var", "running_mean")] for each in names])
            mean = mean + means.var(0, correction=0)
        value.copy_(mean)
    return evolved, members


def carried_by_hand(
    optimizer: torch.optim.Optimizer, model: Branched, evolved: Branched, members: Mapping[str, Sequence[str]]
) -> torch.optim.Optimizer:
    """A new optimizer whose state is that of the old one, of new parameters the mean of their members'."""
    before = dict(model.named_parameters())
    carried = torch.optim.Adam(evolved.parameters(), lr=LEARNING_RATE)
    for name, parameter in evolved.named_parameters():
        states = [optimizer.state[before[each]] for each in members[name]]
        carried.state[parameter] = {
            key: torch.stack([state[key] for state in states]).mean(0) for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return carried


def phase_by_hand(
    model: Branched, optimizer: torch.optim.Optimizer, data: Splits, drawn: Sequence[Order], *, anew: bool
) -> Outcome:
    """The authors' way; with `anew` the statistics of both networks are estimated anew, before either is evaluated.
    `drawn` are the orders of that and of amalgamation."""
    tasks = list(TASKS)
    model.eval()
    similarity = similarity_by_hand(features_by_hand(model, data.train))
    groups = [[tasks[index] for index in group] for group in grouping_by_hand(similarity, THRESHOLD)]
    evolved, members = evolved_by_hand(model, groups)
    carried_by_hand(optimizer, model, evolved, members)
    losses = amalgamate_by_hand(model, evolved, data.train, drawn[1])
    if anew:
        reestimate_by_hand(model, data.train, drawn[0])
        reestimate_by_hand(evolved, data.train, drawn[0])
    before = evaluate_by_hand(model, data.validation)
    after = evaluate_by_hand(evolved, data.validation)
    merged = {
        name: [value.detach() for value in layer.parameters()] for name, layer in evolved.enc2.items() if "+" in name
    }
    return Outcome(similarity, set(map(frozenset, groups)), losses, before, after, merged)
