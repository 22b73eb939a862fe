"""`mul` takes products of whole values, whatever stands before and after it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import mtsldsl

TEXT = """\
mtl 1

data arrays {{
  path  = "x.npz"
  input = image(3, 6, 6)
}}

task apple {{
  target = values(4)
  head   = identity
}}

backbone {{
  stem = conv2d(4, 3) | relu
  gate = conv2d(4, 1) | sigmoid
  out  = {value}
}}

train {{
  epochs = 1
}}
"""


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("mul(stem)", lambda stem, gate: gate * stem),
        ("add(stem) | mul(gate)", lambda stem, gate: (gate + stem) * gate),
        ("mul(stem) | add(gate)", lambda stem, gate: gate * stem + gate),
        ("mul(stem | add(gate), gate | add(stem))", lambda stem, gate: (stem + gate) * (gate + stem)),
        ("add(stem | mul(gate), gate | mul(stem), stem)", lambda stem, gate: 2 * stem * gate + stem),
        ("mul(stem, gate, stem) | relu", lambda stem, gate: stem * gate * stem),
        (f"mul({', '.join(['gate'] * 120)})", lambda stem, gate: gate**120),
    ],
)
def test_a_product_is_that_of_all_values(value: str, wanted: object) -> None:
    spec = mtsldsl.loads(TEXT.format(value=value))
    model = mtsldsl.build_model(spec).eval()
    image = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        stem = model.get_submodule("stem.apple")(image)
        gate = model.get_submodule("gate.apple")(stem)
        found: Tensor = model(image)["apple"]
    assert callable(wanted)
    torch.testing.assert_close(found, wanted(stem, gate))
