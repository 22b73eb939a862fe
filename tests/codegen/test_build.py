"""Generated code as a live network, and the weights that it starts from."""

from __future__ import annotations

import traceback

import attrs
import pytest
import torch
from torch import nn

from mtsldsl.codegen import model_source
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model, initialise, load_model_class
from mtsldsl.sharing import Sharing
from tests.codegen.examples import GOLDEN, example


def alone(spec: Spec) -> Spec:
    return attrs.evolve(spec, sharing=Sharing.each(spec.backbone, spec.sharing.tasks))


def state_of(model: nn.Module, place: str) -> dict[str, torch.Tensor]:
    return dict(model.get_submodule(place).state_dict())


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_all_copies_of_a_layer_start_equal() -> None:
    model = build_model(alone(example("skips")))
    for task in ("depth", "edge", "normal"):
        assert_equal(state_of(model, f"enc2.{task}"), state_of(model, "enc2.segment"))


def test_initial_weights_do_not_depend_on_the_sharing() -> None:
    spec = example("skips")
    shared, separate = build_model(spec), build_model(alone(spec))
    assert_equal(state_of(shared, "enc2.depth+normal"), state_of(separate, "enc2.normal"))
    assert_equal(state_of(shared, "heads.depth"), state_of(separate, "heads.depth"))


def test_initial_weights_do_not_depend_on_the_order_of_tasks() -> None:
    text = (GOLDEN / "tokens" / "spec.mtl").read_text(encoding="utf-8")
    start, rest = text.split("task age {")
    age, rest = rest.split("task mood {")
    mood, rest = rest.split("block transformer")
    swapped = loads(f"{start}task mood {{{mood}task age {{{age}block transformer{rest}")
    assert [task.name for task in swapped.tasks] == ["mood", "age"]
    first, second = build_model(loads(text)), build_model(swapped)
    assert_equal(dict(first.state_dict()), dict(second.state_dict()))


def test_layers_of_one_structure_start_from_different_weights() -> None:
    model = build_model(example("tokens"))
    first, second = state_of(model, "first.age+mood"), state_of(model, "second.age")
    assert not torch.equal(first["linear1.weight"], second["linear1.weight"])


def test_the_seed_decides_the_weights() -> None:
    spec = example("tokens")
    model, same, other = build_model(spec), build_model(spec), build_model(spec)
    initialise(other, spec, seed=1)
    key = "first.age+mood.linear1.weight"
    assert torch.equal(model.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(model.state_dict()[key], other.state_dict()[key])


def test_parameters_that_no_module_resets_are_initialised_too() -> None:
    model, other = build_model(example("tokens")), build_model(example("tokens"))
    places = [name for name, _ in model.named_parameters() if name.endswith("position")]
    assert places
    for name in places:
        assert torch.equal(model.get_parameter(name), other.get_parameter(name))


def test_the_random_state_of_torch_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build_model(example("tokens"))
    assert torch.equal(torch.rand(4), expected)


def test_equal_code_gives_the_same_class() -> None:
    text = model_source(example("tokens"))
    assert load_model_class(text, "tokens") is load_model_class(text, "tokens")


def test_a_traceback_shows_the_generated_line() -> None:
    model = build_model(example("skips"))
    with pytest.raises(RuntimeError) as raised:
        model(torch.rand(2, 1, 32, 32))
    shown = "".join(traceback.format_exception(raised.value))
    assert 'stem = self.stem["depth+edge+normal+segment"](image)' in shown
    assert "<mtsldsl:skips" in shown
