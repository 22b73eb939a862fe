"""Modules computed at once: what each gives by itself, and the same gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mtsldsl import build_model, loads
from mtsldsl.runtime.network.side_by_side import NARROW, SMALL, SideBySide

SPEC = """\
mtl 1

data arrays {{
  path  = "none.npz"
  input = {sample}
}}

task y {{
  target = values(1)
  head   = flatten | linear(outputs)
}}

backbone {{
  mix = parallel(unit={unit}, copies=3)
}}

train {{
  epochs = 1
}}
"""

IMAGE, ROW = "image(3, 16, 16)", "row(6)"


def alternatives(sample: str, unit: str) -> tuple[list[nn.Module], SideBySide | None]:
    """Those of the layer, with weights of their own, and how they are computed at once."""
    torch.manual_seed(0)
    spec = loads(SPEC.format(sample=sample, unit=unit))
    model = build_model(spec)
    found = list(model.get_submodule("mix").children())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return found, SideBySide.of(found, spec.layer("mix").body.shape)


def gradients(modules: list[nn.Module], outputs: list[Tensor], x: Tensor) -> list[Tensor]:
    loss = torch.stack([(number + output.square().mean()).log() for number, output in enumerate(outputs, 2)]).sum()
    given = [x, *(parameter for module in modules for parameter in module.parameters())]
    return list(torch.autograd.grad(loss, given))


OF_IMAGES = (
    "conv2d(4, 3) | relu",
    "conv2d(4, 5, padding=0, bias=false) | group_norm(2) | gelu",
    "conv2d(4, 3, stride=2) | leaky_relu(0.2) | conv2d(6, 3, dilation=2, padding=2) | group_norm(3) | silu",
    "conv2d(4, 1, stride=2) | tanh | conv2d(2, 1, stride=2) | sigmoid",
    "conv2d(4, [1, 5]) | relu | max_pool2d(3, stride=2, padding=1) | conv2d(4, [5, 1]) | avg_pool2d(2)",
    "relu | conv2d(4, 3)",
    "conv2d(4, 3) | conv2d(6, 3, groups=2) | relu | conv2d(6, 3, groups=6, bias=false)",
)

OF_ROWS = ("linear(4) | relu", "linear(4) | relu | linear(8, bias=false) | tanh | linear(3)")


@pytest.mark.parametrize(
    ("sample", "unit", "shape"),
    [(IMAGE, unit, (5, 3, 16, 16)) for unit in OF_IMAGES] + [(ROW, unit, (5, 6)) for unit in OF_ROWS],
)
def test_at_once_modules_give_what_each_gives(sample: str, unit: str, shape: tuple[int, ...]) -> None:
    modules, together = alternatives(sample, unit)
    assert together is not None
    x = torch.randn(shape, requires_grad=True)
    apart, at_once = [module(x) for module in modules], list(together(x))
    for one, other in zip(apart, at_once, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    for one, other in zip(gradients(modules, apart, x), gradients(modules, at_once, x), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "unit",
    [
        "group_norm(1) | conv2d(4, 3)",
        "conv2d(6, 3, groups=3)",
        "group_norm(1, affine=false) | relu",
        "conv2d(4, 3) | batch_norm",
        "conv2d(4, 3) | dropout(0.5)",
        "relu",
        "conv2d(4, 3) | upsample(2)",
    ],
)
def test_what_has_no_rule_is_computed_one_by_one(unit: str) -> None:
    assert alternatives(IMAGE, unit)[1] is None


@pytest.mark.parametrize(("channels", "samples"), [(NARROW, 10**6), (8, SMALL // (8 * 256)), (125, 1)])
def test_narrow_ones_and_small_batches_are_computed_at_once_and_others_not(channels: int, samples: int) -> None:
    _, together = alternatives(IMAGE, f"conv2d({channels}, 3) | relu")
    assert together is not None
    assert together.pays(samples)
    assert channels == NARROW or not together.pays(samples + 1)
