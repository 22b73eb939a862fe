"""A learner may refuse the network that its own proposal leads to: then all is as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mtsldsl.editing import load
from mtsldsl.ir import Decision, Spec
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning import trained
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.network.channels import Reordering, channels_of, reordering
from mtsldsl.runtime.network.reordering import one_after_the_other
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.phase import structural_phase
from mtsldsl.runtime.structure.view import View
from tests.ir.decisions import merge
from tests.runtime.started import started

SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"


class Hesitant(Learner):
    """Proposes to share the stem, if it is to with the channels of the network in another order, and takes it or not."""

    def __init__(self, takes: bool, *, reorders: bool = False) -> None:
        super().__init__()
        self.takes, self.reorders = takes, reorders

    def decide(self, view: View) -> Proposal:
        tasks, state = view.spec.sharing.tasks, view.model.state_dict()
        order: Reordering = {}
        for channels in channels_of(view.spec, state):
            if self.reorders and not channels.fixed:
                rolled = reordering(channels, torch.arange(channels.size).roll(1), state)
                order = one_after_the_other(order, rolled)
        assert bool(order) == self.reorders
        return Proposal(view.spec.sharing.merge("stem", tasks), (merge(1, "stem", tasks, 0.9),), order=order)

    def accept(self, before: Evaluation, after: Evaluation) -> bool:
        return self.takes


class Record:
    """What a phase says to its run."""

    watcher = QuietDisplay()

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.changes = 0

    def say(self, kind: str, **fields: Any) -> None:
        self.said.append((kind, fields))

    def structure_changed(self, spec: Spec, epoch: int, decisions: Sequence[Decision], *, same: bool = False) -> None:
        self.changes += 1


def phase(takes: bool) -> tuple[bool, bool, Record]:
    """Whether the training has its former network, whether that is bit for bit what it was, and what was said."""
    spec = load(SPEC, {"data.input": "image(3, 16, 16)", "data.images": 32, "data.batch": 4})
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    model, optimizer = training.model, training.optimizer
    state = {name: value.clone() for name, value in model.state_dict().items()}
    record = Record()
    structural_phase(training, Hesitant(takes, reorders=True), load_data(spec), record)
    former = training.model is model and training.optimizer is optimizer and training.spec is spec
    equal = all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    return former, equal, record


def test_what_is_refused_leaves_network_statistics_and_spec_as_they_were() -> None:
    former, equal, record = phase(takes=False)
    assert former
    assert equal
    assert record.changes == 0
    ((kind, fields),) = record.said
    assert (kind, fields["accepted"]) == ("phase", False)


def test_what_is_taken_is_another_network() -> None:
    former, _, record = phase(takes=True)
    assert not former
    assert record.changes == 1
    ((_, fields),) = record.said
    assert fields["parameters"] < load(SPEC).cost().parameters


@pytest.mark.parametrize("exact", [False, True])
def test_what_a_phase_reached_on_validation_is_not_computed_again(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load(SPEC, {"data.input": "image(3, 16, 16)", "data.images": 32, "data.batch": 4})
    training, data = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3)), load_data(spec)
    learner = Hesitant(True)
    learner.exact = exact  # then what the one network reached is taken for the other
    structural_phase(training, learner, data, Record())
    calls: list[object] = []
    monkeypatch.setattr(trained, "evaluate", lambda *given, **named: calls.append(given))
    assert set(training.evaluate(data.validation).losses) == {task.name for task in spec.tasks}
    assert not calls
    training.evaluate(data.test)
    assert len(calls) == 1
