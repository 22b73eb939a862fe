"""Tasks that share no layer are computed one set after the other: the same gradients, with less in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from mtsldsl.editing import loads, rewritten
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies, together, wired
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import GradientBalance
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, model_class
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.sharing import Copy, linked
from tests.codegen.examples import specs
from tests.runtime.started import CPU

TASKS = "abcdef"
SPEC = (
    'mtl 1\ndata arrays {\n  path  = "x.npz"\n  input = row(6)\n}\n'
    + "".join(f"task {name} {{\n  target = values(2)\n  head   = linear(2)\n  loss   = mse\n}}\n" for name in TASKS)
    + "backbone {\n  first  = linear(8) | batch_norm | relu\n  second = linear(8) | tanh\n}\n"
    + "sharing {\n  first  = a + c, b + d + e, f\n  second = a + c, b + d, e, f\n}\n"
    + "train {\n  epochs    = 1\n  optimizer = sgd(lr=0.1)\n}\n"
)


class Watching(Learner):
    """Wants to see a layer of every task."""

    def watching(self, spec: Spec, position: object) -> tuple[Copy, ...]:
        return tuple(copy for copy in copies(spec) if copy.layer == "first")


def training(spec: Spec, learner: Learner | None = None) -> Training:
    made = Training.start(
        spec, model_class(spec), learner or Learner(), lambda each: torch.optim.SGD(each, lr=0.1), lambda _: None, CPU
    )
    made.model.train()
    made.least = 0  # tiny as it is
    return made


def test_what_takes_longer_to_call_than_to_compute_is_computed_at_once() -> None:
    spec = loads(SPEC)
    made = training(spec)
    work = 3 * spec.data.batch * spec.cost().flops / 3
    for least, sets in ((work, 3), (work * 1.01, 1)):
        made.least = least
        assert len(list(made.sets())) == sets


def batch(spec: Spec, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs and targets; task `a` has no label in the third batch, nor has `b` in the second."""
    generator = torch.Generator().manual_seed(seed)
    made = {spec.data.input: torch.rand(5, *spec.data.shape, generator=generator)}
    for task in spec.tasks:
        made[task.field_name] = torch.rand(5, *task.head.shape, generator=generator)
        if (seed, task.name) in ((2, "a"), (1, "b")):
            made[task.field_name].fill_(torch.nan)
    return made


def gradients(training: Training, sets: Iterable[tuple[str, ...]], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    torch.manual_seed(5)  # of balances that draw
    for tasks in sets:
        outputs = training.forward(batch[training.spec.data.input], tasks)
        assert outputs.keys() == set(tasks)
        losses = training.losses(outputs, batch)
        training.zero_grad(tasks)
        training.backward(losses, None)
    named = (*training.model.named_parameters(), *training.balance.named_parameters())
    return {name: each.grad.clone() for name, each in named if each.grad is not None}


def everything(spec: Spec) -> tuple[tuple[str, ...], ...]:
    return (tuple(task.name for task in spec.tasks),)


JOINT = {"random", "geometric_mean", "stch", "pbi", "cosmos", "famo"}
"""The balances by which what a task counts depends on the losses of all, or on one draw for all."""


@pytest.mark.parametrize("balance", sorted(JOINT))
def test_tasks_of_a_joint_balance_are_computed_together(balance: str) -> None:
    made = training(loads(SPEC, overrides={"train.balance": balance}))
    assert made.balance.joint
    assert list(made.sets()) == [tuple(TASKS)]


@pytest.mark.parametrize("balance", [rule.name for rule in BALANCES.rules if rule.name not in JOINT])
def test_every_balance_gives_the_gradients_that_it_gives_for_all_at_once(balance: str) -> None:
    spec = loads(SPEC, overrides={"train.balance": balance})
    apart, whole = training(spec), training(spec)
    for seed in range(4):
        sets = list(apart.sets())
        assert sets == [("a", "c"), ("b", "d", "e"), ("f",)]
        each, at_once = gradients(apart, sets, batch(spec, seed)), gradients(whole, everything(spec), batch(spec, seed))
        assert each.keys() == at_once.keys()
        for name, gradient in at_once.items():
            torch.testing.assert_close(each[name], gradient, rtol=1e-6, atol=1e-9)
        for each_training in (apart, whole):
            each_training.optimizer.step()
            each_training.end_epoch({task: 1.0 + seed * number for number, task in enumerate(TASKS)})
    state = whole.model.state_dict()
    for name, value in apart.model.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("balance", [rule.name for rule in BALANCES.rules])
def test_a_balance_that_asks_for_gradients_one_by_one_has_a_graph_for_each_loss(balance: str) -> None:
    made = training(loads(SPEC, overrides={"train.balance": balance}))
    drawn = batch(made.spec)
    losses = made.losses(made.model(drawn[made.spec.data.input]), drawn).values
    heads = {task: made.model.get_submodule(f"heads.{task}").linear1.weight for task in TASKS}
    read = {
        task: {
            other
            for other, found in zip(
                TASKS,
                torch.autograd.grad(losses[task], list(heads.values()), retain_graph=True, allow_unused=True),
                strict=True,
            )
            if found is not None
        }
        for task in TASKS
    }
    own = {task: {task} for task in TASKS}
    assert read == (own if isinstance(made.balance, GradientBalance) else {task: set(TASKS) for task in TASKS})


@given(specs())
@settings(max_examples=25)
def test_any_network_has_the_same_gradients_to_the_bit(spec: Spec) -> None:
    apart, whole = training(spec), training(spec)
    found = gradients(apart, list(apart.sets()), batch(spec))
    expected = gradients(whole, everything(spec), batch(spec))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@given(specs())
@settings(max_examples=40)
def test_sets_part_the_tasks_and_share_no_copy_that_is_run(spec: Spec) -> None:
    sets = together(wired(spec), spec.sharing.tasks)
    assert sorted(task for tasks in sets for task in tasks) == sorted(spec.sharing.tasks)
    model = build_model(spec)
    called: dict[str, list[tuple[str, ...]]] = {}
    for tasks in sets:
        handles = [
            model.get_submodule(copy.name).register_forward_hook(noted(called, copy.name, tasks))
            for copy in copies(spec)
        ]
        image = torch.rand(2, *spec.data.shape)
        outputs = model(image) if len(sets) == 1 else model(image, tasks)
        assert tuple(outputs) == tasks
        for handle in handles:
            handle.remove()
    assert all(len(each) == 1 for each in called.values())
    # tasks of one set are linked by copies that serve several of them
    for tasks in sets:
        shared = [copy.component for copy in copies(spec) if copy.name in called and copy.component <= set(tasks)]
        assert linked(shared) == [frozenset(tasks)]


def noted(called: dict[str, list[tuple[str, ...]]], name: str, tasks: tuple[str, ...]) -> object:
    def note(_: nn.Module, __: tuple[Tensor, ...], ___: Tensor) -> None:
        called.setdefault(name, []).append(tasks)

    return note


def test_all_are_computed_at_once_where_the_learner_watches() -> None:
    spec = loads(SPEC)
    watched = training(spec, Watching())
    with watched.watched():
        assert list(watched.sets()) == list(everything(spec))
    assert len(list(watched.sets())) == 3
    assert (watched.batches, watched.steps) == (2, 2)


def test_a_step_is_counted_once_however_many_sets_it_has() -> None:
    made = training(loads(SPEC))
    for _ in made.sets():
        assert (made.batches, made.steps) == (0, 0)
    assert (made.batches, made.steps) == (1, 1)


def test_the_sets_are_those_of_the_network_as_it_is() -> None:
    spec = loads(SPEC)
    made = training(spec)
    assert len(list(made.sets())) == 3
    joined = rewritten(spec, spec.sharing.merge("first", {"a", "c", "f"}), ())
    made.spec, made.model = joined, build_model(joined)
    assert list(made.sets()) == [("a", "c", "f"), ("b", "d", "e")]
