"""What is sampled, averaged and penalised, each against numbers that are computed otherwise."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor

from mtsldsl import loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.wiring import Value, inputs_of, upstream, wired
from mtsldsl.methods.allocation.learner import Allocation, means, straight_through
from mtsldsl.runtime.learning.step import Position, Step
from mtsldsl.runtime.network.execution import Route
from tests.methods.allocation.specs import spec, training

STEPS = pytest.mark.parametrize("step", [0, 1, 99, 9_998, 9_999, 100_000])


@STEPS
def test_the_temperature_falls_with_the_root_of_the_steps(step: int) -> None:
    _, learner = training(spec())
    known = {0: 50.0, 99: 5.0, 9_999: 0.5}
    assert learner.settings.temperature.at(step) == pytest.approx(
        known.get(step, max(0.5, 50 * (step + 1) ** -0.5)), rel=1e-12
    )


def test_a_constant_temperature_is_the_same_at_every_step() -> None:
    _, learner = training(spec("temperature = constant(2)"))
    assert {learner.settings.temperature.at(step) for step in (0, 10, 10**6)} == {2.0}


@pytest.mark.parametrize("temperature", [0.1, 1.0, 50.0])
@pytest.mark.parametrize("probability", [0.03, 0.5, 0.9])
def test_samples_are_on_as_often_as_is_probable_at_any_temperature(probability: float, temperature: float) -> None:
    count = 20_000
    logits = torch.tensor([math.log(probability), math.log(1 - probability)]).repeat(count, 1)
    uniform = torch.rand(count, 2, generator=torch.Generator().manual_seed(1))
    found = straight_through(logits, uniform, temperature)
    assert set(found.tolist()) <= {0.0, 1.0}
    deviation = math.sqrt(probability * (1 - probability) / count)
    assert found.mean().item() == pytest.approx(probability, abs=4 * deviation)


def test_the_gradient_of_a_sample_is_that_of_the_relaxed_one() -> None:
    rng = np.random.default_rng(2)
    values, uniform, temperature = rng.normal(size=(5, 2)), rng.uniform(size=(5, 2)), 0.7
    logits = torch.tensor(values, requires_grad=True)
    straight_through(logits, torch.tensor(uniform), temperature).sum().backward()
    noisy = values - np.log(-np.log(uniform))
    soft = 1 / (1 + np.exp((noisy[:, 1] - noisy[:, 0]) / temperature))
    slope = soft * (1 - soft) / temperature
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad.numpy(), np.stack([slope, -slope], axis=1), rtol=1e-9)


def test_equal_noisy_logits_are_on() -> None:
    found = straight_through(torch.zeros(3, 2), torch.full((3, 2), 0.4), 1.0)
    assert found.tolist() == [1.0, 1.0, 1.0]


def gated(on: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """The value of `mix1` for the task c with these alternatives on, which these are, and what they give, (3, n, 5)."""
    made, _ = training(spec())
    calls = wired(made.spec, apart=("mix1", "mix2"))
    value = Value("mix1", frozenset("c"))
    image = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    chosen = torch.tensor(on, requires_grad=True)
    known = dict.fromkeys(inputs_of(made.spec), image)
    gates = {"mix1": {"c": means(chosen, torch.zeros(3, dtype=torch.long), 1)}}
    found = Route.of(made.model, upstream(calls, [value]), [value], gates).run(known, gates)[value]
    stem = made.model.get_submodule("stem.a+b+c")(image)
    each = [made.model.get_submodule(f"mix1.{name}")(stem) for name in ("wide", "thin", "skip")]
    return found, chosen, torch.stack(each)


def test_the_value_is_the_mean_of_what_is_on() -> None:
    found, _, each = gated((1.0, 0.0, 1.0))
    torch.testing.assert_close(found, (each[0] + each[2]) / 2)
    found, _, each = gated((0.0, 1.0, 0.0))
    assert torch.equal(found, each[1])


def test_where_nothing_is_on_the_value_is_zero() -> None:
    found, _, _ = gated((0.0, 0.0, 0.0))
    assert torch.equal(found, torch.zeros(4, 5))


@pytest.mark.parametrize("on", [(1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_the_normaliser_has_a_gradient_where_it_counts(on: tuple[float, ...]) -> None:
    found, chosen, each = gated(on)
    found.sum().backward()
    sums, total = each.sum(dim=(1, 2)).detach().numpy(), sum(on)
    weighted = float(np.dot(on, sums))
    slope = sums / max(total, 1) - (weighted / total**2 if total >= 1 else 0.0)
    gradient = chosen.grad
    assert gradient is not None
    np.testing.assert_allclose(gradient.numpy(), slope, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("sharing", ["", "  mix2 = unit1: a + b, unit2: a, unit3: a + b + c, unit4: b + c\n"])
def test_what_is_computed_at_once_goes_to_the_alternative_that_computes_it(sharing: str) -> None:
    made, learner = training(spec(sharing=sharing))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    usable = learner.usable(made.spec.sharing)
    gates = {
        layer: {task: torch.rand(len(usable.uses(layer, task)), requires_grad=True) for task in made.spec.sharing.tasks}
        for layer in ("mix1", "mix2")
    }
    calls = wired(attrs.evolve(made.spec, sharing=usable), apart=gates)
    heads = [Value.of_head(task) for task in "abc"]
    route = Route.of(made.model, upstream(calls, heads), heads, gates)
    assert any(stop.at_once for stop in route.stops)
    rows = torch.randn(4, 6)
    learned = [*made.model.parameters(), *(gate for of_task in gates.values() for gate in of_task.values())]
    found = []
    for each_module in (False, True):
        outputs = route.run(dict.fromkeys(route.known, rows), gates, each_module=each_module)
        loss = torch.stack([(place + 2) * output.square().mean() for place, output in enumerate(outputs.values())])
        found.append([*outputs.values(), *torch.autograd.grad(loss.sum(), learned)])
    for at_once, one_by_one in zip(*found, strict=True):
        torch.testing.assert_close(at_once, one_by_one, rtol=1e-4, atol=1e-5)


def test_a_step_moves_the_logits_of_its_own_tasks_alone() -> None:
    made, learner = training(spec())
    made.model.train()
    rows = {"small": torch.randn(4, 6), "large": torch.randn(4, 6)}
    before = {task: logits.clone() for task, logits in learner.logits.items()}
    for served in (("a", "b"), ("c",), ("c",)):  # Adam has a momentum for a and b by then
        for tasks in made.sets(served):
            outputs = made.forward(rows["large" if served == ("c",) else "small"], tasks)
            made.zero_grad(tasks)
            torch.stack([output.square().sum() for output in outputs.values()]).sum().backward()
        made.optimizer.step()
        moved = {task for task, logits in learner.logits.items() if not torch.equal(logits, before[task])}
        assert moved == set(served)
        before = {task: logits.clone() for task, logits in learner.logits.items()}


def noise(learner: Allocation, at: Position, layer: str, task: str) -> tuple[float, ...]:
    """What is drawn for three alternatives of a layer: `mix1` has three, `mix2` four."""
    first = 0 if layer == "mix1" else 3
    return tuple(learner.noise(task, at)[first : first + 3].flatten().tolist())


def test_noise_is_of_the_seed_the_step_the_layer_and_the_task() -> None:
    _, learner = training(spec())
    places = [
        (Position(step=step, seed=seed), layer, task)
        for step in (0, 7)
        for seed in (3, 4)
        for layer in ("mix1", "mix2")
        for task in ("a", "b", "c")
    ]
    drawn = {noise(learner, *place) for place in places}
    assert len(drawn) == len(places) == 24
    again = {noise(learner, attrs.evolve(at, epoch=5, batch=2), *rest) for at, *rest in places}
    assert again == drawn
    assert all(0 < number < 1 for each in drawn for number in each)


def test_a_task_has_the_same_gates_whoever_is_in_its_step() -> None:
    _, learner = training(spec())
    at = Position(step=7, seed=3)
    once, alone = learner.gates(("a", "b", "c"), at), learner.gates(("b",), at)
    assert all(torch.equal(once[layer]["b"], alone[layer]["b"]) for layer in once)


def test_gates_that_are_no_numbers_are_said_to_be_at_fault() -> None:
    given = spec("temperature = constant(1e-39)")
    made, _ = training(given)
    made.model.train()

    def step() -> None:
        with made.guarded():
            outputs = made.forward(torch.randn(4, 6), ("a", "b"))
            batch = {"a": torch.zeros(4, dtype=torch.long), "b": torch.zeros(4, 2)}
            made.require_finite(made.losses(outputs, batch), None)

    with pytest.raises(MtlError, match=r"MTL803.*how much a takes of the alternatives of `mix1`") as caught:
        step()
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.span.text.startswith("structure allocation")


def penalty(learner: Allocation, *tasks: str, progress: float = 0.0) -> Tensor | None:
    outputs = dict.fromkeys(tasks, torch.zeros(1))
    return learner.penalty(Step(Position(), {}, outputs, {}, {}, progress))


def with_probabilities(more: str, probability: float) -> Allocation:
    _, learner = training(spec(more))
    with torch.no_grad():
        for logits in learner.logits.values():
            logits[:, 0], logits[:, 1] = math.log(probability), math.log(1 - probability)
    return learner


@pytest.mark.parametrize("probability", [0.1, 0.39, 0.41, 0.8])
def test_only_what_is_above_the_budget_costs(probability: float) -> None:
    learner = with_probabilities("budget = 0.4\n  budget_weight = 3", probability)
    found = penalty(learner, "a")
    assert found is not None
    assert found.item() == pytest.approx(3 * max(0.0, probability - 0.4), abs=1e-6)
    found.backward()
    gradient = learner.logits["a"].grad
    assert gradient is not None
    slope = 3 / 7 * probability * (1 - probability) if probability > 0.4 else 0.0  # of 7 alternatives in all
    assert gradient[:, 0].tolist() == pytest.approx([slope] * 7, abs=1e-6)
    assert all(learner.logits[task].grad is None for task in ("b", "c"))


def test_the_penalty_is_the_sum_over_the_tasks_of_the_step() -> None:
    learner = with_probabilities("connection_weight = 0.5", 0.25)
    one, two = penalty(learner, "c"), penalty(learner, "a", "b")
    assert one is not None
    assert two is not None
    assert one.item() == pytest.approx(0.5 * 7 * 0.25)
    assert two.item() == pytest.approx(2 * one.item())


def test_doubt_costs_more_as_the_run_goes_on() -> None:
    learner = with_probabilities("entropy_weight = 2\n  entropy_power = 2", 0.25)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    for progress in (0.0, 0.5, 1.0):
        found = penalty(learner, "b", progress=progress)
        assert found is not None
        assert found.item() == pytest.approx(2 * progress**2 * 7 * entropy, abs=1e-6)


def test_a_layer_of_which_nothing_is_used_costs() -> None:
    learner = with_probabilities("disconnection_weight = 2", 0.25)
    found = penalty(learner, "b")
    assert found is not None
    assert found.item() == pytest.approx(2 * (0.75**3 + 0.75**4), abs=1e-6)


def test_without_weights_there_is_no_penalty() -> None:
    _, learner = training(spec())
    assert penalty(learner, "a") is None


def test_probabilities_start_as_the_settings_say() -> None:
    _, learner = training(spec(on=0.97))
    for logits in learner.logits.values():
        torch.testing.assert_close(logits.softmax(-1)[:, 0], torch.full((7,), 0.97))


def test_the_allocation_has_a_rate_of_its_own_and_no_decay() -> None:
    made, learner = training(spec(lr=0.25))
    network, own = made.optimizer.param_groups
    assert (network["lr"], own["lr"], own["weight_decay"]) == (0.01, 0.25, 0.0)
    assert {id(each) for each in own["params"]} == {id(each) for each in learner.parameters()}
    assert len(own["params"]) == 3


@pytest.mark.parametrize("balance", ["pcgrad", "it_mtl"])
def test_what_a_task_chooses_is_learned_whatever_the_balance(balance: str) -> None:
    """A task's own logits have its own gradient, however the gradients of what tasks share are balanced."""
    text = spec().source.text
    plain, balanced = (training(loads(text, overrides={"train.balance": name}))[0] for name in ("equal", balance))
    batch = {"row": torch.randn(8, 6, generator=torch.Generator().manual_seed(0))}
    batch |= {"a": batch["row"][:, :3].argmax(1), "b": batch["row"][:, 2:4]}
    for made in (plain, balanced):
        outputs = made.forward(batch["row"], ("a", "b"))
        made.backward(made.losses(outputs, batch), None)
    for task in "ab":
        gradient = plain.learner.get_parameter(f"logits.{task}").grad
        assert gradient is not None
        assert gradient.any()
        found = balanced.learner.get_parameter(f"logits.{task}").grad
        assert found is not None
        torch.testing.assert_close(found, gradient)
