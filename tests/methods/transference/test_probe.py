"""Looking ahead: gains against losses computed by hand, and that nothing is changed by it."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import attrs
import pytest
import torch
from torch import Tensor

from mtsldsl.methods.transference.learner import Transference
from tests.methods.transference.looking import (
    LOOKS,
    TEXT,
    batch_of,
    bits,
    losses_by_hand,
    make_step,
    probe_of,
    state_of,
    training,
)


def test_the_gain_is_that_of_a_step_made_by_hand() -> None:
    made = training()
    rows, labels = batch_of(0)
    torch.manual_seed(3)
    again = probe_of(made, rows, labels)
    gains = again.gains()
    assert gains.keys() == {(one, other) for one in "abc" for other in "abc"}
    # The same random numbers decide dropout before and after.
    by_hand = copy.deepcopy(made.model)
    losses = losses_by_hand(by_hand, again.random, rows, labels)
    for donor in "abc":
        gradients = torch.autograd.grad(losses[donor], list(by_hand.parameters()), retain_graph=True, allow_unused=True)
        moved = copy.deepcopy(made.model)
        with torch.no_grad():
            for (name, parameter), gradient in zip(moved.named_parameters(), gradients, strict=True):
                if gradient is not None and name.startswith(("stem", "last.a+b")):
                    parameter -= 0.1 * gradient
        after = losses_by_hand(moved, again.random, rows, labels)
        for recipient in "abc":
            wanted = 1 - after[recipient].item() / losses[recipient].item()
            assert gains[donor, recipient] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9)", "adam", "radam"])
@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_changed_by_it(look: str, steps: int, optimizer: str) -> None:
    made = training(train__optimizer=optimizer)
    for seed in range(steps):
        make_step(made, *batch_of(seed))
    probe = probe_of(made, *batch_of(9))
    before = bits(state_of(made))
    tensors = [*made.model.state_dict(keep_vars=True).values()]
    versions = [each._version for each in tensors]
    LOOKS[look](probe)
    assert bits(state_of(made)) == before
    assert [each._version for each in tensors] == versions  # nor changed and put back
    gradients = [each.grad for each in made.model.parameters()]
    assert bool(steps) == any(each is not None for each in gradients)


def test_tasks_that_are_the_same_help_each_other_as_they_help_themselves() -> None:
    made = training(TEXT.replace("dropout(0.5) | ", ""))
    rows, labels = batch_of(0)
    labels["b"] = labels["a"]
    made.model.get_submodule("heads.b").load_state_dict(made.model.get_submodule("heads.a").state_dict())
    gains = probe_of(made, rows, labels).gains()
    assert gains["a", "b"] == gains["a", "a"] > 0
    assert gains["b", "a"] == gains["b", "b"] == gains["a", "a"]


def test_tasks_that_want_the_opposite_harm_each_other() -> None:
    made = training()
    rows, labels = batch_of(0)
    probe = attrs.evolve(probe_of(made, rows, labels), rate=1e-4)

    def opposite(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"a": losses["a"], "b": 5 - losses["a"]}

    of = probe.losses_of
    gains = attrs.evolve(probe, losses=opposite(probe.losses), losses_of=lambda outputs: opposite(of(outputs))).gains()
    assert gains["a", "a"] > 0 > gains["a", "b"]
    assert gains["b", "b"] > 0 > gains["b", "a"]


def test_the_first_order_is_off_by_the_square_of_the_rate() -> None:
    made = training()
    rows, labels = batch_of(2)
    torch.manual_seed(0)
    probe = probe_of(made, rows, labels)
    off = []
    for rate in (1e-3, 5e-4):
        at = attrs.evolve(probe, rate=rate)
        exact, first = at.gains(), at.first_order()
        assert exact.keys() == first.keys()
        off.append(sum(abs(exact[pair] - first[pair]) for pair in exact))
    assert off[0] / off[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("look", LOOKS)
def test_a_task_that_shares_nothing_with_another_does_nothing_to_it(look: str) -> None:
    made = training(TEXT.replace("stem = all\n", "stem = a + b, c\n"))
    gains = LOOKS[look](probe_of(made, *batch_of(0)))
    assert gains["a", "c"] == gains["c", "a"] == gains["c", "c"] == 0
    assert gains["a", "b"] != 0
    alone = training(TEXT.replace("stem = all\n  last = a + b, c\n", "stem = each\n  last = each\n"))
    assert set(LOOKS[look](probe_of(alone, *batch_of(0))).values()) == {0.0}


@pytest.mark.parametrize("look", LOOKS)
def test_a_task_without_a_label_neither_gives_nor_takes(look: str) -> None:
    made = training()
    gains = LOOKS[look](probe_of(made, *batch_of(0, without="b")))
    assert gains.keys() == {(one, other) for one in "ac" for other in "ac"}


def test_it_looks_ahead_every_so_many_steps_and_tells_the_mean_of_an_epoch() -> None:
    made = training()
    assert isinstance(made.learner, Transference)
    steps = [step for step in range(10) if made.learner.observing(attrs.evolve(made.position, step=step))]
    assert steps == [0, 3, 6, 9]
    rows, labels = batch_of(0)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        probe = probe_of(made, rows, labels)
        made.learner.observe(probe)
        found.append(probe.gains())
    means = (made.learner.sums / made.learner.counts).tolist()
    for row, recipient in enumerate("abc"):
        for column, donor in enumerate("abc"):
            assert means[row][column] == pytest.approx(sum(each[donor, recipient] for each in found) / 2)
