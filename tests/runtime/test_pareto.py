"""Pareto MTL on the problem of its paper, whose front is known and concave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.language.holding import named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import Balance, make_balance
from mtsldsl.runtime.learning.balance.pareto import ParetoMultiTask
from mtsldsl.runtime.learning.balance.preference import preference_of
from tests.runtime.looking_ahead import TEXT, batch_of, gradients, training

SIZE = 20


def losses(x: Tensor) -> dict[str, Tensor]:
    """Lin et al., 2019, eq. 12: each is 0 where the other is nearly 1."""
    best = 1 / math.sqrt(SIZE)
    return {"a": 1 - torch.exp(-(x - best).square().sum()), "b": 1 - torch.exp(-(x + best).square().sum())}


def found_by(name: str, seed: int, **arguments: object) -> tuple[Tensor, nn.Parameter]:
    balance = make_balance(named(BALANCES, name, **arguments), ("a", "b"), {"a": 1.0, "b": 1.0})
    x = nn.Parameter(torch.rand(SIZE, generator=torch.Generator().manual_seed(seed)) - 0.5)
    optimizer = torch.optim.SGD([x], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        balance.backward(losses(x), None, [x])
        optimizer.step()
    return torch.stack(list(losses(x.detach()).values())), x


@pytest.mark.parametrize("number", [1, 3])  # 4 and 2 are these with the losses the other way round
def test_each_preference_ends_on_its_part_of_the_concave_front(number: int) -> None:
    turned = number * math.pi / 10
    reached, x = found_by("pareto", number, preference=(math.cos(turned), math.sin(turned)))
    along = math.atan2(reached[1].item(), reached[0].item())
    assert along == pytest.approx(turned, abs=math.pi / 20 + 0.01)  # half the angle to the next of five vectors
    # The front are the points with the same number everywhere, between the two bests.
    assert x.std().item() < 5e-3
    assert x.abs().max().item() < 1 / math.sqrt(SIZE)


def test_the_sum_of_the_losses_ends_at_an_end_of_it() -> None:
    for seed in range(3):
        reached, _ = found_by("equal", seed)
        assert reached.min() < 0.01


def bounds(preference: Sequence[float], vectors: int) -> Tensor:
    tasks = tuple("abcd"[: len(preference)])
    chosen = named(BALANCES, "pareto", preference=tuple(preference), vectors=vectors)
    balance = make_balance(chosen, tasks, dict.fromkeys(tasks, 1.0))
    assert isinstance(balance, ParetoMultiTask)
    return balance.bounds(tasks)


def test_of_two_tasks_the_neighbours_are_the_vectors_of_the_paper() -> None:
    every = [torch.tensor([math.cos(k * math.pi / 10), math.sin(k * math.pi / 10)]).double() for k in range(6)]
    for place in (1, 2, 3, 4):
        found = bounds(every[place].tolist(), 5)
        wanted = torch.stack([every[place - 1] - every[place], every[place + 1] - every[place]])
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    corner = bounds([1.0, 1e-6], 5)
    torch.testing.assert_close(corner, (every[1] - every[0]).unsqueeze(0), rtol=1e-4, atol=1e-4)


def test_the_preferred_direction_is_within_the_bounds_and_the_axes_are_not() -> None:
    preference = torch.tensor([1.0, 2.0, 0.7]).double()
    found = bounds(preference.tolist(), 5)
    assert (found @ preference < 0).all()
    assert all((found @ axis > 0).any() for axis in torch.eye(3).double())


def test_until_the_losses_are_within_the_bounds_the_step_leads_there_alone() -> None:
    balance = make_balance(named(BALANCES, "pareto", preference=(1.0, 1.0)), ("a", "b"), {"a": 1.0, "b": 1.0})
    state = balance.state_dict
    assert not state()["inside"].any()
    x = nn.Parameter(torch.tensor([3.0, 1.0]))
    optimizer = torch.optim.SGD([x], lr=0.05)
    ratios = []
    for _ in range(60):
        if state()["inside"].all():
            break
        ratios.append((x[0] / x[1]).item())
        optimizer.zero_grad()
        balance.backward({"a": 1.0 * x[0], "b": 1.0 * x[1]}, None, [x])
        assert state()["inside"].any() or x.grad[1] < 0 < x.grad[0]  # the second rises meanwhile
        optimizer.step()
    assert all(later < earlier for earlier, later in pairwise(ratios))
    assert math.atan(ratios[-1]) - math.pi / 4 < math.pi / 20 + 0.02


def test_after_two_epochs_it_no_longer_searches() -> None:
    balance: Balance = make_balance(named(BALANCES, "pareto"), ("a", "b"), {"a": 1.0, "b": 1.0})
    x = nn.Parameter(torch.tensor([3.0, 0.01]))
    for epoch in range(2):
        balance.backward({"a": 1.0 * x[0], "b": 1.0 * x[1]}, None, [x])
        assert not balance.state_dict()["inside"].any()
        balance.end_epoch({})
        assert bool(balance.state_dict()["inside"].all()) == (epoch == 1)


@pytest.mark.parametrize("name", ["pareto", "pbi", "cosmos"])
def test_a_preference_of_another_number_of_tasks_is_an_error(name: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(TEXT, overrides={"train.balance": f"{name}(preference=[1, 2])"})
    (found,) = caught.value.diagnostics
    assert found.code == "MTL202"
    assert "2 numbers, and there are 3 tasks" in found.cause
    loads(TEXT, overrides={"train.balance": f"{name}(preference=[1, 2, 0.5])"})


@pytest.mark.parametrize("name", ["pareto", "pbi", "cosmos"])
def test_a_helper_has_the_preference_of_its_task_in_the_order_of_the_spec(name: str) -> None:
    line = "c + b, (b) + a"
    groups = (
        ("task [a, b, c]", "task [c, b, a]"),
        ("stem = all", f"stem = {line}"),
        ("last = a + b, c", f"last = {line}"),
        ("  head   = dropout(0.5) | linear", "  head   = linear"),
    )
    made = training(f"{name}(preference=[1, 2, 0.5])", *groups)
    (helper,) = made.spec.helpers
    wanted = {"c": 1.0, "b": 2.0, "a": 0.5, helper.name: 2.0}
    weights = {task.name: task.weight for task in made.spec.trained}
    assert preference_of(weights, made.spec.train.balance) == wanted
    made.epoch_steps = 1
    gradients(made, batch_of(0))
    assert set(made.balance.weighed) == set(wanted)
