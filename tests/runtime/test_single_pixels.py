"""A convolution of single pixels that leaves some out is one without a stride of those that are left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model, place
from tests.codegen.examples import NAMES, example
from tests.soak.memory import AVX2, case, damages

ROOT = Path(__file__).parents[2]
SPECS = sorted([*ROOT.glob("specs/**/*.mtl"), *ROOT.glob("mtsldsl/cli/starters/*.mtl")])

TEXT = """\
mtl 1
data arrays {{
  path  = "x.npz"
  input = image({channels}, {height}, {width})
}}
task value {{
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
}}
backbone {{
  stem = {stem}
}}
train {{
  epochs = 1
}}
"""


def text(stem: str, channels: int = 3, height: int = 16, width: int = 16) -> str:
    return TEXT.format(stem=stem, channels=channels, height=height, width=width)


def strided_projections(spec: Spec) -> list[nn.Conv2d]:
    """The convolutions of the network that look at single pixels and have a stride."""
    with torch.device("meta"):
        convolutions = [module for module in build_model(spec).modules() if isinstance(module, nn.Conv2d)]
    return [each for each in convolutions if each.kernel_size == (1, 1) and each.stride != (1, 1)]


def test_no_spec_of_the_project_has_a_projection_with_a_stride() -> None:
    of_images = [spec for path in SPECS if len((spec := load(path)).data.shape) == 3]
    assert of_images
    for spec in of_images:
        assert strided_projections(spec) == [], spec.source.name


OF_ROWS = ("mixture", "sources")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("own", *OF_ROWS)])
def test_no_kept_example_has_a_projection_with_a_stride(name: str) -> None:
    assert strided_projections(example(name)) == []


@pytest.mark.parametrize(
    "stem",
    [
        "residual(conv2d(6, 3, stride=2) | batch_norm)",
        "residual(conv2d(6, 3, stride=[1, 2]) | batch_norm)",
        "residual(conv2d(6, 3, stride=2), shortcut=conv2d(6, 1, stride=2) | batch_norm)",
        "conv2d(6, 1, stride=2)",
        "conv2d(6, 1, stride=[3, 1], dilation=2)",
        "conv2d(6, [1, 1], stride=2, groups=3) | batch_norm | relu",
        "concat(conv2d(6, 1, stride=4), avg_pool2d(4)) | conv2d(6, 1, 2)",
    ],
)
def test_no_way_of_writing_it_gives_a_projection_with_a_stride(stem: str) -> None:
    assert strided_projections(loads(text(stem))) == []


@given(
    channels=st.integers(1, 8),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    grouped=st.booleans(),
    bias=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_it_is_the_convolution_with_the_stride_and_has_its_gradients(
    channels: int, height: int, width: int, stride: tuple[int, int], grouped: bool, bias: bool
) -> None:
    groups = channels if grouped else 1
    stem = f"conv2d({2 * channels}, 1, stride={list(stride)}, groups={groups}, bias={str(bias).lower()})"
    spec = loads(text(stem, channels, height, width))
    layer = place(build_model(spec), spec, torch.device("cpu")).get_submodule("stem.value")
    image = torch.rand(2, channels, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    given = layer(image)
    pull = torch.rand_like(given)
    (given * pull).sum().backward()

    state = {name: value.detach().double().requires_grad_() for name, value in layer.named_parameters()}
    same = image.detach().double().contiguous().requires_grad_()  # torch's own loops, not oneDNN's
    wanted = F.conv2d(same, state["conv1.weight"], state.get("conv1.bias"), stride, groups=groups)
    (wanted * pull).sum().backward()

    assert state["conv1.weight"].shape == (2 * channels, channels // groups, 1, 1)
    torch.testing.assert_close(given.double(), wanted, rtol=1e-6, atol=1e-6)
    assert image.grad is not None
    assert same.grad is not None
    torch.testing.assert_close(image.grad.double(), same.grad, rtol=1e-6, atol=1e-6)
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.double(), state[name].grad, rtol=1e-5, atol=1e-5)


@pytest.mark.soak
def test_training_a_residual_on_a_picture_keeps_to_its_memory() -> None:
    stem = "residual(conv2d(6, 3, stride=2) | batch_norm)"
    cases = [case(text(stem, channels), batch, channels_last=True) for channels in (2, 3, 5) for batch in (4, 16)]
    assert damages(cases, AVX2) == []
