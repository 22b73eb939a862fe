"""SAM-GS against its equations, computed with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtsldsl.language.holding import named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import Balance, make_balance


def balance_of(tasks: str = "ab", **arguments: float) -> Balance:
    return make_balance(named(BALANCES, "sam_gs", **arguments), tuple(tasks), dict.fromkeys(tasks, 1.0))


def step(balance: Balance, rows: dict[str, Tensor]) -> Tensor:
    """The gradient of two parameters on which the tasks' gradients are the rows, as one."""
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    balance.backward(
        {task: 1 + row[:2] @ first + row[2:] @ second for task, row in rows.items()}, None, [first, second]
    )
    return torch.cat([each.grad for each in (first, second) if each.grad is not None])


ONE = torch.tensor([0.6, 0.0, 0.8, 0.0, 0.0])
LONG = torch.tensor([0.0, 100.0, 0.0, 0.0, 0.0])


def test_gradients_of_unlike_lengths_are_scaled_to_the_mean_length() -> None:
    # their similarity is 2 * 100 / 10001 = 0.019998
    found = step(balance_of(gamma=0.02, max_norm=0.0), {"a": ONE, "b": LONG})
    torch.testing.assert_close(found, 2 * 50.5 * (ONE + LONG / 100))
    other = step(balance_of(gamma=0.0199, max_norm=0.0), {"a": ONE, "b": LONG})
    assert not torch.allclose(other, found, rtol=0.1)


def test_the_step_has_a_greatest_length() -> None:
    for gamma in (0.01, 0.9):
        balance = balance_of(gamma=gamma)
        assert step(balance, {"a": ONE, "b": ONE}).norm().item() == pytest.approx(1.0, abs=1e-5)
        assert step(balance, {"a": ONE, "b": LONG}).norm().item() == pytest.approx(1.0, abs=1e-5)
    small = step(balance_of(gamma=0.9, max_norm=1.0), {"a": 1e-3 * ONE, "b": 1e-4 * LONG})
    torch.testing.assert_close(small, 2 * 5.5e-3 * (ONE + LONG / 100))


@pytest.mark.parametrize("gamma", [0.1, 0.6, 0.95])
def test_many_steps_follow_the_equations(gamma: float) -> None:
    beta, tasks = 0.7, "abc"
    balance = balance_of(tasks, gamma=gamma, beta=beta, max_norm=0.0)
    rng = np.random.default_rng(0)
    mean, conflict = np.zeros((3, 5)), 0.0
    branches = set()
    for number in range(1, 13):
        rows = rng.normal(size=(3, 5)) * np.exp(rng.normal(size=(3, 1)))
        lengths = np.linalg.norm(rows, axis=1)
        pairs = [(0, 1), (0, 2), (1, 2)]
        psi = np.mean([2 * lengths[i] * lengths[j] / (lengths[i] ** 2 + lengths[j] ** 2) for i, j in pairs])
        mean = 0.9 * mean + 0.1 * rows
        conflict = beta * conflict + (1 - beta) * (1 - psi) ** 2
        if psi < gamma:
            wanted = (lengths.mean() / lengths[:, None] * rows).sum(0)
        else:
            factors = np.abs(mean / (1 - 0.9**number)) / np.sqrt(conflict / (1 - beta**number) + 1e-8)
            wanted = (factors * rows).sum(0)
        branches.add(bool(psi < gamma))
        found = step(balance, dict(zip(tasks, torch.tensor(rows, dtype=torch.float32), strict=True)))
        torch.testing.assert_close(found, torch.tensor(3 * wanted, dtype=torch.float32), rtol=1e-4, atol=1e-4)
    assert branches == {0.1: {False}, 0.6: {False, True}, 0.95: {True}}[gamma]


def test_what_was_weighed_is_how_long_a_gradient_counts() -> None:
    balance = balance_of(gamma=0.5, max_norm=0.0)
    step(balance, {"a": ONE, "b": LONG})
    assert {task: float(each) for task, each in balance.weighed.items()} == pytest.approx({"a": 101.0, "b": 1.01})


def test_a_gradient_of_zero_moves_nothing() -> None:
    for gamma in (0.01, 0.9):
        found = step(balance_of(gamma=gamma, max_norm=0.0), {"a": ONE, "b": torch.zeros(5)})
        assert found.isfinite().all()
        assert found[[1, 3, 4]].tolist() == [0, 0, 0]
        assert step(balance_of(gamma=gamma), {"a": torch.zeros(5), "b": torch.zeros(5)}).tolist() == [0.0] * 5


def test_where_the_network_is_another_one_it_begins_anew() -> None:
    balance, fresh = balance_of(gamma=0.1), balance_of(gamma=0.1)
    step(balance, {"a": ONE, "b": 2 * ONE})
    assert "means.1.b.mean" in balance.state_dict()
    balance.network_changed()
    rows = {"a": ONE.flip(0), "b": ONE}
    assert torch.equal(step(balance, rows), step(fresh, rows))
