"""The combination of tasks that helps all most, against steps made by hand."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from itertools import combinations

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.methods.ltb.learner import Ltb
from mtsldsl.runtime.learning.balance.it_mtl import IncrementalTransference
from mtsldsl.runtime.learning.probe import Moved, Probe
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from tests.methods.allocation import specs as allocation
from tests.runtime.looking_ahead import TEXT, batch_of, gradients, training
from tests.runtime.started import CPU


def chosen(made: Training) -> str:
    assert isinstance(made.balance, IncrementalTransference)
    return "".join(task for task, of_it in zip("abc", made.balance.chosen.tolist(), strict=True) if of_it)


def by_hand(
    made: Training, batch: Mapping[str, Tensor], tasks: str, shared: tuple[str, ...], rate: float = 0.1
) -> dict[str, float]:
    """The transference of every combination to all, each with a network of its own."""
    random = torch.get_rng_state()

    def losses(model: nn.Module) -> dict[str, Tensor]:
        torch.set_rng_state(random)
        outputs = model(batch["row"])
        return {task: (outputs[task] - batch[task]).square().mean() for task in tasks}

    found = {}
    for size in (3, 2, 1):
        for each in combinations(tasks, size):
            model = copy.deepcopy(made.model)
            before = losses(model)
            named = {name: weight for name, weight in model.named_parameters() if name.startswith(shared)}
            total = torch.stack([before[task] for task in each]).sum()
            step = torch.autograd.grad(total, list(named.values()), allow_unused=True)
            with torch.no_grad():
                for weight, gradient in zip(named.values(), step, strict=True):
                    if gradient is not None:
                        weight -= rate * gradient
                after = losses(model)
            found["".join(each)] = sum(1 - (after[task] / before[task]).item() for task in tasks)
    torch.set_rng_state(random)
    return found


@pytest.mark.parametrize("candidates", ["all", "singles"])
def test_the_combination_is_the_best_of_those_tried_by_hand(candidates: str) -> None:
    best, rate = set(), 1.0
    for seed in range(6):
        made, batch = training(f"it_mtl(candidates={candidates})", rate=rate), batch_of(seed)
        for task in ("a", "bc", "b", "ac", "c", "ab")[seed]:
            batch[task] = 4 * batch[task]  # their steps are too long for the others
        torch.manual_seed(seed)
        tried = by_hand(made, batch, "abc", ("stem", "last.a+b"), rate)
        allowed = [each for each in tried if candidates == "all" or len(each) in (1, 3)]
        gradients(made, batch)
        assert chosen(made) == max(allowed, key=lambda each: tried[each])
        best.add(chosen(made))
    assert len(best) > 2  # it is not always the same


def test_what_is_shared_moves_by_the_combination_and_each_head_by_its_own_task() -> None:
    made, plain = training("it_mtl"), training("equal")
    for seed in range(3):
        batch, random = batch_of(seed), torch.get_rng_state()
        gradients(made, batch)
        torch.set_rng_state(random)
        gradients(plain, batch)
        torch.set_rng_state(random)
        outputs = plain.model(batch["row"])
        total = torch.stack([(outputs[task] - batch[task]).square().mean() for task in chosen(made)]).sum()
        wanted = torch.autograd.grad(total, list(plain.model.parameters()), allow_unused=True)
        assert made.balance.weighed.keys() == {"a", "b", "c"}
        assert {task: float(factor) for task, factor in made.balance.weighed.items()} == {
            task: float(task in chosen(made)) for task in "abc"
        }
        named = zip(made.model.named_parameters(), plain.model.parameters(), wanted, strict=True)
        for (name, weight), all_of_them, of_chosen in named:
            shared = name.startswith(("stem", "last.a+b"))
            assert weight.grad is not None
            torch.testing.assert_close(
                weight.grad, of_chosen if shared and of_chosen is not None else all_of_them.grad * (not shared)
            )


def test_a_task_that_harms_the_others_is_left_out() -> None:
    made = training("it_mtl", ("dropout(0.5) | ", ""), ("last = a + b, c", "last = all"))
    heads = [made.model.get_submodule(f"heads.{task}") for task in "abc"]
    for head in heads[1:]:
        head.load_state_dict(heads[0].state_dict())
    batch = batch_of(0)
    outputs = made.model(batch["row"])["a"].detach()
    batch["b"] = batch["a"]
    batch["c"] = outputs - 1.2 * (batch["a"] - outputs)  # the same error on the other side
    gradients(made, batch)
    assert chosen(made) in ("ab", "c")
    tried = by_hand(made, batch, "abc", ("stem", "last"))
    assert tried["ab"] > tried["abc"]


def test_looking_ahead_changes_nothing_but_the_choice() -> None:
    made, plain = training("it_mtl"), training("equal")
    batch = batch_of(0)
    torch.manual_seed(3)
    gradients(made, batch)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    gradients(plain, batch)
    assert torch.equal(torch.rand(3), drawn)
    other = plain.model.state_dict()
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(tensor, other[name]), name


def test_between_two_looks_the_combination_stays() -> None:
    made, looked = training("it_mtl(every=3)"), []
    observe = made.balance.observe
    made.balance.observe = lambda probe: (looked.append(made.steps), observe(probe))[1]  # type: ignore[method-assign]
    found = []
    for seed in range(7):
        gradients(made, batch_of(seed))
        found.append(chosen(made))
        made.optimizer.step()
    assert looked == [0, 3, 6]
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4] == found[5]


def test_where_no_task_of_the_combination_is_in_a_batch_all_count() -> None:
    made = training("it_mtl(every=10)")
    made.steps = 1
    assert isinstance(made.balance, IncrementalTransference)
    made.balance.chosen.copy_(torch.tensor([True, False, False]))
    gradients(made, batch_of(0))
    assert [float(made.balance.weighed[task]) for task in "abc"] == [1, 0, 0]
    gradients(made, batch_of(1, without="a"))
    assert {task: float(factor) for task, factor in made.balance.weighed.items()} == {"b": 1, "c": 1}
    assert chosen(made) == "a"


def test_a_task_without_a_label_neither_gives_nor_takes() -> None:
    for seed in range(4):
        made, batch = training("it_mtl"), batch_of(seed, without="b")
        torch.manual_seed(seed)
        tried = by_hand(made, batch, "ac", ("stem",))
        gradients(made, batch)
        best = max(tried, key=lambda each: tried[each])
        assert {task for task, factor in made.balance.weighed.items() if factor} == set(best)


def test_tasks_that_share_nothing_are_chosen_apart() -> None:
    parts = (
        ("task [a, b, c]", "task [a, b, c, d]"),
        ("stem = all", "stem = a + b, c + d"),
        ("last = a + b, c", "last = a + b, c + d"),
    )
    apart, whole = (
        training("it_mtl", *parts, ("dropout(0.5) | ", "")),
        training("it_mtl", *parts, ("dropout(0.5) | ", "")),
    )
    apart.least = 0
    assert list(apart.sets()) == [("a", "b"), ("c", "d")]
    apart.steps = apart.batches = 0
    for seed in range(4):
        batch = batch_of(seed) | {"d": batch_of(seed + 10)["a"]}
        gradients(apart, batch)
        gradients(whole, batch, sets=["abcd"])
        whole.steps += 1
        state = whole.balance.state_dict()
        assert torch.equal(apart.balance.state_dict()["chosen"], state["chosen"])
        for one, other in zip(apart.model.parameters(), whole.model.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-9)
        for each in (apart, whole):
            each.optimizer.step()


def test_a_look_ahead_runs_the_network_with_the_gates_of_the_step() -> None:
    spec = loads(allocation.spec().source.text, overrides={"train.balance": "it_mtl"})
    made, _ = allocation.training(spec)
    made.model.train()
    batch = batch_of(0)
    batch["a"] = batch["a"].argmax(1)
    found = []
    made.balance.observe = lambda probe: found.append((probe.losses, probe.losses_at({})))  # type: ignore[method-assign]
    gradients(made, batch, sets=["ab"])
    ((before, after),) = found
    for task in "ab":
        torch.testing.assert_close(after[task], before[task].detach())


def test_no_graph_is_left_when_it_looks_ahead() -> None:
    made = training("it_mtl")
    kept: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        if output.requires_grad:
            kept.append(weakref.ref(output))
        else:  # of a look ahead
            alive.extend(each() is not None for each in kept)

    made.model.get_submodule("last.a+b").register_forward_hook(note)
    gradients(made, batch_of(0))
    assert len(kept) == 1
    assert len(alive) == 7
    assert not any(alive)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations("abc"), seed=st.integers(0, 5))
def test_of_combinations_that_are_as_good_the_first_is_taken(order: list[str], seed: int) -> None:
    """A rate of 0 changes no loss: all are as good."""
    made = training("it_mtl", ("task [a, b, c]", f"task [{', '.join(order)}]"), rate=0.0)
    gradients(made, batch_of(seed))
    assert chosen(made) == "abc"


def test_a_loss_that_a_step_makes_no_number_is_never_chosen() -> None:
    made = training("it_mtl", ("dropout(0.5) | ", ""))
    of = Probe.losses_at
    shared = made.model.get_parameter("last.a+b.linear1.weight")

    def wild(probe: Probe, moved: Moved) -> Mapping[str, Tensor]:
        found = of(probe, moved)
        return {task: loss * torch.nan for task, loss in found.items()} if shared in moved else found

    batch = batch_of(0)
    outputs = made.forward(batch["row"], ("a", "b", "c"))
    losses = made.losses(outputs, batch)
    probe = made._probe(batch["row"], torch.get_rng_state(), batch, outputs, losses)
    strange = type("Strange", (Probe,), {"losses_at": wild})
    made.balance.observe(strange(**{each.name: getattr(probe, each.name) for each in attrs.fields(Probe) if each.init}))
    made.backward(losses, None)
    assert chosen(made) == "c"  # the others move what a and b share


def test_more_tasks_than_combinations_can_be_tried_of_are_an_error() -> None:
    many = TEXT.replace("[a, b, c]", f"[{', '.join(f't{number}' for number in range(11))}]").replace("a + b, c", "all")
    with pytest.raises(MtlError) as caught:
        loads(many, overrides={"train.balance": "it_mtl"})
    (found,) = caught.value.diagnostics
    assert found.code == "MTL202"
    assert "2047 combinations of 11 tasks" in found.cause
    assert "singles" in found.remedy
    single = loads(many, overrides={"train.balance": "it_mtl(candidates=singles)"})
    with pytest.raises(ValueError, match="2047"):
        attrs.evolve(single, train=loads(TEXT, overrides={"train.balance": "it_mtl"}).train)


def choosing(balance: str) -> Training:
    """A training whose copies of layers choose what they read."""
    text = TEXT.replace("stem = all", "stem = each").replace("last = a + b, c", "last = each")
    text = text.replace("head   = dropout(0.5) |", "head   =")
    spec = loads(f"{text}\nstructure ltb {{\n  choose = 1\n}}\n", overrides={"train.balance": balance})
    assert spec.structure is not None
    learner = Ltb(spec.structure.settings)
    made = Training.start(
        spec, model_class(spec), learner, lambda named: torch.optim.SGD(named, lr=0.1), lambda _: None, CPU
    )
    made.model.train()
    return made


def test_a_look_ahead_moves_what_a_learner_learns_too() -> None:
    made, batch, looked = choosing("it_mtl"), batch_of(0), []
    observe = made.balance.observe
    made.balance.observe = lambda probe: (looked.append(probe), observe(probe))[1]  # type: ignore[method-assign]
    (tasks,) = made.sets()
    made.steps = made.batches = 0
    gradients(made, batch, sets=[tasks])
    (probe,) = looked
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.model.parameters():  # copies that are alike may be read in place of each other
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    for parameters in (made.learner.parameters(), made.model.parameters()):
        moved = {each: each.detach() + 3 * torch.randn(each.shape, generator=generator) for each in parameters}
        before, after = probe.losses_at({}), probe.losses_at(moved)
        assert any(not torch.equal(after[task], before[task]) for task in tasks)
        other = copy.deepcopy((made.model, made.learner))
        with torch.no_grad():
            for parameter, value in moved.items():
                parameter.copy_(value)
        outputs = made.forward(batch["row"], tasks)
        wanted = made.losses(outputs, batch).values
        for task in tasks:
            torch.testing.assert_close(after[task], wanted[task].detach(), rtol=0, atol=0)
        for now, kept in zip((made.model, made.learner), other, strict=True):
            now.load_state_dict(kept.state_dict())


@pytest.mark.parametrize("balance", ["it_mtl", "famo"])
def test_parameters_of_a_learner_that_tasks_share_are_balanced_as_others_are(balance: str) -> None:
    made = choosing(balance)
    of_alternatives, _ = allocation.training(loads(allocation.spec().source.text, overrides={"train.balance": balance}))
    for each, tasks in ((made, "abc"), (of_alternatives, "ab")):
        each.model.train()
        for seed in range(3):
            batch = batch_of(seed)
            if tasks == "ab":
                batch["a"] = batch["a"].argmax(1)
            before = [parameter.detach().clone() for parameter in each.learner.parameters()]
            gradients(each, batch, sets=[tuple(tasks)])
            each.optimizer.step()
            each.steps += 1
            assert any(not torch.equal(*two) for two in zip(before, each.learner.parameters(), strict=True))
            assert all(parameter.isfinite().all() for parameter in each.learner.parameters())
