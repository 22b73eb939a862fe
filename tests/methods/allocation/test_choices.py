"""What tasks are found to use, and that the network pruned to it computes the same, bit for bit."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl import build_model, loads
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.allocation.learner import Allocation
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import place
from mtsldsl.runtime.network.execution import evaluating, run_layers
from mtsldsl.runtime.network.transfer import carry_state
from tests.laws import law
from tests.methods.allocation.specs import CPU, spec, training

TASKS = ("a", "b", "c")

APART = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = row(6)
}

task [a, b] {
  target = values(1)
  head   = linear(outputs)
}

backbone {
  stem = linear(5) | relu
  mix  = parallel(unit=linear(5) | relu, copies=2)
}

train {
  epochs = 4
}

structure allocation {
  write = [1]
}

sharing {
  stem = each
}
"""


def chosen(bits: list[bool]) -> tuple[Training, Allocation, Spec]:
    """A training whose tasks use what the bits say, for each layer, task and alternative; and the spec as it is."""
    made, learner = training(spec())
    with torch.no_grad():
        for logits, on in zip(learner.logits.values(), torch.tensor(bits).reshape(3, -1), strict=True):
            logits[:, 0] = torch.where(on, 1.0, -1.0)
            logits[:, 1] = torch.where(on, -1.0, 1.0)
    return made, learner, made.present


@law(30)
@given(st.lists(st.booleans(), min_size=21, max_size=21), st.integers(0, 3))
def test_the_pruned_network_computes_what_the_gated_one_does_bit_for_bit(bits: list[bool], seed: int) -> None:
    made, _, present = chosen(bits)
    row = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    pruned = build_model(present)
    carry_state(made.spec, present, made.model, pruned)
    heads = {task: Value.of_head(task) for task in TASKS}
    with evaluating(made.model), evaluating(pruned):
        gated = run_layers(made.model, present, row, heads.values())
        assert all(torch.equal(output, gated[heads[task]]) for task, output in pruned(row).items())
    used = {f"mix2.{name}" for task in TASKS for name in present.sharing.uses("mix2", task)}
    assert {name.rpartition(".linear")[0] for name in pruned.state_dict() if name.startswith("mix2.")} == used


PICTURES = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = image(1, 12, 12)
}

task [a, b, c] {
  target = values(1)
  head   = flatten | linear(outputs)
}

block unit(kernel) =
    conv2d(8, kernel, stride=2) | group_norm(4) | relu

backbone {
  stem = conv2d(8, 3) | group_norm(4) | relu
  mix1 = parallel(three=unit(3), five=unit(5), maximum=max_pool2d(3, 2, padding=1), skip=conv2d(8, 1, stride=2))
  norm = group_norm(4) | relu
  mix2 = parallel(three=conv2d(8, 3), mean=avg_pool2d(3, 1, padding=1), skip=identity)
}

train {
  epochs = 4
}

structure allocation {
}

sharing {
  stem = all
  norm = all
}
"""


@law(30)
@given(st.lists(st.booleans(), min_size=21, max_size=21), st.integers(0, 3))
def test_so_does_a_pruned_network_of_pictures(bits: list[bool], seed: int) -> None:
    made, learner = training(loads(PICTURES))
    with torch.no_grad():
        for logits, on in zip(learner.logits.values(), torch.tensor(bits).reshape(3, 7), strict=True):
            logits[:, 0] = torch.where(on, 1.0, -1.0)
            logits[:, 1] = torch.where(on, -1.0, 1.0)
    pruned = place(build_model(made.present), made.present, CPU)
    carry_state(made.spec, made.present, made.model, pruned)
    picture = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    picture = picture.contiguous(memory_format=torch.channels_last)
    heads = {task: Value.of_head(task) for task in TASKS}
    with evaluating(made.model), evaluating(pruned):
        gated = run_layers(made.model, made.present, picture, heads.values())
        assert all(torch.equal(output, gated[heads[task]]) for task, output in pruned(picture).items())


@law(20)
@given(st.lists(st.booleans(), min_size=21, max_size=21))
def test_a_phase_writes_what_is_used_and_nothing_is_lost(bits: list[bool]) -> None:
    made, learner, present = chosen(bits)
    again = made.spec.with_sharing(present.sharing)
    assert again.sharing == present.sharing
    learner.adopted(again)
    assert learner.present(again.sharing) == again.sharing
    for layer in ("mix1", "mix2"):
        live = {use.alternative for use in again.sharing[layer]}
        usable = learner.usable(again.sharing)
        assert {name for task in TASKS for name in usable.uses(layer, task)} == live
        assert all(set(usable.uses(layer, task)) == live for task in TASKS)


def test_what_is_as_probable_as_not_is_on() -> None:
    made, learner = training(spec(on=0.5))
    assert made.present.sharing == made.spec.sharing
    with torch.no_grad():
        learner.logits["b"][3 + 2, 0] -= 1e-6  # mix1 has three
    assert made.present.sharing.uses("mix2", "b") == ("unit1", "unit2", "unit4")


def all_on(learner: Allocation, at: Position) -> bool:
    """Whether a sample of `a` has all of `mix`."""
    return bool((learner.gates(("a",), at)["mix"]["a"] > 0).all())


def test_tasks_that_may_use_the_same_are_computed_together_also_where_the_spec_parts_them() -> None:
    """After a phase the spec has what tasks use; they may still use more, which has gradients of both."""
    found = []
    for least in (0.0, float("inf")):  # sets apart wherever there are some, or never
        made, learner = training(loads(APART))
        with torch.no_grad():
            learner.logits["a"][:, 0] = -1.0
        made.spec = made.present
        learner.adopted(made.spec)
        assert {made.spec.sharing.uses("mix", task) for task in "ab"} == {(), ("unit1", "unit2")}
        made.least = least
        made.model.train()
        made.steps = next(step for step in range(100) if all_on(learner, attrs.evolve(made.position, step=step)))
        for tasks in made.sets():
            outputs = made.forward(torch.ones(4, 6), tasks)
            made.zero_grad(tasks)
            torch.stack([output.square().sum() for output in outputs.values()]).sum().backward()
        found.append({name: each.grad for name, each in made.model.named_parameters() if each.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_evaluation_has_no_noise() -> None:
    made, _, _ = chosen([True, False, True] * 7)
    row = torch.randn(5, 6)
    with evaluating(made.model):
        first, second = (run_layers(made.model, made.present, row, [Value.of_head("a")]) for _ in range(2))
    assert torch.equal(first[Value.of_head("a")], second[Value.of_head("a")])


def test_a_task_uses_no_more_than_its_row_gives_it() -> None:
    made, learner = training(spec(sharing="  mix2 = unit1: a + b, unit3: a + c\n", on=0.9))
    gates = learner.gates(TASKS, made.position)
    assert {task: len(gates["mix2"][task]) for task in TASKS} == {"a": 2, "b": 1, "c": 1}
    assert {task: len(gates["mix1"][task]) for task in TASKS} == dict.fromkeys(TASKS, 3)
    assert made.present.sharing == made.spec.sharing
    outputs = made.forward(torch.randn(3, 6), ("a", "b"))
    assert set(outputs) == {"a", "b"}


def test_a_layer_whose_tasks_weigh_alternatives_is_left_as_it_is() -> None:
    text = spec().source.text.replace("copies=4)", "copies=4, gate=mixture)")
    given_spec = loads(text)
    made, learner = training(given_spec)
    assert list(learner.gates(TASKS, made.position)) == ["mix1"]
    assert all(logits.shape == (3, 2) for logits in learner.logits.values())
    assert made.present.sharing["mix2"] == given_spec.sharing["mix2"]


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_it_decides_at_the_epochs_to_write_and_the_last(epoch: int) -> None:
    made, learner = training(spec("write = [2]"))
    assert learner.due(attrs.evolve(made.position, epoch=epoch)) == (epoch in (2, 4))
