from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchjd import aggregation, scalarization

from mtsldsl.language.holding import named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS, Balance, GradientBalance, make_balance
from mtsldsl.sharing import linked

TASKS = ("segment", "depth", "normal")
ONES = dict.fromkeys(TASKS, 1.0)
AGREEING = {task: [1.0, 2.0] for task in TASKS}


def installed(name: str) -> bool:
    return all(find_spec(package) for package in SOLVERS.get(name, ()))


AVAILABLE = [name for name in [rule.name for rule in BALANCES.rules] if installed(name)]
GRADIENT = [name for name in AVAILABLE if isinstance(make_balance(named(BALANCES, name), TASKS, ONES), GradientBalance)]


def balance_of(
    name: str, tasks: tuple[str, ...] = TASKS, weights: Mapping[str, float] = ONES, **arguments: Any
) -> Balance:
    return make_balance(named(BALANCES, name, **arguments), tasks, weights)


def scalars(**values: float) -> dict[str, Tensor]:
    return {task: torch.tensor(value) for task, value in values.items()}


def linear(rows: Mapping[str, list[float]], shared: Tensor) -> dict[str, Tensor]:
    """Losses of 1 where the shared parameter is 0, whose gradients on it are the rows."""
    return {task: 1 + (torch.tensor(row) * shared).sum() for task, row in rows.items()}


def step(balance: Balance, rows: Mapping[str, list[float]]) -> Tensor:
    """The gradient of a parameter on which the tasks' gradients are the rows."""
    torch.manual_seed(0)
    shared = nn.Parameter(torch.zeros(len(next(iter(rows.values())))))
    balance.backward(linear(rows, shared), None, [shared])
    assert shared.grad is not None
    return shared.grad


def test_equal_is_the_weighted_sum() -> None:
    weights = {"segment": 1.0, "depth": 0.5, "normal": 2.0}
    total = balance_of("equal", weights=weights).combine(scalars(segment=1.0, depth=2.0, normal=3.0))
    assert total.item() == 8.0


def test_equal_has_no_parameters_and_no_state() -> None:
    assert list(balance_of("equal").parameters()) == []
    assert balance_of("equal").state_dict() == {}


def test_uncertainty_learns_one_log_variance_per_task() -> None:
    balance = balance_of("uncertainty")
    assert [name.rpartition(".")[2] for name, _ in balance.named_parameters()] == sorted(TASKS)
    total = balance.combine(scalars(segment=1.0, depth=2.0, normal=3.0))
    assert total.item() == pytest.approx(3.0)
    total.backward()
    assert [p.grad.item() for p in balance.parameters() if p.grad is not None] == pytest.approx([-0.5, -1.0, 0.0])


def test_uncertainty_settles_at_the_logarithm_of_the_loss() -> None:
    balance = balance_of("uncertainty", ("depth",), {"depth": 1.0})
    optimizer = torch.optim.SGD(balance.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        balance.combine(scalars(depth=4.0)).backward()
        optimizer.step()
    assert next(balance.parameters()).item() == pytest.approx(math.log(4.0), abs=1e-4)


def test_dwa_starts_equal_and_then_follows_the_ratio_of_epoch_means() -> None:
    balance = balance_of("dwa", ("a", "b"), {"a": 1.0, "b": 1.0}, temperature=2.0)
    losses = scalars(a=1.0, b=10.0)
    assert balance.combine(losses).item() == 11
    balance.end_epoch({"a": 4.0, "b": 1.0})
    assert balance.combine(losses).item() == 11
    balance.end_epoch({"a": 2.0, "b": 1.0})
    exponentials = math.exp(0.5 / 2), math.exp(1.0 / 2)
    factors = [2 * value / sum(exponentials) for value in exponentials]
    assert balance.combine(losses).item() == pytest.approx(factors[0] + 10 * factors[1])


def test_dwa_gives_more_weight_to_the_loss_that_falls_slower_and_keeps_the_sum() -> None:
    balance = balance_of("dwa", ("a", "b"), {"a": 1.0, "b": 1.0})
    for means in ({"a": 4.0, "b": 1.0}, {"a": 1.0, "b": 0.9}):
        balance.end_epoch(means)
    of_a, of_b = (balance.combine(scalars(a=a, b=1.0 - a)).item() for a in (1.0, 0.0))
    assert of_a < 1 < of_b
    assert of_a + of_b == pytest.approx(2)


def test_dwa_leaves_out_a_task_that_counts_nothing() -> None:
    counted = balance_of("dwa", ("a", "b"), {"a": 1.0, "b": 3.0})
    more = balance_of("dwa", ("a", "b", "c"), {"a": 1.0, "b": 3.0, "c": 0.0})
    for means in ({"a": 4.0, "b": 1.0, "c": 2.0}, {"a": 1.0, "b": 0.9, "c": 6.0}):
        counted.end_epoch({task: means[task] for task in "ab"})
        more.end_epoch(means)
    losses = scalars(a=1.0, b=2.0)
    found = more.combine(losses | scalars(c=5.0))
    assert torch.equal(found, counted.combine(losses))
    assert not torch.equal(found, torch.tensor(7.0))


def test_relative_is_free_of_the_scales_of_the_losses() -> None:
    shared = nn.Parameter(torch.tensor([1.0, 2.0]))
    found = []
    for scale in (1.0, 1000.0):
        shared.grad = None
        losses = {"a": shared.square().sum(), "b": scale * (shared[0] + 3 * shared[1])}
        balance_of("relative", ("a", "b"), {"a": 1.0, "b": 2.0}).backward(losses, None, [shared])
        assert shared.grad is not None
        found.append(shared.grad)
    torch.testing.assert_close(found[0], torch.tensor([2.0 / 5 + 2 * 1 / 7, 4.0 / 5 + 2 * 3 / 7]))
    torch.testing.assert_close(found[0], found[1])


def test_the_geometric_mean_weighs_a_task_as_often_as_its_weight_says() -> None:
    balance = balance_of("geometric_mean", ("a", "b"), {"a": 1.0, "b": 2.0})
    assert balance.combine(scalars(a=8.0, b=1.0)).item() == pytest.approx(3 * 2.0)
    assert balance.combine(scalars(a=5.0, b=5.0)).item() == pytest.approx(15.0)


def test_random_weights_are_positive_and_sum_to_the_number_of_tasks() -> None:
    torch.manual_seed(0)
    rows = {"segment": [1.0, 0.0, 0.0], "depth": [0.0, 1.0, 0.0], "normal": [0.0, 0.0, 1.0]}
    drawn = []
    for _ in range(200):
        shared = nn.Parameter(torch.zeros(3))
        balance_of("random").backward(linear(rows, shared), None, [shared])
        assert shared.grad is not None
        drawn.append(shared.grad)
    weights = torch.stack(drawn)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.full((200,), 3.0))
    assert weights.mean(0).tolist() == pytest.approx([1.0] * 3, abs=0.15)
    assert weights.std(0).min() > 0.3


@pytest.mark.parametrize("mu", [0.05, 1.0])
def test_stch_is_the_smooth_maximum_of_its_paper(mu: float) -> None:
    losses = {"segment": 0.5, "depth": 2.0, "normal": 1.0}
    found = balance_of("stch", mu=mu).combine(scalars(**losses))
    wanted = 3 * 3 * mu * math.log(sum(math.exp(loss / 3 / mu) for loss in losses.values()))
    assert found.item() == pytest.approx(wanted, rel=1e-5)


OF_OTHER_SIZE = {"uncertainty", "cagrad", "fair_grad", "sam_gs", "nash_mtl", "pcd"}
"""The balances whose step is of another size where all losses and gradients are the same, beside `relative`, as
docs/language.md says of each."""


@pytest.mark.parametrize("tasks", [TASKS[:2], TASKS])
@pytest.mark.parametrize("name", [name for name in AVAILABLE if name not in OF_OTHER_SIZE])
def test_losses_that_are_all_the_same_give_the_step_of_equal(name: str, tasks: tuple[str, ...]) -> None:
    rows = {task: [1.0, 2.0] for task in tasks}  # losses of 1, of which `relative` divides by nothing
    found = step(balance_of(name, tasks, dict.fromkeys(tasks, 1.0)), rows)
    torch.testing.assert_close(found, len(tasks) * torch.tensor([1.0, 2.0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", sorted({"relative", *OF_OTHER_SIZE}))
def test_the_reference_names_the_balances_whose_step_is_of_another_size(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    found = re.search(r"so that one learning rate\nsuits all; but (.*?)\. ", text, re.S)
    assert found is not None
    assert f"`{name}`" in found[1]


def test_pbi_is_the_distance_along_the_preference_and_that_to_it() -> None:
    losses, preference, theta = {"segment": 0.5, "depth": 2.0, "normal": 1.0}, (1.0, 2.0, 3.0), 4.0
    found = balance_of("pbi", preference=preference, theta=theta).combine(scalars(**losses))
    length = math.sqrt(14)
    along = (0.5 * 1 + 2.0 * 2 + 1.0 * 3) / length
    away = math.sqrt(0.25 + 4 + 1 - along**2)
    assert found.item() == pytest.approx(3 * (along + theta * away) / (6 / length), rel=1e-5)


def test_cosmos_is_the_weighted_sum_less_the_cosine() -> None:
    losses, preference = {"segment": 0.5, "depth": 2.0, "normal": 1.0}, (1.0, 2.0, 3.0)
    found = balance_of("cosmos", preference=preference, lambda_=0.3).combine(scalars(**losses))
    weighed = (0.5 * 1 + 2.0 * 2 + 1.0 * 3) / 6
    cosine = 6 * weighed / math.sqrt(14) / math.sqrt(0.25 + 4 + 1)
    assert found.item() == pytest.approx(3 * (weighed - 0.3 * cosine), rel=1e-5)


@pytest.mark.parametrize("name", ["pbi", "cosmos"])
def test_a_preference_is_in_the_order_of_the_tasks_of_the_spec(name: str) -> None:
    one = balance_of(name, preference=(1.0, 2.0, 3.0))
    other = balance_of(name, tuple(reversed(TASKS)), preference=(3.0, 2.0, 1.0))
    losses = scalars(segment=0.5, depth=2.0, normal=1.0)
    assert torch.equal(one.combine(losses), other.combine(losses))


def test_the_step_of_config_has_the_same_cosine_with_every_gradient_and_the_length_of_their_projections() -> None:
    rows = {"a": [1.0, 0.2, 3.0], "b": [-1.0, 1.0, 0.1], "c": [0.0, -20.0, 5.0]}
    found = step(balance_of("config", tuple(rows), dict.fromkeys(rows, 1.0)), rows)
    cosines = [torch.cosine_similarity(found, torch.tensor(row), dim=0).item() for row in rows.values()]
    assert cosines == pytest.approx([cosines[0]] * 3, abs=1e-5)
    assert cosines[0] > 0
    along = sum(torch.tensor(row) @ found / found.norm() for row in rows.values())
    assert found.norm().item() == pytest.approx(along.item(), rel=1e-5)


def test_grad_drop_keeps_of_each_number_the_gradients_of_one_sign() -> None:
    rows = {"a": [1.0, 3.0, 2.0], "b": [2.0, -1.0, 1.0]}
    drawn = []
    for seed in range(400):
        shared = nn.Parameter(torch.zeros(3))
        torch.manual_seed(seed)
        balance_of("grad_drop", ("a", "b"), {"a": 1.0, "b": 1.0}).backward(linear(rows, shared), None, [shared])
        assert shared.grad is not None
        drawn.append(shared.grad.tolist())
    assert {tuple(each) for each in drawn} == {(3.0, 3.0, 3.0), (3.0, -1.0, 3.0)}
    positive = sum(each[1] > 0 for each in drawn) / len(drawn)
    assert positive == pytest.approx(0.5 * (1 + 2 / 4), abs=0.08)  # the purity of the sign


def test_the_scales_of_imtl_l_make_all_losses_one() -> None:
    balance = balance_of("imtl_l", ("a", "b"), {"a": 1.0, "b": 1.0})
    optimizer = torch.optim.SGD(balance.parameters(), lr=0.2)
    losses = scalars(a=4.0, b=0.5)
    for _ in range(400):
        optimizer.zero_grad()
        balance.combine(losses).backward()
        optimizer.step()
    scales = [parameter.exp().item() for parameter in balance.parameters()]
    assert scales == pytest.approx([1 / 4.0, 1 / 0.5], rel=1e-3)


LEFT_OUT = {
    "Mean": "equal, but for the learning rate",
    "Sum": "equal",
    "Constant": "the key `weight` of a task",
    "MoDo": "needs gradients of two batches",
    "SDMGrad": "needs gradients of two batches",
    "Krum": "against gradients that are hostile",
    "TrimmedMean": "against gradients that are hostile",
}
"""What torchjd keeps and no balance is called, and why."""

CALLED = {
    "AlignedMTL": "aligned_mtl",
    "FairGrad": "fair_grad",
    "DualProj": "dual_proj",
    "IMTLG": "imtl_g",
    "GradVac": "grad_vac",
    "NashMTL": "nash_mtl",
    "CRMOGM": "cr_mogm",
    "ExcessMTL": "excess_mtl",
    "GradDrop": "grad_drop",
    "UW": "uncertainty",
    "IMTLL": "imtl_l",
    "GeometricMean": "geometric_mean",
}


def test_every_method_that_torchjd_keeps_is_a_balance_or_left_out_for_a_reason() -> None:
    bases = ("Aggregator", "GramianWeightedAggregator", "WeightedAggregator", "Weighting", "Scalarizer")
    every = {*aggregation.__all__, *scalarization.__all__} - {*bases}
    kept = {name.removesuffix("Weighting") for name in every}
    balances = {rule.name for rule in BALANCES.rules}
    named_so = {name for name in kept if CALLED.get(name, name.lower()) in balances}
    assert kept == named_so | LEFT_OUT.keys()
    assert not named_so & LEFT_OUT.keys()


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_balance_goes_on_from_its_state(name: str) -> None:
    first, second = balance_of(name), balance_of(name, tuple(reversed(TASKS)))
    for means in (dict(zip(TASKS, values, strict=True)) for values in ((4.0, 1.0, 1.0), (1.0, 0.9, 0.1))):
        first.end_epoch(means)
    with torch.no_grad():
        for place, parameter in enumerate(first.parameters()):
            parameter.fill_(place)
    second.load_state_dict(first.state_dict())
    losses = scalars(segment=1.0, depth=20.0, normal=300.0)

    def combined(balance: Balance) -> Tensor:
        torch.manual_seed(0)  # random draws its weights
        return balance.combine(losses)

    assert torch.equal(combined(first), combined(second))
    first.end_epoch(ONES)
    second.end_epoch(ONES)
    assert torch.equal(combined(first), combined(second))


def test_pcgrad_without_conflict_is_the_sum() -> None:
    rows = {"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 2.0]}
    assert step(balance_of("pcgrad", tuple(rows), dict.fromkeys(rows, 1.0)), rows).tolist() == pytest.approx([2.0, 3.0])


def test_pcgrad_projects_each_of_two_conflicting_gradients_on_the_normal_plane_of_the_other() -> None:
    a, b = torch.tensor([1.0, 0.2]), torch.tensor([-1.0, 1.0])
    found = step(balance_of("pcgrad", ("a", "b"), {"a": 1.0, "b": 1.0}), {"a": a.tolist(), "b": b.tolist()})
    torch.testing.assert_close(found, (a - (a @ b) / (b @ b) * b) + (b - (a @ b) / (a @ a) * a))


def test_mgda_is_the_least_norm_combination_scaled_by_the_number_of_tasks() -> None:
    found = step(balance_of("mgda", ("a", "b"), {"a": 1.0, "b": 1.0}), {"a": [1.0, 0.0], "b": [0.0, 2.0]})
    assert found.tolist() == pytest.approx([2 * 0.8, 2 * 0.4])


OF_OWN_LENGTH = {"fair_grad", "nash_mtl", "pcd", "sam_gs"}
"""The balances whose steps are as long as their papers say."""


@pytest.mark.parametrize("name", [name for name in GRADIENT if name not in OF_OWN_LENGTH])
def test_gradients_that_agree_add_up(name: str) -> None:
    rows = {"a": [1.0, 2.0], "b": [1.0, 2.0]}
    arguments = {"c": 0.0} if name == "cagrad" else {}
    found = step(balance_of(name, ("a", "b"), {"a": 1.0, "b": 1.0}, **arguments), rows)
    assert found.tolist() == pytest.approx([2.0, 4.0], rel=1e-3)


def test_a_method_without_its_solver_says_what_to_install() -> None:
    """In a process of its own, in which no solver can be imported."""
    gone = sorted({package for packages in SOLVERS.values() for package in packages})
    program = f"""
import sys
sys.modules |= dict.fromkeys({gone!r})
from mtsldsl.diagnostics import MtlError
from mtsldsl.language.constants import Named
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS, make_balance
for name in SOLVERS:
    arguments = {{key.name: key.default for key in BALANCES.rule(name).keys}}
    try:
        make_balance(Named(name, arguments), ("a", "b"), {{"a": 1.0, "b": 1.0}})
    except MtlError as error:
        (found,) = error.diagnostics
        assert found.code == "MTL206" and f"`{{name}}`" in found.cause and "pip install" in found.cause, found
        assert "pcgrad" in found.remedy, found
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == list(SOLVERS), done.stderr


@pytest.mark.parametrize("name", GRADIENT)
def test_a_parameter_of_one_task_gets_its_plain_gradient(name: str) -> None:
    shared, own = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    losses = linear({"a": [1.0, 0.2], "b": [-1.0, 1.0]}, shared)
    losses["a"] = losses["a"] + 3 * own.sum()
    balance_of(name, ("a", "b"), {"a": 2.0, "b": 1.0}).backward(losses, None, [shared, own])
    assert own.grad is not None
    assert own.grad.tolist() == [6.0, 6.0]


@pytest.mark.parametrize("name", GRADIENT)
def test_without_shared_parameters_a_gradient_method_is_the_plain_gradient(name: str) -> None:
    owned = {task: nn.Parameter(torch.ones(2)) for task in TASKS}
    losses = {task: (place + 1) * owned[task].square().sum() for place, task in enumerate(TASKS)}
    balance_of(name).backward(losses, None, owned.values())
    assert [owned[task].grad.tolist() for task in TASKS] == [[2.0, 2.0], [4.0, 4.0], [6.0, 6.0]]


@pytest.mark.parametrize("name", GRADIENT)
def test_tasks_that_share_nothing_with_each_other_are_balanced_apart(name: str) -> None:
    rows = {"a": [1.0, 0.2], "b": [-1.0, 1.0]}
    alone = step(balance_of(name, ("a", "b"), {"a": 1.0, "b": 1.0}), rows)
    torch.manual_seed(0)
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    losses = linear(rows, first) | linear({"c": [5.0], "d": [7.0]}, second)
    balance_of(name, tuple("abcd"), dict.fromkeys("abcd", 1.0)).backward(losses, None, [first, second])
    assert first.grad is not None
    torch.testing.assert_close(first.grad, alone)


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_extra_loss_adds_its_plain_gradient(name: str) -> None:
    rows = {"segment": [1.0, 0.2], "depth": [-1.0, 1.0], "normal": [0.5, 0.5]}
    without = step(balance_of(name), rows)
    torch.manual_seed(0)
    shared = nn.Parameter(torch.zeros(2))
    hidden = shared * 2  # part of the graph of the losses and of the extra loss
    losses = linear({task: [number / 2 for number in row] for task, row in rows.items()}, hidden)
    balance_of(name).backward(losses, 10 * hidden.sum(), [shared])
    assert shared.grad is not None
    torch.testing.assert_close(shared.grad, without + 20)


@pytest.mark.parametrize("name", AVAILABLE)
def test_gradients_are_added_to_those_already_there(name: str) -> None:
    shared = nn.Parameter(torch.zeros(2))
    shared.grad = torch.full((2,), 5.0)
    balance_of(name).backward(linear(AGREEING, shared), None, [shared])
    fresh = step(balance_of(name), AGREEING)
    torch.testing.assert_close(shared.grad, fresh + 5)


def test_a_frozen_parameter_and_one_that_no_loss_reads_get_no_gradient() -> None:
    shared, frozen, idle = (
        nn.Parameter(torch.ones(2)),
        nn.Parameter(torch.ones(2), requires_grad=False),
        nn.Parameter(torch.ones(1)),
    )
    losses = {task: loss + frozen.sum() for task, loss in linear(AGREEING, shared).items()}
    balance_of("pcgrad").backward(losses, None, [shared, frozen, idle])
    assert (frozen.grad, idle.grad) == (None, None)


ROUNDED = {"famo", "pareto", "random", "stch", "geometric_mean", "pbi", "cosmos"}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(AVAILABLE),
    order=st.permutations(TASKS),
    rows=st.lists(st.lists(st.floats(-2, 2, width=16), min_size=4, max_size=4), min_size=3, max_size=3),
)
def test_the_order_of_the_tasks_does_not_matter(name: str, order: list[str], rows: list[list[float]]) -> None:
    named = dict(zip(TASKS, rows, strict=True))
    weights = {"segment": 1.0, "depth": 0.5, "normal": 2.0}
    shuffled = {task: named[task] for task in order}
    one = step(balance_of(name, weights=weights), named)
    other = step(balance_of(name, tuple(order), {task: weights[task] for task in order}), shuffled)
    if name in ROUNDED:  # factors that no float16 has: the order of a sum rounds otherwise
        torch.testing.assert_close(one, other)
    else:
        assert torch.equal(one, other)
    assert one.isfinite().all()


@pytest.mark.parametrize("name", AVAILABLE)
def test_gradients_that_are_all_zero_give_a_step_of_zero(name: str) -> None:
    zeros = {task: [0.0] * 4 for task in TASKS}
    assert step(balance_of(name), zeros).tolist() == [0.0] * 4


@pytest.mark.skipif(not installed("nash_mtl"), reason="its solver is not installed")
@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("name", AVAILABLE)
def test_gradients_that_are_not_finite_are_no_step_that_looks_right(name: str, broken: float) -> None:
    """Nor an error of what weighs them: the losses of the next step tell where it comes from."""
    rows = {"segment": [1.0, 2.0, 1.0], "depth": [1.0, broken, -1.0], "normal": [0.5, 1.0, 2.0]}
    found = step(balance_of(name), rows)
    assert not found.isfinite().all()


def test_a_step_without_gradients_is_none_of_the_bargaining() -> None:
    rows = [{"segment": [1.0, 0.2], "depth": [-1.0, 1.0], "normal": [0.5, scale]} for scale in (0.5, 9.0)]
    zeros = {task: [0.0, 0.0] for task in TASKS}
    one, other = balance_of("nash_mtl"), balance_of("nash_mtl")
    without = [step(one, each) for each in rows]
    between = [step(other, each) for each in (zeros, rows[0], zeros, rows[1])]
    assert torch.equal(between[1], without[0])
    assert torch.equal(between[3], without[1])


class _EachParameter:
    """GradDrop on the parameters of two and three numbers, one after the other, as it draws."""

    def __call__(self, jacobian: Tensor) -> Tensor:
        return torch.cat([aggregation.GradDrop()(part) for part in (jacobian[:, :2], jacobian[:, 2:])])


TORCHJD = {
    "pcgrad": lambda: aggregation.PCGrad(),
    "mgda": lambda: aggregation.MGDA(),
    "imtl_g": lambda: aggregation.IMTLG(),
    "aligned_mtl": lambda: aggregation.AlignedMTL(),
    "cagrad": lambda: aggregation.CAGrad(0.5),
    "fair_grad": lambda: aggregation.FairGrad(1.0),
    "dual_proj": lambda: aggregation.DualProj(),
    "upgrad": lambda: aggregation.UPGrad(),
    "config": lambda: aggregation.ConFIG(),
    "grad_drop": lambda: _EachParameter(),
}


ADDED_UP = {"pcgrad", "fair_grad", "config", "grad_drop"}
"""What torchjd gives for these is no mean."""


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([name for name in GRADIENT if name in TORCHJD]),
    rows=st.lists(st.lists(st.integers(-3, 3), min_size=5, max_size=5), min_size=2, max_size=4),
)
def test_a_gradient_method_is_torchjd_on_the_whole_jacobian(name: str, rows: list[list[int]]) -> None:
    aggregator = TORCHJD[name]()
    tasks = tuple("abcd"[: len(rows)])
    jacobian = torch.tensor(rows, dtype=torch.float32)
    torch.manual_seed(0)
    wanted = aggregator(jacobian) * (1 if name in ADDED_UP else len(rows))
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    losses = {task: row[:2] @ first + row[2:] @ second for task, row in zip(tasks, jacobian, strict=True)}
    torch.manual_seed(0)
    balance_of(name, tasks, dict.fromkeys(tasks, 1.0)).backward(losses, None, [first, second])
    assert first.grad is not None
    assert second.grad is not None
    torch.testing.assert_close(torch.cat([first.grad, second.grad]), wanted, atol=1e-4, rtol=1e-4)


def test_sets_that_overlap_through_others_are_linked() -> None:
    sets = [frozenset("ab"), frozenset("cd"), frozenset("bc"), frozenset("ef")]
    assert set(linked(sets)) == {frozenset("abcd"), frozenset("ef")}
    assert linked([]) == []
