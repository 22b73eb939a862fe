"""What a balance weighed is told at some steps of an epoch, is what made the step, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.editing import loads
from mtsldsl.runtime.learning.balance import Balance
from mtsldsl.runtime.learning.balance.gramian import GramianBalance
from mtsldsl.runtime.learning.weighed import TOLD, told
from mtsldsl.runtime.run.event_json import as_json
from mtsldsl.runtime.run.events import Weighed
from tests.runtime import test_sets
from tests.runtime.test_balance import AVAILABLE, GRADIENT, TASKS, balance_of, linear

ROWS = {"segment": [1.0, 0.2, 3.0], "depth": [-1.0, 1.0, 0.5], "normal": [0.5, 0.5, -0.5]}
WEIGHTS = {"segment": 1.0, "depth": 0.5, "normal": 2.0}

NUMBER_BY_NUMBER = {"grad_drop", "sam_gs"}
"""Balances that multiply the numbers of a gradient by factors of their own."""

OF_WHOLE = [name for name in AVAILABLE if name not in NUMBER_BY_NUMBER]


def stepped(balance: Balance, *, asked: bool, labelled: Mapping[str, Tensor] | None = None) -> Tensor:
    """The gradient of a parameter that all tasks share, whose losses are 1."""
    torch.manual_seed(0)
    shared = nn.Parameter(torch.zeros(3))
    balance.asked = asked
    balance.backward(linear(ROWS, shared), None, [shared], labelled or {})
    assert shared.grad is not None
    return shared.grad


@pytest.mark.parametrize("name", OF_WHOLE)
def test_the_step_is_the_sum_of_the_gradients_as_they_were_weighed(name: str) -> None:
    balance = balance_of(name, weights=WEIGHTS)
    found = stepped(balance, asked=True)
    assert set(balance.weighed) == set(TASKS)
    assert not any(weight.requires_grad for weight in balance.weighed.values())
    summed = torch.stack([weight * torch.tensor(ROWS[task]) for task, weight in balance.weighed.items()]).sum(0)
    torch.testing.assert_close(found, summed)


@pytest.mark.parametrize("name", AVAILABLE)
def test_asking_for_it_changes_no_bit_of_the_step(name: str) -> None:
    plain, asked = balance_of(name, weights=WEIGHTS), balance_of(name, weights=WEIGHTS)
    assert torch.equal(stepped(plain, asked=False), stepped(asked, asked=True))
    for one, other in zip(plain.parameters(), asked.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_task_without_a_label_was_not_weighed(name: str) -> None:
    balance = balance_of(name, weights=WEIGHTS)
    stepped(balance, asked=True, labelled={"depth": torch.tensor(False), "normal": torch.tensor(True)})
    assert set(balance.weighed) == (set() if name == "grad_drop" else {"segment", "normal"})


def test_gradients_that_are_dropped_in_parts_have_no_weight() -> None:
    balance = balance_of("grad_drop", weights=WEIGHTS)
    stepped(balance, asked=True)
    assert balance.weighed == {}


def test_weights_that_have_a_form_of_their_own_are_these() -> None:
    learned = balance_of("uncertainty", weights=WEIGHTS)
    with torch.no_grad():
        for place, parameter in enumerate(learned.parameters()):  # in the order of the names
            parameter.fill_(place)
    stepped(learned, asked=True)
    factors = torch.exp(-torch.arange(3.0)) / 2
    wanted = {task: WEIGHTS[task] * float(factors[place]) for place, task in enumerate(sorted(TASKS))}
    assert {task: float(weight) for task, weight in learned.weighed.items()} == pytest.approx(wanted)
    relative = balance_of("relative", weights=WEIGHTS)
    shared = nn.Parameter(torch.ones(1))
    relative.asked = True
    relative.backward({task: place * shared.sum() for place, task in enumerate(TASKS, 1)}, None, [shared])
    wanted = {task: WEIGHTS[task] / place for place, task in enumerate(TASKS, 1)}
    assert {task: float(weight) for task, weight in relative.weighed.items()} == pytest.approx(wanted)


@pytest.mark.parametrize("name", GRADIENT)
def test_a_task_that_shares_nothing_counts_its_weight(name: str) -> None:
    balance = balance_of(name, weights=WEIGHTS)
    owned = {task: nn.Parameter(torch.ones(2)) for task in TASKS}
    balance.asked = True
    balance.backward({task: each.square().sum() for task, each in owned.items()}, None, owned.values())
    assert {task: float(weight) for task, weight in balance.weighed.items()} == WEIGHTS


@given(st.integers(1, 20_000))
def test_steps_that_are_told_are_spread_over_the_epoch_and_few(steps: int) -> None:
    found = [step for step in range(steps) if told(step, steps)]
    assert len(found) == min(steps, TOLD)
    assert found[0] == 0
    gaps = {after - before for before, after in zip(found, [*found[1:], steps], strict=True)}
    assert max(gaps) - min(gaps) <= 1


def test_outside_an_epoch_no_step_is_told() -> None:
    assert not told(0, 0)


def test_a_run_of_ten_thousand_steps_has_a_line_an_epoch_and_at_most_eight_numbers_a_task_in_it() -> None:
    for epochs in (1, 10, 100, 1000):
        steps = 10_000 // epochs
        numbers = [step + 1 for step in range(steps) if told(step, steps)]
        weights = {f"task{place:02d}": [-1.23456e-05] * len(numbers) for place in range(10)}
        line = json.dumps(as_json(Weighed(epoch=epochs, steps=numbers, weights=weights)))
        assert len(numbers) == TOLD
        assert len(line) < 1500


@pytest.mark.parametrize("name", ["equal", "uncertainty", "pcgrad"])
def test_sets_of_tasks_that_are_computed_apart_are_told_together(name: str) -> None:
    made = test_sets.training(loads(test_sets.SPEC, overrides={"train.balance": name}))
    batch = test_sets.batch(made.spec)
    made.epoch_steps = 20
    for _ in range(20):
        test_sets.gradients(made, made.sets(), batch)
    if name == "equal":  # its weights are those of the spec
        assert made.weighed.steps == {}
        return
    assert list(made.weighed.steps) == [1, 4, 6, 9, 11, 14, 16, 19]
    assert all(set(found) == set(test_sets.TASKS) for found in made.weighed.steps.values())


@pytest.mark.parametrize("name", ["uncertainty", "pcgrad"])
def test_a_task_without_labels_in_the_batch_of_a_step_is_not_told(name: str) -> None:
    made = test_sets.training(loads(test_sets.SPEC, overrides={"train.balance": name}))
    made.epoch_steps = 1
    test_sets.gradients(made, made.sets(), test_sets.batch(made.spec, seed=2))
    (found,) = made.weighed.steps.values()
    assert set(found) == set(test_sets.TASKS) - {"a"}


def test_means_leave_out_steps_without_a_part() -> None:
    weights = {"a": [1.0, None, 3.0], "b": [None, None, None]}
    assert Weighed(epoch=1, steps=[1, 2, 3], weights=weights).means() == {"a": 2.0}


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from([name for name in GRADIENT if isinstance(balance_of(name), GramianBalance)]),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    reads=st.lists(st.sets(st.sampled_from(TASKS), min_size=1), min_size=4, max_size=4),
    seed=st.integers(0, 1000),
)
def test_a_step_has_the_bits_of_the_plain_formula(
    name: str, sizes: list[int], reads: list[set[str]], seed: int
) -> None:
    """A parameter is read by some tasks; the first by all, so that all are one group."""
    read = [set(TASKS), *reads[1 : len(sizes)]]
    torch.manual_seed(seed)
    parameters = [nn.Parameter(torch.randn(size)) for size in sizes]
    slopes = {
        task: [torch.randn(size) if task in tasks else None for size, tasks in zip(sizes, read, strict=True)]
        for task in sorted(TASKS)
    }
    gramian = torch.zeros(3, 3)
    for place, (size, tasks) in enumerate(zip(sizes, read, strict=True)):
        if len(tasks) > 1:
            rows = [found[place] if task in tasks else torch.zeros(size) for task, found in slopes.items()]
            matrix = torch.stack(rows)
            gramian = gramian + matrix @ matrix.T
    balance = balance_of(name)
    torch.manual_seed(seed)
    factors = balance._weigh(gramian) * (3 if balance._averages else 1)
    losses = {
        task: torch.stack(
            [(slope * each).sum() for slope, each in zip(found, parameters, strict=True) if slope is not None]
        ).sum()
        for task, found in slopes.items()
    }
    torch.manual_seed(seed)
    balance.backward(losses, None, parameters)
    for place, (parameter, tasks) in enumerate(zip(parameters, read, strict=True)):
        known = [
            (factor, found[place])
            for factor, found in zip(factors, slopes.values(), strict=True)
            if found[place] is not None
        ]
        wanted = [factor * slope if len(tasks) > 1 else slope for factor, slope in known]
        total = wanted[0].clone()
        for each in wanted[1:]:
            total = total + each
        assert torch.equal(parameter.grad, total)
