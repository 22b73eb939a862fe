"""What the generated network computes: shapes, parameters, and the same outputs however much is shared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.codegen import compile_spec
from mtsldsl.ir import Body, Spec
from mtsldsl.language.operators import OPERATORS
from mtsldsl.runtime.network.built import build_model
from mtsldsl.sharing import Sharing, Use, component_name
from mtsldsl.sharing.row import tasks_of
from tests.codegen.examples import NAMES, example, outputs, specs
from tests.sharing.strategies import valid_sharings


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def image(spec: Spec, count: int = 2) -> Tensor:
    return torch.rand(count, *spec.data.shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_come_in_the_spec_s_order_with_the_heads_shapes(name: str) -> None:
    spec = example(name)
    found = outputs(spec, build_model(spec).eval(), {data.name: torch.rand(2, *data.shape) for data in spec.blocks})
    assert list(found) == [task.name for task in spec.tasks]
    for task in spec.tasks:
        assert found[task.name].shape == (2, *task.head.shape)


@pytest.mark.parametrize("name", NAMES)
def test_tensors_are_named_by_layer_component_and_module(name: str) -> None:
    spec = example(name)
    places = {
        f"{layer.name}.{each.alternative if isinstance(each, Use) else component_name(tasks_of(each))}"
        for layer in spec.layers
        for each in spec.sharing[layer.name].components
    } | {f"heads.{task.name}" for task in spec.trained}
    places |= {
        f"{layer}.gate({task})"
        for layer in filter(spec.backbone.mixes, spec.backbone.layers)
        for task in spec.sharing.tasks
        if len(spec.sharing.of(layer, task)) > 1
    }
    assert {".".join(key.split(".")[:2]) for key in build_model(spec).state_dict()} <= places


def test_parameters_are_numbered_by_kind_within_a_layer() -> None:
    names = set(dict(build_model(example("skips")).named_parameters()))
    assert {"enc2.depth+normal.conv1.weight", "enc2.edge+segment.norm5.bias", "heads.segment.conv1.weight"} <= names


@given(specs())
@settings(max_examples=40, deadline=None)
def test_shapes_and_parameters_are_those_of_the_spec(spec: Spec) -> None:
    model = build_model(spec)
    outputs = model(image(spec))
    assert {task.name: (2, *task.head.shape) for task in spec.tasks} == {
        task: tuple(output.shape) for task, output in outputs.items()
    }
    assert parameters(model) == spec.cost().parameters


@given(specs())
@settings(max_examples=25, deadline=None)
def test_sharing_removes_exactly_the_copies_it_merges(spec: Spec) -> None:
    alone = attrs.evolve(spec, sharing=Sharing.each(spec.backbone, spec.sharing.tasks))
    removed = sum(
        cost.one.parameters * (len(spec.tasks) - len(spec.sharing[layer])) for layer, cost in spec.cost().layers.items()
    )
    assert parameters(build_model(alone)) - parameters(build_model(spec)) == removed


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_equal_weights_give_equal_outputs_whatever_is_shared(data: st.DataObject) -> None:
    spec = data.draw(specs())
    other = attrs.evolve(spec, sharing=data.draw(valid_sharings(spec.backbone, spec.sharing.tasks)))
    with torch.no_grad():
        first, second = (build_model(each).eval()(image(spec)) for each in (spec, other))
    for task, output in first.items():
        torch.testing.assert_close(second[task], output, rtol=1e-5, atol=1e-6)


def test_each_task_gets_its_own_copies() -> None:
    spec = example("skips")
    model = build_model(spec).eval()
    with torch.no_grad():
        before = model(image(spec))
        for parameter in model.get_submodule("enc2.edge+segment").parameters():
            parameter.mul_(1.5)
        after = model(image(spec))
    changed = {task for task in before if not torch.equal(before[task], after[task])}
    assert changed == {"segment", "edge"}


def test_the_generated_package_runs_where_mtsldsl_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for name, text in compile_spec(example("awkward")).items():
        (folder / name).write_text(text, encoding="utf-8")
    script = (
        "import sys, torch; from net import Model; out = Model()(torch.rand(2, 3, 8, 8));"
        "assert 'mtsldsl' not in sys.modules; print(sorted((k, tuple(v.shape)) for k, v in out.items())[0])"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "('a', (2, 1, 8, 8))\n", ran.stderr


def stepwise(body: Body, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The body's value, computed one step after the other with the module's own submodules: no names, no nesting."""
    values: dict[int | str, Tensor] = dict(inputs)
    numbers: dict[str, int] = {}
    for index, step in enumerate(body.steps):
        operator = OPERATORS[step.operator]
        scope: dict[str, object] = {"torch": torch, "F": nn.functional}
        scope |= {f"v{place}": values[source] for place, source in enumerate(step.inputs)}
        if operator.module is not None:
            numbers[operator.stem] = numbers.get(operator.stem, 0) + 1
            scope["kept"] = module.get_submodule(f"{operator.stem}{numbers[operator.stem]}")
        names = tuple(f"v{place}" for place in range(len(step.inputs)))
        values[index] = eval(
            operator.written(step.arguments, "kept", names, tuple(values[step.inputs[0]].shape[1:])), scope
        )
    return values[body.output]


@given(specs())
@settings(max_examples=40, deadline=None)
def test_the_written_code_computes_what_the_steps_say(spec: Spec) -> None:
    model = build_model(spec).eval()
    picture = image(spec)
    values = {(spec.data.input, task.name): picture for task in spec.tasks}
    with torch.no_grad():
        for layer in spec.layers:
            for tasks in spec.sharing[layer.name]:
                module = model.get_submodule(f"{layer.name}.{component_name(tasks)}")
                inputs = {name: values[name, min(tasks)] for name in layer.body.inputs}
                result = stepwise(layer.body, module, inputs)
                values.update({(layer.name, task): result for task in tasks})
        for task in spec.tasks:
            module = model.get_submodule(f"heads.{task.name}")
            inputs = {name: values[name, task.name] for name in task.head.inputs}
            expected = stepwise(task.head, module, inputs)
            torch.testing.assert_close(model(picture)[task.name], expected, rtol=1e-5, atol=1e-6)
