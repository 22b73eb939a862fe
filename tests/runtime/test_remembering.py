"""Weightings of torchjd that remember: the same as torchjd's own over many steps, a memory for each set of tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torchjd import aggregation
from torchjd.aggregation import CRMOGMWeighting, GramianWeightedAggregator, MGDAWeighting

from mtsldsl.language.holding import named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import Balance, make_balance
from mtsldsl.sharing.component import helper_name

WRITTEN: dict[str, tuple[dict[str, object], Callable[[int], aggregation.Aggregator], int]] = {
    "grad_vac": ({"beta": 0.3}, lambda _: aggregation.GradVac(0.3), 1),
    "pcd": ({"tau": 0.1, "beta": 0.9}, lambda _: aggregation.PCD(0.1, 0.9), 1),
    "cr_mogm": ({"alpha": 0.6}, lambda _: GramianWeightedAggregator(CRMOGMWeighting(MGDAWeighting(), 0.6)), 3),
    "excess_mtl": ({"robust_step_size": 0.5, "n_warmup_steps": 2}, lambda _: aggregation.ExcessMTL(0.5, 2), 3),
    "nash_mtl": (
        {"max_norm": 0.7, "update_weights_every": 2},
        lambda tasks: aggregation.NashMTL(tasks, max_norm=0.7, update_weights_every=2),
        1,
    ),
}
"""Arguments, torchjd's own, and the number by which its result is multiplied."""


def balance_of(name: str, tasks: Sequence[str] = "abc", **weights: float) -> Balance:
    if name == "nash_mtl":
        pytest.importorskip("ecos")
    given = dict.fromkeys(tasks, 1.0) | weights
    return make_balance(named(BALANCES, name, **WRITTEN[name][0]), tuple(tasks), given)


def step(balance: Balance, rows: dict[str, Tensor]) -> Tensor:
    """The gradient of a parameter on which the tasks' gradients are the rows."""
    shared = nn.Parameter(torch.zeros(len(next(iter(rows.values())))))
    balance.backward({task: 1 + row @ shared for task, row in rows.items()}, None, [shared])
    assert shared.grad is not None
    return shared.grad


def jacobians(count: int, tasks: Sequence[str] = "abc", numbers: int = 5) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{task: torch.randn(numbers, generator=generator) for task in tasks} for _ in range(count)]


@pytest.mark.filterwarnings("ignore")  # of cvxpy
@pytest.mark.parametrize("name", WRITTEN)
def test_many_steps_are_those_of_torchjd(name: str) -> None:
    balance = balance_of(name)
    _, make, scale = WRITTEN[name]
    own = make(3)
    torch.manual_seed(0)
    found = [step(balance, rows) for rows in jacobians(12)]
    torch.manual_seed(0)
    for each, rows in zip(found, jacobians(12), strict=True):
        torch.testing.assert_close(each, scale * own(torch.stack(list(rows.values()))), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_remembered_matters(name: str) -> None:
    last = jacobians(6)[-1]
    fresh, old = balance_of(name), balance_of(name)
    for rows in jacobians(5):
        step(old, rows)
    torch.manual_seed(0)
    begun = step(fresh, last)
    torch.manual_seed(0)
    went_on = step(old, last)
    assert not torch.allclose(begun, went_on, rtol=1e-3)


@pytest.mark.parametrize("name", WRITTEN)
def test_another_set_of_tasks_has_another_memory(name: str) -> None:
    mixed, alone = balance_of(name), balance_of(name)
    for rows, others in zip(jacobians(5), jacobians(5, "ab"), strict=True):
        torch.manual_seed(0)
        with_others = step(mixed, rows)
        step(mixed, {task: 3 * row for task, row in others.items()})
        torch.manual_seed(0)
        torch.testing.assert_close(step(alone, rows), with_others)
    names = {name.split(".")[1] for name in mixed.state_dict()}
    assert names == {"a,b,c", "a,b"}


@pytest.mark.filterwarnings("ignore")  # of cvxpy
@pytest.mark.parametrize("name", WRITTEN)
def test_a_resumed_memory_is_the_same_also_of_helpers(name: str) -> None:
    tasks = sorted(["depth", helper_name("depth", ["edge", "segment"]), helper_name("edge", ["depth"]), "edge"])
    old, resumed = balance_of(name, tasks), balance_of(name, tasks)
    for rows in jacobians(5, tasks):
        step(old, rows)
    resumed.load_state_dict(old.state_dict())
    for rows in jacobians(8, tasks)[5:]:
        torch.manual_seed(0)
        wanted = step(old, rows)
        torch.manual_seed(0)
        assert torch.equal(step(resumed, rows), wanted)
    assert resumed.state_dict().keys() == old.state_dict().keys()


def test_the_task_with_the_largest_weight_has_priority() -> None:
    rows = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([-0.2, 1.0])}
    found = {task: step(balance_of("pcd", "ab", **{task: 2.0}), rows) for task in "ab"}
    for task, direction in found.items():
        weighted = 2 * rows[task]
        assert torch.cosine_similarity(direction, weighted, dim=0) > 0.95
        assert direction.norm().item() == pytest.approx(weighted.norm().item(), rel=1e-5)
    both = step(balance_of("pcd", "abc", c=5.0), rows)  # without the one that has priority
    torch.testing.assert_close(both, rows["a"] + rows["b"])


@pytest.mark.parametrize("name", sorted(WRITTEN.keys() - {"excess_mtl"}))  # whose sums of squares are what they are
@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e-5, 1e12, 1e25])
def test_gradients_of_any_length_have_a_finite_step(name: str, scale: float) -> None:
    balance = balance_of(name)
    for rows in jacobians(3):
        assert step(balance, {task: scale * row for task, row in rows.items()}).isfinite().all()


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e-5, 1e12, 1e25])
def test_grad_vac_is_free_of_the_scale_of_all_gradients(scale: float) -> None:
    small, usual = balance_of("grad_vac"), balance_of("grad_vac")
    for rows in jacobians(4):
        torch.manual_seed(0)
        wanted = step(usual, rows)
        torch.manual_seed(0)
        found = step(small, {task: scale * row for task, row in rows.items()})
        torch.testing.assert_close(found / scale, wanted, rtol=1e-3, atol=1e-4)


def test_excess_mtl_begins_anew_where_the_network_is_another_one() -> None:
    balance, fresh = balance_of("excess_mtl"), balance_of("excess_mtl")
    for rows in jacobians(4):
        step(balance, rows)
    assert balance.state_dict()
    balance.network_changed()
    assert not balance.state_dict()
    for rows in jacobians(4, numbers=7):
        torch.testing.assert_close(step(balance, rows), step(fresh, rows), rtol=0, atol=0)
