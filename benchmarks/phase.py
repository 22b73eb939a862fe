"""Time of a whole structural phase: ours against the way of the method's authors, over the same samples.

    python benchmarks/phase.py [--rounds N]

Four tasks on rendered scenes, the network of specs/scenes.mtl at 64x64 with stem and enc1 shared, after two epochs of
training on 185 images; the phase decides at enc2. Ours is `structural_phase` in a run with its folder: the network
evaluated, similarities, grouping, the text rewritten, read again and compiled, the network built, amalgamation, the
statistics of batch normalisations of both networks estimated anew, the optimizer carried over, the evolved network
evaluated, events, text and code written.

The authors' way (Gurulingan, Arani, Zonooz, ICML 2023, arXiv 2305.00441) is benchmarks/authors_phase.py, which says
what in it is as in their code.

They do not estimate the statistics of batch normalisations anew, which ours does for both networks to compare them.
There are three rows: statistics left by both, which is the phase as published; estimated anew by both, as one writes it
with hooks; and by ours alone, for which there is no goal.

One thread, the process's own CPU time, all in turn from the same state, each on its own deep copy; no round of ours
finds code of an earlier one. Before that the first two rows are held to agree: similarities to 1e-4, the groups, the
losses of amalgamation to 1e-3, 99 in 100 of the merged weights to 1e-3 and all to ten steps of Adam, the metrics before
and after to 1e-2. Exits with 1 where a median ratio is above 0.40.
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
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import attrs
import torch
from authors_phase import LEARNING_RATE, TASKS, THRESHOLD, Branched, Outcome, phase_by_hand
from epoch import epoch_of_ours, order_and_flips
from networks import load_weights

import mtsldsl
from mtsldsl.methods.merging_findings import Similarity
from mtsldsl.methods.mtsl.learner import Amalgamate, Cka, Mtsl, Settings
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.run.events import Phase
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure import phase
from mtsldsl.sharing.exact import EXACT_TASKS

GOAL = 0.40

PHASE = 2
"""At the end of that epoch."""

SHARING = "\nsharing {\n  stem..enc1 = all\n  enc2..dec1 = each\n}\n"

SIZES = {"data.images": 256}

Run: TypeAlias = Callable[[], Callable[[], Outcome]]
"""Makes a phase; what it gives tells what was found, which is no part of the phase."""

Prepare: TypeAlias = Callable[[], Run]
"""Makes a copy of the state for a phase."""


def phase_of_ours(training: Training, data: Splits, session: Session, *, anew: bool) -> None:
    """What a generated train.py does at the end of an epoch; without `anew` statistics are left as they are."""
    assert isinstance(training.learner, Mtsl)
    torch.manual_seed(0)
    with nullcontext() if anew else patch.object(phase, "reestimate", lambda *_: None):
        phase.structural_phase(training, training.learner, data, session)


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
        {frozenset(merge["tasks"]) for merge in phase.evidence["merges"]},
        {name.removeprefix("enc2."): mean for name, (mean,) in phase.evidence["amalgamation"].items()},
        before,
        after,
        {
            name: [value.detach().contiguous() for value in layer.parameters()]
            for name, layer in training.model.get_submodule("enc2").named_children()
            if "+" in name
        },
    )


def require_equal(ours: Outcome, hand: Outcome) -> None:
    """AssertionError where the two found other similarities, groups, losses or metrics, or made other components."""
    torch.testing.assert_close(ours.similarity, hand.similarity, rtol=0, atol=1e-4)
    assert ours.groups, "nothing merged"
    assert ours.groups == hand.groups, (ours.groups, hand.groups)
    assert ours.losses.keys() == hand.losses.keys() == ours.merged.keys() == hand.merged.keys()
    for name, loss in ours.losses.items():
        assert abs(loss / hand.losses[name] - 1) < 1e-3, (name, loss, hand.losses[name])
        apart = torch.cat([(a - b).abs().flatten() for a, b in zip(ours.merged[name], hand.merged[name], strict=True)])
        # Adam takes whole steps along gradients that are nearly 0, so that rounding decides the way of a few weights.
        assert (apart > 1e-3).float().mean() < 0.01, (name, apart.max())
        assert apart.max() < 10 * LEARNING_RATE, (name, apart.max())
    for found, wanted in ((ours.before, hand.before), (ours.after, hand.after)):
        assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
        for name, value in found.items():
            assert abs(value - wanted[name]) <= 1e-2 * max(1, abs(value)), (name, value, wanted[name])


def require_all_equal(found: Mapping[str, Outcome]) -> None:
    """The same of all ways that have a goal against each other."""
    for comparison in COMPARISONS:
        if comparison.goal is not None:
            require_equal(found[comparison.ours], found[comparison.theirs])


def make_session(folder: Path, sizes: Mapping[str, int | str]) -> tuple[Session, Splits, Training]:
    """A run of scenes at the end of the epoch of the phase."""
    text = Path(__file__).parents[1] / "specs" / "scenes.mtl"
    spec = mtsldsl.loads(text.read_text() + SHARING, overrides=sizes)
    session = Session.create(spec, "phase", folder, "cpu", "quiet")
    data = session.load_data()
    learner = Mtsl(
        Settings(
            phases=(PHASE,),
            similarity=Cka(samples=256, kernel="linear", debiased=True),
            threshold=THRESHOLD,
            exact_tasks=EXACT_TASKS,
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


def make_phases(folder: Path, sizes: Mapping[str, int | str]) -> dict[str, Prepare]:
    """The ways, from the state of one run in `folder`."""
    session, data, training = make_session(folder, sizes)
    model, optimizer = make_by_hand(training)
    order_of = order_and_flips(len(data.train))
    drawn = [order_of(0), order_of(training.spec.train.epochs * PHASE)]
    known = set(sys.modules)

    def ours(anew: bool) -> Run:
        forget_code(known)
        state = copy.deepcopy(training, {id(kept): kept for kept in (training.spec, training.trained)})

        def run() -> Callable[[], Outcome]:
            phase_of_ours(state, data, session, anew=anew)
            return lambda: outcome_of_ours(state, session)

        return run

    def by_hand(anew: bool) -> Run:
        network, adam = copy.deepcopy((model, optimizer))

        def run() -> Callable[[], Outcome]:
            outcome = phase_by_hand(network, adam, data, drawn, anew=anew)
            return lambda: outcome

        return run

    return {
        "ours": lambda: ours(True),
        "ours, statistics left": lambda: ours(False),
        "theirs": lambda: by_hand(False),
        "theirs, statistics anew": lambda: by_hand(True),
    }


@attrs.frozen
class Comparison:
    """Two ways, and at most what part of theirs ours may take, where that is a goal."""

    name: str
    ours: str
    theirs: str
    goal: float | None


COMPARISONS = (
    Comparison("as published, statistics left by both", "ours, statistics left", "theirs", GOAL),
    Comparison("statistics anew by both", "ours", "theirs, statistics anew", GOAL),
    Comparison("statistics anew by ours alone", "ours", "theirs", None),
)


def measure(phases: Mapping[str, Prepare], rounds: int) -> dict[str, list[float]]:
    """The CPU time of a phase in seconds, of every way in every round; each round begins with another way."""
    times: dict[str, list[float]] = {way: [] for way in phases}
    order = list(phases)
    for number in range(rounds):
        first = number % len(order)
        for way in order[first:] + order[:first]:
            run = phases[way]()
            gc.collect()
            start = time.process_time()
            run()
            times[way].append(time.process_time() - start)
    return times


def report(times: Mapping[str, Sequence[float]]) -> int:
    """Print the table; 1 where a goal is missed, else 0."""
    print(f"{'structural phase':<40} {'ours s':>7} {'theirs s':>9} {'ratio':>6} {'quartiles':>12} {'goal':>6}")
    missed = 0
    for comparison in COMPARISONS:
        ours, theirs = times[comparison.ours], times[comparison.theirs]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        late = comparison.goal is not None and ratio > comparison.goal
        missed += late
        print(
            f"{comparison.name:<40} {statistics.median(ours):7.3f} {statistics.median(theirs):9.3f} {ratio:6.3f}  "
            f"{low:.3f}-{high:.3f} {comparison.goal or '-':>6}{'  missed' if late else ''}"
        )
    return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of a structural phase, ours against the authors' way.")
    parser.add_argument("--rounds", type=int, default=9, help="how often every way has its turn (default: 9)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        phases = make_phases(Path(folder), SIZES)
        require_all_equal({way: prepare()()() for way, prepare in phases.items()})
        return report(measure(phases, options.rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
