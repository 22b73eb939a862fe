"""Modules of a person's own with several outputs: the network gets the numbers that the class gives, by name or in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.portable import TOLERANCE, Portable, as_file
from mtsldsl.sharing import Sharing
from tests.codegen.examples import example

SPEC = """\
mtl 1

data arrays {{
  path  = "x.npz"
  input = image(3, 16, 16)
}}

task a {{
  target = values(4)
  head   = net.low
}}

task b {{
  target = values(8)
  head   = net.tokens | mean_tokens
}}

task c {{
  target = values(8)
  head   = net.high
}}

backbone {{
  net = module("{target}", taps=[{taps}])
}}

train {{
  epochs = 1
}}

sharing {{
  net = all
}}
"""
TAPS = "low(4, 8, 8), high(8, 4, 4), tokens(16, 8)"
OWN = """\
import torch
from tests.codegen.own_modules import InOrder, Pyramid

class ByName(Pyramid):
    def __init__(self):
        super().__init__(4)

class InTheirOrder(InOrder):
    def __init__(self):
        super().__init__(4)

class Fewer(InTheirOrder):
    def forward(self, image):
        return super().forward(image)[:2]

class Unnamed(ByName):
    def forward(self, image):
        found = super().forward(image)
        del found["tokens"]
        return found

class Single(ByName):
    def forward(self, image):
        return super().forward(image)["low"]

class Narrow(ByName):
    def forward(self, image):
        found = super().forward(image)
        return {**found, "high": found["high"].half()}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "taps_of_a_person.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("taps_of_a_person", None)


def spec_of(name: str, taps: str = TAPS) -> Spec:
    return loads(SPEC.format(target=f"taps_of_a_person:{name}", taps=taps))


@pytest.mark.parametrize("name", ["ByName", "InTheirOrder"])
def test_a_reader_gets_the_numbers_of_its_output(folder: Path, name: str) -> None:
    model = build_model(spec_of(name)).eval()
    own = model.get_submodule("net.a+b+c.module1")
    image = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        given = own(image)
        low, high, tokens = (given[each] for each in ("low", "high", "tokens")) if isinstance(given, dict) else given
        found: dict[str, Tensor] = model(image)
    assert torch.equal(found["a"], low)
    torch.testing.assert_close(found["b"], tokens.mean(1))
    assert torch.equal(found["c"], high)


def test_gradients_reach_the_module_through_every_output_that_is_read(folder: Path) -> None:
    model = build_model(spec_of("ByName"))
    image = torch.rand(2, 3, 16, 16)
    down = model.get_parameter("net.a+b+c.module1.down.weight")
    model(image)["a"].sum().backward()
    assert down.grad is None or not down.grad.any()
    model(image)["c"].square().sum().backward()
    assert down.grad is not None
    assert down.grad.any()


def test_copies_of_the_layer_are_modules_of_their_own_that_start_equal(folder: Path) -> None:
    spec = spec_of("ByName")
    model = build_model(spec.with_sharing(Sharing.each(spec.backbone, spec.sharing.tasks)))
    first, second = (model.get_submodule(f"net.{task}.module1").state_dict() for task in "ab")
    assert all(torch.equal(first[name], second[name]) and first[name] is not second[name] for name in first)


@pytest.mark.parametrize(
    ("name", "taps", "said"),
    [
        ("Fewer", TAPS, "gives 2 outputs, where the spec declares `low`, `high`, `tokens`"),
        ("Unnamed", TAPS, "gives `low`, `high`, `image`, where the spec declares `tokens`"),
        ("Single", TAPS, "gives a value of the type Tensor, where the spec declares `low`"),
        ("Narrow", TAPS, "gives numbers of the type float16, where float32 is wanted"),
        (
            "ByName",
            TAPS.replace("(8, 4, 4)", "(8, 2, 8)"),
            "gives a tensor of the shape (2, 8, 4, 4) as `high`, where the spec declares (2, 8, 2, 8) with the batch",
        ),
        ("InTheirOrder", "high(8, 4, 4), low(4, 8, 8), tokens(16, 8)", "a tensor of the shape (2, 4, 8, 8) as `high`"),
    ],
)
def test_other_outputs_than_declared_are_told_at_the_first_forward_pass(
    folder: Path, name: str, taps: str, said: str
) -> None:
    with pytest.raises(MtlError) as refused:
        build_model(spec_of(name, taps))(torch.rand(2, 3, 16, 16))
    (found,) = refused.value.diagnostics
    assert found.code == "MTL807"
    assert said in found.cause
    assert found.span is not None
    assert found.span.line == 24


def test_a_network_that_reads_them_is_exported() -> None:
    spec = example("taps")
    model: nn.Module = build_model(spec).eval()
    data, difference = as_file(Portable(spec, model, ["depth", "kind"], "{}"), "pt2")
    assert data
    assert difference <= TOLERANCE
