from __future__ import annotations

import pytest
import torch
from torch import nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.wiring import Value, inputs_of, upstream, wired
from mtsldsl.runtime.network.execution import Route, evaluating, features, layer_inputs, pooled, run_layers
from mtsldsl.sharing import Copy
from tests.runtime.hand_built import images, make_model, make_spec

X, Y, XY, Z, ALL = (frozenset(tasks) for tasks in ("x", "y", "xy", "z", "xyz"))
SPEC = make_spec("xyz", {"a": ["xyz"], "b": ["xy", "z"], "c": ["x", "y", "z"]})


def test_run_layers_computes_what_the_network_computes() -> None:
    model, image = make_model(SPEC).eval(), images(3)
    outputs = run_layers(model, SPEC, image, [Value("c", X), Value("c", Y), Value("c", Z)])
    for task, prediction in model(image).items():
        assert torch.equal(prediction, model.heads[task](outputs[Value("c", frozenset(task))]))


def test_run_layers_runs_each_ancestor_once_and_nothing_else() -> None:
    model = make_model(SPEC)
    ran: list[str] = []
    for name, module in model.named_modules():
        if name.count(".") == 1:
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    found = run_layers(model, SPEC, images(2), [Value("c", X), Value("b", XY), Value("c", X)])
    assert sorted(ran) == ["a.x+y+z", "b.x+y", "c.x"]
    assert list(found) == [Value("c", X), Value("b", XY)]


def test_a_route_is_run_with_one_input_after_the_other() -> None:
    model = make_model(SPEC).eval()
    wanted = [Value("c", X), Value("b", XY), Value("c", X)]
    route = Route.of(model, upstream(wired(SPEC), wanted), wanted)
    assert list(route.known) == list(inputs_of(SPEC))
    for image in (images(2), images(3) + 1):
        found = route.run(dict.fromkeys(route.known, image))
        expected = run_layers(model, SPEC, image, wanted)
        assert list(found) == list(expected)
        assert all(torch.equal(found[value], expected[value]) for value in found)
    assert model.get_submodule("c.y").calls == 0


def test_run_layers_keeps_modes_and_gradients() -> None:
    model, image = make_model(SPEC), images(4)
    run_layers(model, SPEC, image, [Value("b", Z)])[Value("b", Z)].sum().backward()
    assert model.training
    assert model.get_submodule("a.x+y+z.0").weight.grad is not None
    assert model.get_submodule("b.x+y.0").weight.grad is None


def test_layer_inputs_give_what_a_future_shared_copy_would_read() -> None:
    model, image = make_model(SPEC).eval(), images(2)
    found = layer_inputs(model, SPEC, image, [Copy("c", XY), Copy("a", ALL), Copy("b", Z)])
    outputs = run_layers(model, SPEC, image, [Value("b", XY), Value("a", ALL), Value("c", X)])
    assert found[Copy("a", ALL)] == (image,)
    assert torch.equal(found[Copy("c", XY)][0], outputs[Value("b", XY)])
    assert torch.equal(found[Copy("c", XY)][1], outputs[Value("a", ALL)])
    assert torch.equal(model.get_submodule("c.x")(*found[Copy("c", XY)]), outputs[Value("c", X)])
    assert model.get_submodule("c.y").calls == 0


def test_evaluating_restores_every_mode_also_after_an_error() -> None:
    model = make_model(SPEC)
    frozen = model.get_submodule("a.x+y+z")
    frozen.eval()
    with evaluating(model):
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
    with pytest.raises(RuntimeError), evaluating(model):
        raise RuntimeError
    assert torch.is_grad_enabled()
    assert model.training
    assert not any(part.training for part in frozen.modules())
    assert all(part.training for part in model.get_submodule("b").modules())


def test_features_are_pooled_evaluation_outputs_from_one_pass() -> None:
    model, image = make_model(SPEC), images(10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wanted = [Value("c", X), Value("c", Y), Value("b", XY), Value("b", Z)]
    found = features(model, SPEC, iter(image.split(4)), wanted, 10)
    assert list(found) == wanted
    assert model.training
    assert model.get_submodule("c.x").calls == 3
    assert model.get_submodule("c.z").calls == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with evaluating(model):
        for place, output in run_layers(model, SPEC, image, wanted).items():
            assert not found[place].requires_grad
            torch.testing.assert_close(found[place], pooled(output))


def test_features_stop_at_the_number_of_samples_asked_for() -> None:
    batches = iter(images(20).split(4))
    found = features(make_model(SPEC), SPEC, batches, [Value("b", Z)], 10)
    assert found[Value("b", Z)].shape == (10, 6)
    assert len(list(batches)) == 2


def test_features_of_fewer_images_than_asked_for_are_all_that_there_are() -> None:
    assert features(make_model(SPEC), SPEC, images(6).split(4), [Value("a", ALL)], 100)[Value("a", ALL)].shape == (6, 4)


def test_features_without_images_are_an_error_and_without_places_are_nothing() -> None:
    with pytest.raises(MtlError) as caught:
        features(make_model(SPEC), SPEC, [], [Value("a", ALL)], 5)
    assert caught.value.diagnostics[0].code == "MTL804"
    assert features(nn.Identity(), SPEC, [], [], 5) == {}
