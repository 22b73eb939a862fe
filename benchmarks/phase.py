"""Time of a whole structural phase: ours against the way of the method's authors, over the same samples.

    python benchmarks/phase.py [--rounds N]

Four tasks on rendered scenes, the network of specs/scenes.mtl at 64x64 with stem and enc1 shared, after two epochs of
training on 185 images; the phase decides at enc2. Ours is `structural_phase` in a run with its folder: the network
evaluated, similarities, grouping, the text rewritten, read again and compiled, the network built, amalgamation, the
statistics of batch normalisations of both networks estimated anew, the optimizer carried over, the evolved network
evaluated, events, text and code written.

The authors' way (Gurulingan, Arani, Zonooz, ICML 2023, arXiv 2305.00441, their published code) is written here anew, to
do the same on the same batches. As in their code, because that is what costs:

- Features: whole networks, decoders and heads included, run over the images with a gradient asked for the image and the
  graph kept, as nothing there is under `no_grad`; outputs of the compared stage are taken by hooks. In evaluation
  mode, in which an evaluation leaves the network.
- Similarity: for every ordered pair of tasks both Gram matrices are made, tested for symmetry and centred, with
  sums in float64.
- Grouping: all sets of at most k groups are gone through, for k from 1 on.
- Amalgamation: batches of whole samples, targets included; gradients flow through the shared trunk and the teachers,
  which the optimizer does not hold; the losses are read for a log at every step; Adam with no options of speed.
- Everything in PyTorch's default layout.

In their favour: each sample is decoded and each pass over the network is made only once, survivors keep their optimizer
state by name and not by a search over all tensors, nothing is written, and overlapping groups, which their search lets
through, are not looked at. Not as in their code, so that both compute the same: gates start open, features and new
components are those of ours (mean of the members first, an option of theirs), evaluation also after the phase.
They do not estimate statistics of batch normalisations anew; ours does, and that is in its time.

One thread, the process's own CPU time, the two in turn from the same state, each on its own deep copy; no round of ours
finds code of an earlier one. Before that the two are held to agree: similarities to 1e-4, the groups, the losses of
amalgamation and the merged weights to 1e-3, the evaluation before. Exits with 1 where the median ratio is above 0.40.
"""

from __future__ import annotations

import argparse
import copy
import gc
import linecache
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import attrs
import torch
import torch.nn.functional as F
from epoch import MetricsByHand, batches_by_hand, epoch_of_ours, order_and_flips
from step import Basic, ByHand, Up, load_weights, losses_by_hand, make_stem
from torch import Tensor, nn

import mtsldsl
from mtsldsl.methods.mtsl.learner import Amalgamate, Cka, Mtsl, Settings
from mtsldsl.runtime.data import Samples, Splits
from mtsldsl.runtime.learning.training import NamedParameters, Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.run.events import Phase, Similarity, read_events
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure.phase import structural_phase

GOAL = 0.40

TASKS = {"segment": 5, "depth": 1, "normal": 3, "edge": 1}
"""The channels of every task's output."""

PHASE = 2
"""At the end of that epoch."""

BATCH = 16
THRESHOLD = 0.9
LEARNING_RATE = 2e-3

SHARING = "\nsharing {\n  stem..enc1 = all\n  enc2..dec1 = each\n}\n"

Groups: TypeAlias = tuple[tuple[int, ...], ...]
Order: TypeAlias = tuple[Tensor, Tensor]
"""The order of the samples, and which are mirrored."""

Run: TypeAlias = Callable[[], Callable[[], "Outcome"]]
"""Makes a phase; what it gives tells what was found, which is no part of the phase."""

Prepare: TypeAlias = Callable[[], Run]
"""Makes a copy of the state for a phase."""


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


def gates_by_hand(channels: int) -> nn.Sequential:
    """The channel gate of a member."""
    gate = nn.Sequential(
        nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels), nn.Sigmoid()
    )
    nn.init.constant_(gate[2].bias, 4.0)  # type: ignore[arg-type]
    return gate


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
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
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


def phase_by_hand(model: Branched, optimizer: torch.optim.Optimizer, data: Splits, drawn: Order) -> Outcome:
    """The authors' way."""
    tasks = list(TASKS)
    before = evaluate_by_hand(model, data.validation)
    similarity = similarity_by_hand(features_by_hand(model, data.train))
    groups = [[tasks[index] for index in group] for group in grouping_by_hand(similarity, THRESHOLD)]
    evolved, members = evolved_by_hand(model, groups)
    carried_by_hand(optimizer, model, evolved, members)
    losses = amalgamate_by_hand(model, evolved, data.train, drawn)
    after = evaluate_by_hand(evolved, data.validation)
    merged = {
        name: [value.detach() for value in layer.parameters()] for name, layer in evolved.enc2.items() if "+" in name
    }
    return Outcome(similarity, set(map(frozenset, groups)), losses, before, after, merged)


def phase_of_ours(training: Training, data: Splits, session: Session) -> None:
    """What a generated train.py does at the end of an epoch."""
    assert isinstance(training.learner, Mtsl)
    torch.manual_seed(0)
    structural_phase(training, training.learner, data, session)


def outcome_of_ours(training: Training, session: Session) -> Outcome:
    """What the last phase wrote down."""
    events = list(read_events(session.folder.events))
    similar = next(event for event in reversed(events) if isinstance(event, Similarity))
    phase = next(event for event in reversed(events) if isinstance(event, Phase))
    places = [similar.tasks.index(task) for task in TASKS]
    assert phase.before is not None
    assert phase.after is not None
    before, after = (
        {f"{task}.{name}": value for task, metrics in found["metrics"].items() for name, value in metrics.items()}
        for found in (phase.before, phase.after)
    )
    return Outcome(
        torch.tensor(similar.similarity)[places][:, places],
        {frozenset(merge["tasks"]) for merge in phase.merges},
        {name.removeprefix("enc2."): mean for name, (mean,) in (phase.amalgamation or {}).items()},
        before,
        after,
        {
            name: [value.detach().contiguous() for value in layer.parameters()]
            for name, layer in training.model.get_submodule("enc2").named_children()
            if "+" in name
        },
    )


def require_equal(ours: Outcome, hand: Outcome) -> None:
    """AssertionError where the two found other similarities, groups or losses, or made other components."""
    torch.testing.assert_close(ours.similarity, hand.similarity, rtol=0, atol=1e-4)
    assert ours.groups, "nothing merged"
    assert ours.groups == hand.groups, (ours.groups, hand.groups)
    assert ours.losses.keys() == hand.losses.keys() == ours.merged.keys() == hand.merged.keys()
    for name, loss in ours.losses.items():
        assert abs(loss / hand.losses[name] - 1) < 1e-3, (name, loss, hand.losses[name])
        for one, other in zip(ours.merged[name], hand.merged[name], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def make_session(folder: Path) -> tuple[Session, Splits, Training]:
    """A run of scenes at the end of the epoch of the phase."""
    text = Path(__file__).parents[1] / "specs" / "scenes.mtl"
    spec = mtsldsl.loads(text.read_text() + SHARING, overrides={"data.images": 256})
    session = Session.create(spec, "phase", folder, "cpu", "quiet")
    data = session.load_data()
    learner = Mtsl(
        Settings(
            phases=(PHASE,),
            similarity=Cka(samples=256, kernel="linear", debiased=True),
            threshold=THRESHOLD,
            align=0.2,
            transfer=Amalgamate(epochs=(1,), lr=LEARNING_RATE),
        )
    )

    def make_optimizer(parameters: NamedParameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)

    training = session.start(model_class(spec), learner, make_optimizer, lambda _: None)
    epoch = epoch_of_ours(session, training, data)
    for _ in range(PHASE):
        epoch()
    return session, data, training


def make_by_hand(training: Training) -> tuple[Branched, torch.optim.Optimizer]:
    """The network and the optimizer's state of ours."""
    model = Branched([[task] for task in TASKS])
    load_weights(model, training.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    moments = copy.deepcopy(model)
    for key in ("exp_avg", "exp_avg_sq"):
        state = {name: training.optimizer.state[value][key] for name, value in training.model.named_parameters()}
        shadow = copy.deepcopy(training.model)
        for name, value in shadow.named_parameters():
            value.data = state[name]
        load_weights(moments, shadow)
        for parameter, value in zip(model.parameters(), moments.parameters(), strict=True):
            optimizer.state[parameter] |= {"step": torch.tensor(float(training.steps)), key: value.detach().clone()}
    return model, optimizer


def forget_code(known: set[str]) -> None:
    """Let the code of networks be read anew that was not there before."""
    for name in set(sys.modules) - known:
        if name.startswith("mtsldsl_generated_"):
            linecache.cache.pop(str(sys.modules.pop(name).__file__), None)


def make_phases(folder: Path) -> dict[str, Prepare]:
    """Both ways, from the state of one run in `folder`."""
    session, data, training = make_session(folder)
    model, optimizer = make_by_hand(training)
    drawn = order_and_flips(len(data.train))(training.spec.train.epochs * PHASE)
    known = set(sys.modules)

    def ours() -> Run:
        forget_code(known)
        state = copy.deepcopy(training, {id(training.spec): training.spec})

        def run() -> Callable[[], Outcome]:
            phase_of_ours(state, data, session)
            return lambda: outcome_of_ours(state, session)

        return run

    def by_hand() -> Run:
        network, adam = copy.deepcopy((model, optimizer))

        def run() -> Callable[[], Outcome]:
            outcome = phase_by_hand(network, adam, data, drawn)
            return lambda: outcome

        return run

    return {"ours": ours, "the authors' way": by_hand}


def measure(phases: Mapping[str, Prepare], rounds: int) -> dict[str, list[float]]:
    """The CPU time of a phase in seconds, of both ways in every round, in turn."""
    times: dict[str, list[float]] = {way: [] for way in phases}
    for number in range(rounds):
        for way in list(phases)[:: 1 if number % 2 else -1]:
            run = phases[way]()
            gc.collect()
            start = time.process_time()
            run()
            times[way].append(time.process_time() - start)
    return times


def report(times: Mapping[str, Sequence[float]]) -> int:
    """Print what was measured; 1 where the goal is missed, else 0."""
    ours, hand = times.values()
    ratios = [a / b for a, b in zip(ours, hand, strict=True)]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    for way, seconds in times.items():
        print(f"{way:<16} {statistics.median(seconds):.3f} s of CPU a phase")
    print(f"ratio {ratio:.3f} ({low:.3f}-{high:.3f}), at most {GOAL:.2f}{'  missed' if ratio > GOAL else ''}")
    return 1 if ratio > GOAL else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of a structural phase, ours against the authors' way.")
    parser.add_argument("--rounds", type=int, default=9, help="how often both have their turn (default: 9)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        phases = make_phases(Path(folder))
        ours, hand = (prepare()()() for prepare in phases.values())
        require_equal(ours, hand)
        return report(measure(phases, options.rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
