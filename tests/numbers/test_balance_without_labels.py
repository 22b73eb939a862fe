"""A task that has no label in a batch has no part in the step, whatever the balance."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mtsldsl.ir import Target
from mtsldsl.language.holding import named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import Balance, make_balance
from mtsldsl.runtime.objectives import BatchLosses, task_losses
from tests.numbers.cases import Case, task_of
from tests.records import loss_of

NAMES = [rule.name for rule in BALANCES.rules]
VALUES = Case("values", Target("values", 1), ())
TASKS = {name: task_of(VALUES, loss_of(VALUES.target, "mse"), name) for name in ("a", "b", "c")}


class Small(nn.Module):
    """One shared layer and a head a task."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 4)
        self.heads = nn.ModuleDict({name: nn.Linear(4, 1) for name in tasks})
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                drawn = torch.randn(parameter.shape, generator=generator.manual_seed(sum(map(ord, name))))
                parameter.copy_(drawn)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: head(self.shared(x).tanh()) for name, head in self.heads.items()}


def step(balance: Balance, tasks: list[str], unlabelled: tuple[str, ...] = ()) -> Small:
    """The gradients of a step on a batch in which some tasks have no label."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 3, generator=generator)
    batch = {name: torch.randn(6, 1, generator=generator) for name in TASKS}
    for name in unlabelled:
        batch[name] = torch.full((6, 1), torch.nan)
    model = Small(tasks)
    chosen = [TASKS[name] for name in tasks]
    losses = BatchLosses.of(chosen, task_losses(chosen), model(x), batch)
    torch.manual_seed(0)  # pcgrad draws an order
    balance.backward(losses.values, None, model.parameters(), losses.labelled())
    return model


def balance_of(name: str, tasks: list[str]) -> Balance:
    return make_balance(named(BALANCES, name), tuple(tasks), dict.fromkeys(tasks, 1.0))


@pytest.mark.parametrize("name", NAMES)
def test_the_shared_layer_moves_as_if_the_task_did_not_exist(name: str) -> None:
    with_it = step(balance_of(name, ["a", "b", "c"]), ["a", "b", "c"], ("b",))
    without = step(balance_of(name, ["a", "c"]), ["a", "c"])
    assert without.shared.weight.grad is not None
    assert with_it.shared.weight.grad is not None
    assert without.shared.weight.grad.abs().max() > 0.01
    torch.testing.assert_close(with_it.shared.weight.grad, without.shared.weight.grad)
    for task in ("a", "c"):
        torch.testing.assert_close(with_it.heads[task].weight.grad, without.heads[task].weight.grad)
    silent = with_it.heads["b"].weight.grad
    assert silent is None or not silent.any()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_any_label_moves_nothing(name: str) -> None:
    balance = balance_of(name, ["a", "b"])
    model = step(balance, ["a", "b"], ("a", "b"))
    for parameter in (*model.parameters(), *balance.parameters()):
        assert parameter.grad is None or not parameter.grad.any()


def test_uncertainty_learns_no_weight_from_a_batch_without_labels() -> None:
    balance = balance_of("uncertainty", ["a", "b", "c"])
    optimizer = torch.optim.Adam(balance.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        step(balance, ["a", "b", "c"], ("b",))
        optimizer.step()
    learned = {name.rpartition(".")[2]: value.item() for name, value in balance.named_parameters()}
    assert learned["b"] == 0
    assert learned["a"] != 0
    assert learned["c"] != 0


def test_dwa_compares_the_tasks_that_had_labels_and_waits_for_the_others() -> None:
    balance = balance_of("dwa", ["a", "b", "c"])
    ones = {name: torch.tensor(1.0) for name in "abc"}

    def factor(task: str) -> float:
        return balance.combine({name: one * (name == task) for name, one in ones.items()}).item()

    balance.end_epoch({"a": 4.0, "b": math.nan, "c": 1.0})
    balance.end_epoch({"a": 2.0, "b": math.nan, "c": 1.0})
    shares = math.exp(0.5 / 2), math.exp(1.0 / 2)
    assert factor("a") == pytest.approx(2 * shares[0] / sum(shares))
    assert factor("c") == pytest.approx(2 * shares[1] / sum(shares))
    assert factor("b") == 1
    balance.end_epoch({"a": 2.0, "b": 3.0, "c": 1.0})
    assert factor("b") == 1  # one epoch is no ratio
    balance.end_epoch({"a": 2.0, "b": 1.5, "c": 1.0})
    shares = math.exp(1 / 2), math.exp(0.5 / 2), math.exp(1 / 2)
    assert factor("b") == pytest.approx(3 * shares[1] / sum(shares))
