"""How large the tasks' gradients are on shared weights is measured truly, seldom, and changes no bit of the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mtsldsl.editing import loads
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.gradient_norms import STEPS, measured_every
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.event_json import as_json
from mtsldsl.runtime.run.events import Gradients
from mtsldsl.runtime.run.found_in_steps import found_in_steps
from mtsldsl.runtime.run.measurements import measurements
from tests.runtime.test_sets import SPEC, TASKS, batch, everything, training

LINKED = [["a", "c"], ["b", "d", "e"]]
"""`f` shares nothing."""

DROPPING = SPEC.replace("linear(8) | batch_norm | relu", "linear(8) | batch_norm | relu | dropout(0.5)")


def stepped(made: Training, seeds: Sequence[int], sets: Sequence[tuple[str, ...]] | None = None) -> list[Tensor]:
    """Steps as a generated train.py makes them; all that the run holds then, and the state of its random numbers."""
    made.epoch_steps = len(seeds)
    torch.manual_seed(1)
    for seed in seeds:
        drawn = batch(made.spec, seed)
        for tasks in sets or made.sets():
            outputs = made.forward(drawn[made.spec.data.input], tasks)
            losses = made.losses(outputs, drawn)
            penalty = made.penalty(drawn, outputs, losses)
            made.zero_grad(tasks)
            made.backward(losses, penalty)
        made.optimizer.step()
    state = (*made.model.state_dict().values(), *made.balance.state_dict().values())
    return [*(each.clone() for each in state), torch.get_rng_state()]


@pytest.mark.parametrize("together", [False, True])
def test_the_norms_are_those_of_each_loss_alone(together: bool) -> None:
    spec = loads(SPEC)
    made, alone = training(spec), training(spec)
    stepped(made, [0], everything(spec) if together else None)
    drawn = batch(spec)
    losses = alone.losses(alone.forward(drawn[spec.data.input], tuple(TASKS)), drawn).values
    for task in TASKS:
        alone.optimizer.zero_grad()
        losses[task].backward(retain_graph=True)  # type: ignore[no-untyped-call]
        shared = [
            each.grad.double().flatten()
            for name, each in alone.model.named_parameters()
            if each.grad is not None and "+" in name
        ]
        if task == "f":
            assert task not in made.norms.norms
        else:
            assert made.norms.norms[task] == pytest.approx(float(torch.cat(shared).norm()), rel=1e-5)
            assert made.norms.norms[task] > 0
    assert [list(tasks) for tasks in made.norms.together] == LINKED


@pytest.mark.parametrize("balance", [rule.name for rule in BALANCES.rules])
def test_no_bit_of_the_run_is_another_one(balance: str) -> None:
    spec = loads(DROPPING, overrides={"train.balance": balance})
    measured, plain = training(spec), training(spec)
    plain.norms.norms = dict.fromkeys(TASKS, 0.0)  # as if they were known
    one, other = stepped(measured, [0, 1, 2]), stepped(plain, [0, 1, 2])
    assert measured.norms.norms.keys() == set(TASKS) - {"f"}
    assert [each.numpy().tobytes() for each in one] == [each.numpy().tobytes() for each in other]


def test_a_task_without_a_label_in_its_first_batch_has_no_number() -> None:
    made = training(loads(SPEC))
    stepped(made, [1, 0])
    assert math.isnan(made.norms.norms["b"])
    assert made.norms.norms["d"] > 0


@given(st.integers(1, 100_000), st.integers(1, 100))
def test_measuring_takes_less_than_a_hundredth_of_the_steps(steps: int, tasks: int) -> None:
    backward = 2 / 3  # of a step, for a task
    assert tasks * backward < 0.01 * steps * measured_every(steps, tasks)


def test_only_epochs_that_have_their_turn_are_measured() -> None:
    made = training(loads(SPEC))
    every = measured_every(150, len(TASKS))
    assert every == math.ceil(STEPS * 6 / 150) > 1
    found = []
    for epoch in range(2 * every + 1):
        made.epoch, made.epoch_steps = epoch, 150
        drawn = batch(made.spec, 3)
        outputs = made.forward(drawn[made.spec.data.input], tuple(TASKS))
        made.penalty(drawn, outputs, made.losses(outputs, drawn))
        found += [epoch for event in found_in_steps(made) if isinstance(event, Gradients)]
    assert found == [0, every, 2 * every]


@pytest.mark.parametrize("balance", ["equal", "uncertainty", "mgda", "grad_drop"])
def test_the_event_has_the_shares_as_the_balance_weighed_them(balance: str) -> None:
    spec = loads(SPEC.replace("loss   = mse", "loss   = mse\n  weight = 0.5"), overrides={"train.balance": balance})
    made = training(spec)
    stepped(made, [0, 1])
    weighed = {name: float(each) for name, each in made.weighed.steps.get(1, {}).items()}
    norms = dict(made.norms.norms)
    *_, event = found_in_steps(made)
    assert isinstance(event, Gradients)
    shares = event.shares()
    if balance == "grad_drop":  # each number of a gradient has a factor of its own
        assert shares == {}
        return
    assert balance == "equal" or weighed.keys() >= norms.keys()
    weights = dict.fromkeys(norms, 0.5) if balance == "equal" else weighed
    for tasks in LINKED:
        total = sum(norms[task] * weights[task] for task in tasks)
        for task in tasks:
            assert shares[task] == pytest.approx(norms[task] * weights[task] / total, rel=1e-4)
    told = {(each.task, each.name): each.value for each in measurements(as_json(event))}
    assert told == {
        **{(task, "gradient_norm"): norm for task, norm in event.norms.items()},
        **{(task, "gradient_share"): share for task, share in shares.items()},
    }
    assert list(found_in_steps(made)) == []


class Recomputed(nn.Module):
    """A module whose gradients `backward` alone may ask for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Tensor:
        found = checkpoint(self.inner, inputs, use_reentrant=True)
        assert isinstance(found, Tensor)
        return found


def test_a_module_that_refuses_to_be_measured_ends_no_run() -> None:
    made = training(loads(SPEC))
    layer = made.model.get_submodule("second.a+c")
    layer.linear1 = Recomputed(layer.linear1)
    before = [each.clone() for each in layer.parameters()]
    stepped(made, [0], everything(made.spec))
    assert math.isnan(made.norms.norms["a"])
    assert made.norms.norms["b"] > 0
    assert not any(map(torch.equal, before, layer.parameters()))


def test_tasks_whose_losses_are_of_other_scales_have_the_shares_to_show_it() -> None:
    event = Gradients(
        epoch=1, norms={"a": 1000.0, "b": 1.0, "c": None}, weights={"a": 1.0, "b": 1.0, "c": 1.0}, together=[["a", "b"]]
    )
    assert event.shares() == pytest.approx({"a": 1000 / 1001, "b": 1 / 1001})
    assert attrs.evolve(event, norms={"a": 0.0, "b": 0.0}).shares() == {}
