"""However long or wide a pipeline is, compiling it takes time in proportion, and what comes out is Python."""

from __future__ import annotations

import time

import pytest
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.bodies import plan_body
from mtsldsl.runtime.build import build_model
from mtsldsl.spec import Spec, loads
from mtsldsl.spec.expand import LARGEST_EXPANSION
from tests.codegen.test_clean_code import ruff

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
LARGE = {
    "layers with weights": f"r * {LARGEST}",
    "functions": f"relu * {LARGEST}",
    "ways around": f"residual(r | batch_norm) * {LARGEST // 3}",
    "joins": f"(concat(relu, tanh) | r) * {LARGEST // 4}",
    "branches of a join": f"concat({', '.join(['r'] * (LARGEST // 2 - 1))}) | r",
    "branches of a sum": f"add({', '.join(['r'] * (LARGEST // 2 - 1))}) | r",
    "long branches": f"concat({', '.join([f'r * {LARGEST // 1_000}'] * 900)}) | r",
}


def spec(layer: str) -> Spec:
    return loads(TEXT.format(layer=layer))


@pytest.mark.parametrize("shape", LARGE)
def test_the_largest_network_is_compiled_within_a_second(shape: str) -> None:
    largest = spec(LARGE[shape])
    compile_spec(spec("relu"))  # the templates are read once
    start = time.process_time()
    compile_spec(largest)
    assert time.process_time() - start < 1


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
