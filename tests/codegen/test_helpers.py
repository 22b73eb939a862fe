"""Heads that help in a group: trained with it, and dropped without a trace in what the group serves."""

from __future__ import annotations

import attrs
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.codegen import compile_spec
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, copies
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.execution import run_layers
from mtsldsl.sharing import Copy
from tests.codegen.examples import example, specs
from tests.laws import law
from tests.sharing.strategies import grouped


@st.composite
def networks_in_groups(draw: st.DrawFn) -> Spec:
    """A small random network with some group in which a task helps."""
    spec = draw(specs())
    sharing = draw(grouped(spec.backbone, spec.sharing.tasks))
    assume(sharing.helpers)
    return attrs.evolve(spec, sharing=sharing)


def image(spec: Spec) -> Tensor:
    return torch.rand(3, *spec.data.shape, generator=torch.Generator().manual_seed(1))


def count(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def perturbed(spec: Spec) -> nn.Module:
    """A network whose copies and heads all differ."""
    model = build_model(spec)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.rand(parameter.shape, generator=generator)
    return model


@given(networks_in_groups())
@law(25)
def test_dropping_those_that_help_changes_no_output_of_a_served_task_by_a_bit(spec: Spec) -> None:
    model, served = perturbed(spec).eval(), spec.served()
    used = build_model(served).eval()
    state = {name: value for name, value in model.state_dict().items() if name in used.state_dict()}
    used.load_state_dict(state)  # strict: all that is used is there under the same name
    dropped = model.state_dict().keys() - state.keys()
    helping = {f"heads.{helper.name}" for helper in spec.sharing.helpers}
    assert {".".join(name.split(".")[:2]) for name in dropped} <= helping
    with torch.no_grad():
        before, after = model(image(spec)), used(image(spec))
    assert list(before) == list(after) == [task.name for task in spec.tasks]
    assert all(torch.equal(before[task], after[task]) for task in after)


@given(networks_in_groups())
@law(25)
def test_a_head_that_helps_reads_the_group_s_own_trunk_and_is_computed_in_training_alone(spec: Spec) -> None:
    model = perturbed(spec)
    names = [task.name for task in spec.tasks]
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()  # so that training changes no statistics between two passes
    model.training = True
    outputs = model(image(spec))
    assert list(outputs) == [*names, *(helper.name for helper in spec.sharing.helpers)]
    for helper in spec.sharing.helpers:
        head = spec.task(helper.task).head
        read = [
            image(spec)
            if name == spec.data.input
            else run_layers(model, spec, image(spec), [Value(name, helper.served)])[Value(name, helper.served)]
            for name in head.inputs
        ]
        module = model.get_submodule(Copy.head(helper.name).name)
        assert torch.equal(outputs[helper.name], module(*read))


@given(networks_in_groups())
@law(25)
def test_cost_counts_the_network_as_it_is_used_and_as_it_is_trained(spec: Spec) -> None:
    cost = spec.cost()
    assert cost.training.parameters == count(build_model(spec))
    assert cost.parameters == count(build_model(spec.served())) == spec.served().cost().parameters
    assert cost.flops == spec.served().cost().flops
    assert cost.training.flops == cost.flops + sum(cost.heads[each.task].flops for each in spec.sharing.helpers)


@given(networks_in_groups())
@law(15)
def test_a_task_starts_with_the_same_head_wherever_it_is_trained(spec: Spec) -> None:
    state = build_model(spec).state_dict()
    for helper in spec.sharing.helpers:
        own = {name: value for name, value in state.items() if name.startswith(f"heads.{helper.task}.")}
        for name, value in own.items():
            there = name.replace(f"heads.{helper.task}.", f"heads.{helper.name}.")
            assert torch.equal(state[there], value)


def test_a_group_alone_is_trained_as_its_own_network_would_be() -> None:
    spec = example("groups")
    model = build_model(spec)
    alone = build_model(
        attrs.evolve(
            spec,
            tasks=tuple(task for task in spec.tasks if task.name != "normal"),
            sharing=type(spec.sharing).all(spec.backbone, ("segment", "depth", "edge")),
        )
    )
    found, expected = model(image(spec), ("edge",)), alone(image(spec))
    assert list(found) == ["edge", "depth(edge)", "segment(edge)"]
    for name, task in (("edge", "edge"), ("depth(edge)", "depth"), ("segment(edge)", "segment")):
        assert torch.equal(found[name], expected[task])
    sum(each.square().mean() for each in found.values()).backward()
    sum(expected[task].square().mean() for task in ("edge", "depth", "segment")).backward()
    for name, parameter in alone.named_parameters():
        layer, _, rest = name.partition(".")
        if layer != "heads":
            mine = model.get_parameter(f"{layer}.edge.{rest.partition('.')[2]}")
            torch.testing.assert_close(mine.grad, parameter.grad)
    assert all(each.grad is None for each in model.get_submodule("stem.depth+segment").parameters())


def test_the_names_of_all_modules_are_those_of_the_wiring() -> None:
    spec = example("groups")
    known = {copy.name for copy in copies(spec)}
    assert {".".join(name.split(".")[:2]) for name in build_model(spec).state_dict()} == known
    assert "heads.depth(edge)" in known
    assert '"depth(edge)": DepthHead()' in compile_spec(spec)["model.py"]
