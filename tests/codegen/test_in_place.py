"""What is written over: only what nobody else reads, so that outputs and gradients are those without it, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.language.operators import OPERATORS
from mtsldsl.runtime.network.built import initialised, model_class
from tests.codegen.examples import NAMES, example, specs
from tests.codegen.examples import outputs as outputs_of

IN_PLACE = ", inplace=True"
FRESH = {
    "add": "add(conv2d(4, 1), conv2d(4, 3))",
    "batch_norm": "conv2d(4, 3) | batch_norm",
    "conv2d": "conv2d(4, 3)",
    "conv_transpose2d": "conv_transpose2d(4, 2, stride=2)",
    "depthwise": "depthwise(3)",
    "group_norm": "conv2d(4, 3) | group_norm(2)",
    "layer_norm": "patch_embed(8, 4) | layer_norm",
    "linear": "patch_embed(8, 4) | linear(6)",
    "mul": "mul(conv2d(4, 1), conv2d(4, 3))",
}
OTHERS = (
    "dropout", "identity", "sigmoid", "tanh", "gelu", "softplus", "max_pool2d(2)", "avg_pool2d(2)", "flatten", "relu",
)  # fmt: skip


def text(layer: str, more: str = "") -> str:
    return (
        'mtl 1\ndata arrays {\n  path = "x.npz"\n  input = image(4, 8, 8)\n}\n'
        f"task a {{\n  target = values(1)\n  head = conv2d(1, 1)\n}}\nbackbone {{\n  first = {layer}\n{more}}}\ntrain {{\n  epochs = 1\n}}\n"
    )


def forward(spec: Spec) -> str:
    return compile_spec(spec)["model.py"]


def run(spec: Spec, *, plainly: bool) -> list[Tensor]:
    """Outputs, and the gradients of the sum of their squares, of the input and of all parameters."""
    made = model_class(spec)
    if plainly:
        names: dict[str, Any] = {"__name__": "plain"}
        exec(forward(spec).replace(IN_PLACE, ""), names)
        made = names["Model"]
    torch.manual_seed(0)
    model = initialised(made, spec)
    generator = torch.Generator().manual_seed(1)
    images = {data.name: torch.rand(2, *data.shape, generator=generator).requires_grad_() for data in spec.blocks}
    torch.manual_seed(2)  # of dropout
    outputs = list(outputs_of(spec, model, images).values())
    torch.stack([output.square().sum() for output in outputs]).sum().backward()
    learned = [*images.values(), *model.parameters()]
    return [*(output.detach() for output in outputs), *(each.grad for each in learned if each.grad is not None)]


def assert_alike(spec: Spec) -> None:
    for found, plain in zip(run(spec, plainly=False), run(spec, plainly=True), strict=True):
        assert torch.equal(found, plain)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "own"])
def test_the_examples_compute_the_same_without_it(name: str) -> None:
    assert_alike(example(name))


@given(specs())
@settings(max_examples=25)
def test_any_network_computes_the_same_without_it(spec: Spec) -> None:
    assert_alike(spec)


@pytest.mark.parametrize("name", FRESH)
def test_what_an_operator_made_for_relu_alone_is_written_over(name: str) -> None:
    head = "" if "patch_embed" not in FRESH[name] else "  second = mean_tokens\n"
    whole = text(f"{FRESH[name]} | relu", head)
    spec = loads(whole if not head else whole.replace("head = conv2d(1, 1)", "head = linear(1)"))
    assert IN_PLACE in forward(spec)
    assert_alike(spec)


def test_every_operator_that_may_be_written_over_is_tried_above() -> None:
    assert set(FRESH) == {name for name, operator in OPERATORS.items() if operator.fresh}


@pytest.mark.parametrize("before", OTHERS)
def test_what_is_no_memory_of_its_own_or_what_a_gradient_needs_is_not(before: str) -> None:
    head = "linear(1)" if before == "flatten" else "conv2d(1, 1)"
    spec = loads(text(f"{before} | relu").replace("conv2d(1, 1)", head))
    assert IN_PLACE not in forward(spec)
    assert_alike(spec)


def test_what_is_read_twice_is_not() -> None:
    spec = loads(text("residual(conv2d(4, 3) | residual(relu | conv2d(4, 1)))"))
    assert IN_PLACE not in forward(spec)
    assert_alike(spec)


def test_what_another_layer_made_is_not() -> None:
    spec = loads(text("conv2d(4, 3)", "  second = relu\n"))
    assert IN_PLACE not in forward(spec)
    assert_alike(spec)
