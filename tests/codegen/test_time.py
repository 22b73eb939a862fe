"""However long or wide a pipeline is, compiling it takes time in proportion, and what comes out is Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.bodies import plan_body
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.expand import LARGEST_EXPANSION
from mtsldsl.runtime.network.built import build_model
from tests.codegen.test_clean_code import ruff
from tests.timing import Measure, clocked, held_in_proportion

TEXT = """mtl 1
data arrays {{
  path  = "x.npz"
  input = image(2, 4, 4)
}}
let r = conv2d(2, 1)
task depth {{
  target = values(2)
  head   = sigmoid
}}
backbone {{
  enc = {layer}
}}
train {{
  epochs = 2
}}
"""
LARGEST = LARGEST_EXPANSION - 5  # the head has one as well
LARGE: dict[str, Callable[[int], str]] = {
    "layers with weights": lambda size: f"r * {size}",
    "functions": lambda size: f"relu * {size}",
    "ways around": lambda size: f"residual(r | batch_norm) * {size // 3}",
    "joins": lambda size: f"(concat(relu, tanh) | r) * {size // 4}",
    "branches of a join": lambda size: f"concat({', '.join(['r'] * (size // 2 - 1))}) | r",
    "branches of a sum": lambda size: f"add({', '.join(['r'] * (size // 2 - 1))}) | r",
    "long branches": lambda size: f"concat({', '.join(['r * 9'] * (size // 11))}) | r",
}
"""A layer of so many operators."""


def spec(layer: str) -> Spec:
    return loads(TEXT.format(layer=layer))


@pytest.mark.parametrize(
    "shape", [pytest.param(each, marks=[pytest.mark.soak] * (each != "long branches")) for each in LARGE]
)
@pytest.mark.soak
def test_the_largest_network_is_compiled_in_twice_the_time_of_half_of_it(shape: str) -> None:
    compile_spec(spec("relu"))  # the templates are read once

    def compiling(size: int) -> Measure:
        made = spec(LARGE[shape](size))
        return clocked(lambda: compile_spec(made))

    held_in_proportion(compiling, LARGEST)


@pytest.mark.parametrize("joint", ["concat", "add"])
def test_the_branches_of_a_wide_join_keep_their_places(joint: str) -> None:
    body = spec(f"{joint}({', '.join(['r'] * 120)}) | r").layers[0].body
    statements = plan_body(body, ("x",)).statements
    assert [statement.target for statement in statements[:120]] == [f"branch{place}" for place in range(1, 121)]


@pytest.mark.parametrize("terms", [99, 100, 101, 5_000])
def test_a_sum_of_any_number_of_terms_is_computed_and_laid_out(terms: int) -> None:
    made = spec(f"add({', '.join(['relu'] * terms)})")
    text = compile_spec(made)["model.py"]
    assert ruff(["format", "--no-cache"], text, "sum/model.py").stdout == text
    model, image = build_model(made), torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(model.get_submodule("enc.depth")(image), terms * image, rtol=1e-4, atol=1e-4)
