"""Which channels may change places: random networks compute the same with them in any order, and what tells channels
apart keeps them."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.channels import Channels, channels_of, reordering
from mtsldsl.runtime.network.reordering import one_after_the_other, reorder
from mtsldsl.runtime.structure.assignment import assignment

FRAME = """\
mtl 1

data arrays {{
  path  = "none.npz"
  input = {input}
  batch = 5
}}

task one {{
  target = values(1)
  head   = {head}
  loss   = mse
}}

task two {{
  target = values(1)
  head   = {head}
  loss   = mse
}}

backbone {{
{layers}
}}

train {{
  epochs = 2
}}
"""
IMAGE = "adaptive_avg_pool2d(1) | flatten | linear(1)"

PASSING = [
    "batch_norm", "relu", "leaky_relu", "silu", "max_pool2d(3, stride=1, padding=1)", "avg_pool2d(3, stride=1, padding=1)",
    "dropout(0.5)", "depthwise(3)", "resize(0.5)", "identity", "batch_norm(affine=false)",
]  # fmt: skip
MAKING = ["conv2d(4, 3)", "conv2d(4, 1, bias=true)", "conv_transpose2d(4, 3)"]
TELLING = ["conv2d(4, 3, groups=2)", "group_norm(2)"]


def spec_of(layers: list[str], head: str = IMAGE, input_: str = "image(3, 6, 6)") -> Spec:
    named = "\n".join(f"  layer{place} = {layer}" for place, layer in enumerate(layers))
    return loads(FRAME.format(layers=named, head=head, input=input_))


def network(spec: Spec, seed: int) -> nn.Module:
    """In double precision, with statistics and scales that tell channels apart."""
    model, chance = build_model(spec).double().eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=chance, dtype=torch.float64)
                tensor.add_(noise.abs() if name.endswith("running_var") else 0.5 * noise)
    return model


def shuffled(model: nn.Module, found: list[Channels], seed: int) -> nn.Module:
    chance, other = torch.Generator().manual_seed(seed), copy.deepcopy(model)
    orders: Any = {}
    for each in found:
        order = torch.randperm(each.size, generator=chance)
        orders = one_after_the_other(orders, reordering(each, order, model.state_dict()))
    reorder(other, orders)
    return other


def outputs(model: nn.Module, shape: tuple[int, ...]) -> Any:
    with torch.no_grad():
        given_input = torch.randn(3, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        return model(given_input)


def check_exact(spec: Spec, seed: int, shape: tuple[int, ...] = (3, 6, 6)) -> list[Channels]:
    """The free sets, with which the network computes the same in any order."""
    model = network(spec, seed)
    free = [each for each in channels_of(spec, model.state_dict()) if not each.fixed]
    other = shuffled(model, free, seed)
    for task, expected in outputs(model, shape).items():
        torch.testing.assert_close(outputs(other, shape)[task], expected, rtol=1e-10, atol=1e-10)
    assert not free or any(not torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    return free


@st.composite
def networks(draw: Any) -> list[str]:
    """Layers of 4 channels and one size after the first: chains, additions, products and concatenations of them."""
    layers = ["conv2d(4, 3) | batch_norm | relu"]
    for place in range(draw(st.integers(1, 4))):
        names = [f"layer{number}" for number in range(place + 1)]
        read = draw(st.sampled_from(names))
        steps = draw(st.lists(st.sampled_from([*PASSING, *MAKING, *TELLING]), min_size=1, max_size=3))
        body = [read, *steps]
        join = draw(st.sampled_from(["", "add", "mul", "concat", "residual"]))
        if join == "residual":
            body.append("residual(conv2d(4, 3) | batch_norm | relu | conv2d(4, 3))")
        elif join:
            other = draw(st.sampled_from(names))
            body += [f"resize_as({other})", f"{join}({other})", *(["conv2d(4, 1)"] if join == "concat" else [])]
        layers.append(" | ".join(body))
    return layers


@given(networks(), st.integers(0, 2**31))
@settings(max_examples=3)
def test_a_network_computes_the_same_with_its_channels_in_any_order(layers: list[str], seed: int) -> None:
    assume(check_exact(spec_of(layers), seed))


@pytest.mark.soak
@given(networks(), st.integers(0, 2**31))
@settings(max_examples=100)
def test_many_networks_do(layers: list[str], seed: int) -> None:
    assume(check_exact(spec_of(layers), seed))


@pytest.mark.parametrize(
    ("layers", "head", "shape", "input_"),
    [
        (["flatten | linear(6) | layer_norm | gelu", "linear(5) | tanh"], "linear(1)", (3, 4, 4), "image(3, 4, 4)"),
        (["conv2d(4, 3) | relu", "flatten | linear(5) | relu"], "linear(1)", (3, 4, 4), "image(3, 4, 4)"),
        (
            ["conv2d(4, 3) | to_tokens | layer_norm | linear(6) | batch_norm", "conv1d(5, 3) | max_pool1d(2)"],
            "mean_tokens | linear(1)", (3, 4, 4), "image(3, 4, 4)",
        ),
        (["linear(6) | batch_norm | relu", "linear(5) | concat(layer0) | linear(4)"], "linear(1)", (7,), "row(7)"),
    ],
)  # fmt: skip
def test_so_do_networks_of_tokens_and_features(layers: list[str], head: str, shape: Any, input_: str) -> None:
    assert len(check_exact(spec_of(layers, head, input_), 0, shape)) >= 2


def sizes_of(layers: list[str]) -> dict[str, tuple[bool, list[str]]]:
    """Of the sets that a copy of `one` gives channels of: whether it is fixed, and the layers that have it."""
    spec = spec_of(layers)
    tensors = network(spec, 0).state_dict()
    found = {}
    for each in channels_of(spec, tensors):
        for made, name, _ in each.modules:
            if made.component == {"one"}:
                found[name.split(".")[0] + "." + name.split(".")[2]] = (
                    each.fixed, sorted({use.copy.layer for use in each.uses}),
                )  # fmt: skip
    return found


def test_what_is_added_is_one_set_and_what_reads_it_has_it_too() -> None:
    found = sizes_of(["conv2d(4, 3) | batch_norm | relu", "conv2d(4, 3) | add(layer0)", "layer1 | conv2d(6, 3)"])
    assert (
        found["layer0.conv1"]
        == found["layer0.norm1"]
        == found["layer1.conv1"]
        == (False, ["layer0", "layer1", "layer2"])
    )
    assert found["layer2.conv1"] == (False, ["heads", "layer2"])


@pytest.mark.parametrize("telling", TELLING)
def test_channels_that_are_told_apart_are_fixed_and_the_others_not(telling: str) -> None:
    found = sizes_of(["conv2d(4, 3) | relu", f"{telling} | relu", "conv2d(6, 3)"])
    assert found["layer0.conv1"][0]
    assert not found["layer2.conv1"][0]


def gain_of(count: int, seed: int, ties: bool) -> Any:
    gain = np.random.default_rng(seed).normal(size=(count, count))
    return gain.round() if ties else gain


@given(st.integers(1, 5), st.integers(0, 2**31), st.booleans())
@settings(max_examples=15)
def test_an_assignment_is_the_best_of_all(count: int, seed: int, ties: bool) -> None:
    gain = gain_of(count, seed, ties)
    rows = np.arange(count)
    best = max(gain[rows, list(columns)].sum() for columns in itertools.permutations(range(count)))
    assert gain[rows, assignment(gain)].sum() == pytest.approx(best, abs=1e-9)
    assert sorted(assignment(gain).tolist()) == rows.tolist()


@pytest.mark.soak
@pytest.mark.parametrize("count", [40, 128])
@pytest.mark.parametrize("ties", [False, True])
def test_an_assignment_is_that_of_scipy(count: int, ties: bool) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    gain = gain_of(count, 0, ties)
    rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
    assert gain[rows, assignment(gain)].sum() == pytest.approx(gain[rows, columns].sum(), abs=1e-9)


def test_what_cannot_be_assigned_is_refused() -> None:
    for gain in (np.zeros((2, 3)), np.array([[np.nan]])):
        with pytest.raises(ValueError, match="a square matrix of finite numbers"):
            assignment(gain)
