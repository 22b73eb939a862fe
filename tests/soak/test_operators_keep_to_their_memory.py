"""No operator of the language, whatever its sizes, makes torch write beyond its memory: minutes, so `make soak` alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from mtsldsl.language.naming import STAGES
from mtsldsl.language.operators import OPERATORS
from tests.soak.exercise import Case
from tests.soak.memory import AVX2, ON_X86, case, damages, run

pytestmark = pytest.mark.soak

SETTINGS = {"the processor's instructions": ({}, 1), "AVX2": (AVX2, 1), "AVX2, two threads": (AVX2, 2)}
CHANNELS = range(1, 9)
SIZES = ((12, 24), (16, 16), (9, 13))
"""What all strides divide, what some do, and what none does."""
BATCHES = (1, 4, 16)

IMAGE = "adaptive_avg_pool2d(1) | flatten | linear(1)"
TOKENS = "mean_tokens | linear(1)"
FEATURES = "linear(1)"

TEXT = """\
mtl 1
data arrays {{
  path  = "x.npz"
  input = {input}
}}
task value {{
  target = values(1)
  head   = {head}
}}
backbone {{
  stem = {stem}
}}
train {{
  epochs = 1
}}
"""


def convolutions(channels: int) -> Iterator[str]:
    """Every kernel with every stride, plain, dilated, grouped, and with other paddings than the usual."""
    groups = sorted({1, channels})
    for kernel, stride in product(
        (1, 2, 3, 4, 5, 6, 7, "[1, 2]", "[1, 3]", "[3, 1]"), (1, 2, 3, 4, "[1, 2]", "[2, 1]")
    ):
        for out, group in product((channels, 6 if channels < 6 else 8), groups):
            if out % group == 0:
                yield f"conv2d({out}, {kernel}, stride={stride}, groups={group})"
                yield f"conv_transpose2d({out}, {kernel}, stride={stride}, groups={group})"
        yield f"depthwise({kernel}, stride={stride})"
        if kernel in (1, 2, 3):
            yield f"conv2d(6, {kernel}, stride={stride}, dilation=2)"
            yield f"conv2d(6, {kernel}, stride={stride}, padding={1 if kernel == 1 else 0})"
            yield f"conv_transpose2d(6, {kernel}, stride={stride}, padding={kernel // 2}, dilation=2)"


def residuals() -> Iterator[str]:
    for kernel, stride in product((1, 3), (1, 2, 3, 4, "[1, 2]")):
        yield f"residual(conv2d(6, {kernel}, stride={stride}) | batch_norm)"
    yield "residual(conv2d(6, 3, stride=2) | batch_norm, shortcut=conv2d(6, 1, stride=2))"


def others(channels: int) -> Iterator[str]:
    """Every operator that stays an image, but convolutions."""
    for pool, kernel, stride in product(("max_pool2d", "avg_pool2d"), (1, 2, 3, 5), (1, 2, 3)):
        yield f"conv2d({channels}, 3) | {pool}({kernel}, stride={stride})"
        yield f"conv2d({channels}, 3) | {pool}({kernel}, stride={stride}, ceil_mode=true)"
    yield f"conv2d({channels}, 3) | max_pool2d(2, dilation=2)"
    yield f"conv2d({channels}, 3) | avg_pool2d(3, count_include_pad=false)"
    for size in (1, 3, "[2, 5]"):
        yield f"conv2d({channels}, 3) | adaptive_avg_pool2d({size})"
    for norm in ("batch_norm", "batch_norm(affine=false)", "group_norm(1)", f"group_norm({channels})"):
        yield f"conv2d({channels}, 3) | {norm} | relu"
    for function in (
        "leaky_relu",
        "gelu",
        "gelu(approximate=tanh)",
        "silu",
        "sigmoid",
        "tanh",
        "softplus",
        "dropout",
        "identity",
    ):
        yield f"conv2d({channels}, 3) | {function}"
    for mode in ("bilinear", "bicubic", "nearest"):
        for resized in ("upsample(2", "upsample(3", "resize(0.5", "resize(0.3", "resize(7, 11"):
            yield f"conv2d({channels}, 3) | {resized}, mode={mode})"
        yield f"conv2d({channels}, 3, stride=2) | resize_as(image, mode={mode})"
    for mode in ("bilinear", "bicubic"):
        yield f"conv2d({channels}, 3, stride=2) | resize_as(image, mode={mode}, align_corners=true)"
    yield f"concat(conv2d({channels}, 3), conv2d({channels}, 1), image)"
    yield f"add(conv2d({channels}, 3), image)"
    yield f"mul(conv2d({channels}, 3), image)"
    yield f"mixture(conv2d({channels}, 1) | relu, conv2d({channels}, 3), identity)"


def tokens(channels: int) -> Iterator[str]:
    """From 12 x 16 pixels, which all the patches divide."""
    for patch in (1, 2, 4, "[1, 2]", "[3, 4]"):
        yield f"patch_embed({channels}, {patch})"
        yield f"patch_embed({channels}, {patch}, position=false) | layer_norm | attention(1) | linear({channels})"
    yield f"to_tokens | attention({channels}) | layer_norm(elementwise_affine=false)"
    yield f"to_tokens | linear({channels}) | gelu"
    yield f"normalize(mean=0.5, std=0.25) | to_tokens | class_token | attention({channels})"
    for kernel, stride in product((1, 2, 3, 5), (1, 2, 3)):
        yield f"to_tokens | conv1d({channels}, {kernel}, stride={stride}, groups={channels})"
        yield f"to_tokens | conv1d(6, {kernel}, stride={stride})"
        yield f"to_tokens | max_pool1d({kernel}, stride={stride})"
        yield f"to_tokens | avg_pool1d({kernel}, stride={stride})"
    for cells in ("gru", "lstm"):
        yield f"to_tokens | {cells}({channels}, bidirectional=true)"
        yield f"to_tokens | {cells}(6, num_layers=2)"


def texts() -> Iterator[str]:
    """The specs of all sizes."""
    for channels in CHANNELS:
        for height, width in SIZES:
            image = f"image({channels}, {height}, {width})"
            for stem in (*convolutions(channels), *residuals(), *others(channels)):
                yield TEXT.format(input=image, head=IMAGE, stem=stem)
        image = f"image({channels}, 12, 16)"
        for stem in tokens(channels):
            yield TEXT.format(input=image, head=TOKENS, stem=stem)
        yield TEXT.format(input=image, head=IMAGE, stem="to_tokens | to_image(12, 16)")
        yield TEXT.format(input=image, head=FEATURES, stem="to_tokens | class_token | first_token")
        yield TEXT.format(input=image, head=FEATURES, stem=f"flatten | linear({channels}) | batch_norm | relu")


def chosen() -> Iterator[tuple[str, int, bool]]:
    """Each text with a batch of another size than the one before: all in the order of memory that training has, and
    every second one in torch's usual order too."""
    for number, text in enumerate(texts()):
        yield text, BATCHES[number % len(BATCHES)], True
        if number % 2:
            yield text, BATCHES[(number + 1) % len(BATCHES)], False


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case(text, batch, channels_last=channels_last) for text, batch, channels_last in chosen()]


def test_every_operator_of_the_language_is_in_the_sweep() -> None:
    written = "\n".join(texts())
    assert [
        name
        for name, operator in OPERATORS.items()
        if not (operator.own or operator.looks_up) and name in STAGES and name not in written
    ] == []


def test_the_watch_sees_four_bytes_beyond_a_tensor() -> None:
    assert run("write beyond a tensor", {}).returncode == -6


@pytest.mark.skipif(not ON_X86, reason="the defect is one of code for AVX2")
def test_torch_still_has_the_defect_that_generated_code_avoids() -> None:
    assert run("project with a stride", AVX2).returncode == -6, "`_subsampled` of operators/image.py may be given up"


@pytest.mark.parametrize("name", SETTINGS)
def test_no_operator_writes_beyond_its_memory(name: str, cases: list[Case]) -> None:
    settings, threads = SETTINGS[name]
    told = list(chosen())
    assert [(told[damage.case], damage.said) for damage in damages(cases, settings, threads)] == []
