"""`readout` and `stitched`: against numpy, against the whole network with a hook in it, and what they must not depend
on."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.methods.similarities import Readout, Stitched
from mtsldsl.runtime.similarity import readout, readout_matrix
from mtsldsl.runtime.structure.similarities import comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.similarities import readout as module
from tests.runtime.test_similarity_of_losses import (
    COUNT,
    TASKS,
    TEXT,
    equal_tasks,
    losses,
    matrix,
    place,
    randomised,
    samples,
    two_sources,
    viewed,
)

Array = Any


def fit(x: Array, y: Array) -> Any:
    """Ridge regression as least squares with further rows, and what maps x to y."""
    centred = x - x.mean(0)
    penalty = 1e-3 * (centred**2).sum() / x.shape[1]
    rows = np.vstack([centred, np.sqrt(penalty) * np.eye(x.shape[1])])
    targets = np.vstack([y - y.mean(0), np.zeros((x.shape[1], y.shape[1]))])
    weight = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return lambda other: (other - x.mean(0)) @ weight + y.mean(0)


def explained(x: Array, y: Array, half: int) -> float:
    predicted = fit(x[:half], y[:half])(x[half:])
    held = y[half:]
    return max(0.0, 1 - ((held - predicted) ** 2).sum() / ((held - held.mean(0)) ** 2).sum())


def activations(model: nn.Module, layer: str) -> dict[str, Array]:
    """What the copies of a layer give for all samples, in the order in which a run draws them, by hooks."""
    found: dict[str, Array] = {}
    model = copy.deepcopy(model).eval()
    for task in TASKS:
        model.get_submodule(f"{layer}.{task}").register_forward_hook(
            lambda _, __, output, task=task: found.update({task: output.detach().double().numpy()})
        )
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model(samples().fields["image"][order])
    return found


def in_rows(activation: Array) -> Array:
    return np.moveaxis(activation, 1, -1).reshape(-1, activation.shape[1])


@given(st.integers(0, 2**31), st.integers(8, 40), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=10)
def test_readout_is_that_of_ridge_regression(seed: int, count: int, width: int, other: int) -> None:
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(count, width)) + 100
    y = x[:, :1] * chance.normal(size=(1, other)) + 0.5 * chance.normal(size=(count, other))
    half = count // 2
    expected = (explained(x, y, half) + explained(y, x, half)) / 2
    assert readout(x, y, half) == pytest.approx(expected, abs=1e-8)


@given(st.integers(0, 2**31), st.floats(1e-3, 1e3), st.integers(2, 5))
@settings(max_examples=10)
def test_readout_does_not_depend_on_rotation_scale_and_shift(seed: int, scale: float, width: int) -> None:
    chance = np.random.default_rng(seed)
    x, y = chance.normal(size=(30, width)), chance.normal(size=(30, 3))
    y[:, 0] += x[:, 0]
    turned = scale * (x @ np.linalg.qr(chance.normal(size=(width, width)))[0] + chance.normal(size=width))
    assert readout(turned, y, 15) == pytest.approx(readout(x, y, 15), abs=1e-6)
    assert readout(turned, x, 15) > 0.98


def test_features_that_do_not_vary_and_too_few() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    found = readout_matrix([x, np.full((20, 2), 7.0), np.random.default_rng(1).normal(size=(20, 2))], 10)
    assert found.tolist()[1] == [0.0, 0.0, 0.0]
    assert float(found[0, 0]) > 0.99
    assert 0 <= float(found[0, 2]) < 0.5
    with pytest.raises(MtlError, match="MTL804"):
        readout_matrix([x[:3], x[:3]], 1)
    with pytest.raises(MtlError, match="MTL803"):
        readout_matrix([x, x * math.inf], 10)
    with pytest.raises(ValueError, match="without any"):
        readout_matrix([x, x], 20)
    few = samples(3)
    for chosen in (Readout(samples=100), Stitched(samples=100)):
        with pytest.raises(MtlError, match="MTL804"):
            matrix(randomised(loads(TEXT)), chosen, given=few)


@pytest.mark.parametrize("layer", ["body", "rest"])
def test_readout_of_layers_is_of_their_pixels(layer: str) -> None:
    model = randomised(loads(TEXT))
    before = copy.deepcopy(model.state_dict())
    found = matrix(model, Readout(samples=100), layer=layer)
    rows = {task: in_rows(each) for task, each in activations(model, layer).items()}
    half = len(rows["one"]) // 2
    for i, one in enumerate(TASKS):
        for j, other in enumerate(TASKS):
            expected = (explained(rows[one], rows[other], half) + explained(rows[other], rows[one], half)) / 2
            assert float(found[i, j]) == pytest.approx(expected, abs=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def stitched(model: nn.Module, layer: str) -> Array:
    """By the whole network, where a hook puts the mapped features of another task in place of a task's own."""
    found, half = activations(model, layer), COUNT // 2
    rows = {task: in_rows(each[:half]) for task, each in found.items()}
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))[half:]
    batches = [{name: tensor[part] for name, tensor in samples().fields.items()} for part in (order[:5], order[5:])]

    def loss(network: nn.Module, task: str) -> float:
        with torch.no_grad():
            found = [float(losses(network(batch["image"]), batch)[task]) for batch in batches]
        return sum(each for each in found if math.isfinite(each))  # the mean over no label is not

    ratios = np.zeros((3, 3))
    for i, source in enumerate(TASKS):
        for j, target in enumerate(TASKS):
            network, through = copy.deepcopy(model).eval(), fit(rows[source], rows[target])
            given_by: dict[str, Tensor] = {}

            def replaced(_: nn.Module, __: Any, output: Tensor, through: Any = through, by: Any = given_by) -> Tensor:
                mapped = through(np.moveaxis(by.get("source", output).double().numpy(), 1, -1))
                return torch.from_numpy(np.moveaxis(mapped, -1, 1)).float()

            def looked(
                _: nn.Module, inputs: Any, __: Any, network: Any = network, by: Any = given_by, s: str = source
            ) -> None:
                by["source"] = copy.deepcopy(model).eval().get_submodule(f"{layer}.{s}")(*inputs)

            network.get_submodule(f"{layer}.{target}").register_forward_hook(looked)
            network.get_submodule(f"{layer}.{target}").register_forward_hook(replaced)
            ratios[i, j] = min(1.0, loss(copy.deepcopy(model).eval(), target) / loss(network, target))
    return (ratios + ratios.T) / 2


def test_stitched_is_what_the_loss_becomes_in_the_whole_network() -> None:
    """Copies of `body` read the same here."""
    model = randomised(loads(TEXT))
    found = matrix(model, Stitched(samples=100))
    expected = stitched(model, "body")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert expected.min() < 0.99
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


def test_copies_that_are_equal_are_as_alike_as_their_own_read_out() -> None:
    model = randomised(loads(TEXT))
    equal_tasks(model)
    one, two = TASKS.index("one"), TASKS.index("two")
    for chosen in (Readout(samples=100), Stitched(samples=100)):
        found = matrix(model, chosen)
        assert float(found[one, two]) > 0.98
        assert torch.equal(found, found.T)


def test_rows_are_drawn_by_the_seed_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, every = randomised(loads(TEXT)), matrix(randomised(loads(TEXT)), Readout(samples=100))
    monkeypatch.setattr(module, "ROWS", 5 * COUNT)
    found = matrix(model, Readout(samples=100))
    assert not torch.equal(found, every)
    other = TEXT.replace("batch = 5", "batch = 7")
    torch.testing.assert_close(matrix(model, Readout(samples=100), other), found, rtol=0, atol=1e-6)
    places = module.places_of("body", 16, COUNT, 0)
    assert places.shape == (COUNT, 5)
    assert all(row == sorted(set(row)) for row in places.tolist())
    assert not torch.equal(places, module.places_of("body", 16, COUNT, 1))


def test_a_task_without_a_label_is_known_by_the_other_direction() -> None:
    given_samples = samples()
    none = torch.full((COUNT,), 255)
    unlabelled = samples()
    unlabelled.fields["kind"].copy_(none)
    model = randomised(loads(TEXT))
    kind, one = TASKS.index("kind"), TASKS.index("one")
    found, whole = (matrix(model, Stitched(samples=100), given=each) for each in (unlabelled, given_samples))
    assert float(found[kind, kind]) == 0
    assert 0 < float(found[kind, one]) <= 1
    assert float(found[kind, one]) != float(whole[kind, one])


def test_tasks_with_samples_of_their_own_are_read_out_and_not_stitched() -> None:
    spec, _, model, view = two_sources()
    assert comparable_tasks(view, Stitched(samples=8), TASKS) == [{"kind", "one"}, {"two"}]
    assert comparable_tasks(view, Readout(samples=8), TASKS) == [set(TASKS)]
    (alone,) = similarity_matrices(view, Stitched(samples=8), [place("body", "kind", "one")])
    assert alone.shape == (2, 2)
    assert float(alone.min()) > 0
    (both,) = similarity_matrices(viewed(spec, model, view.samples), Readout(samples=8), [place("body", *TASKS)])
    assert both.shape == (3, 3)
