"""What pipelines mean: every one is lowered to straight-line steps with a shape for each."""

from __future__ import annotations

import pytest

from mtsldsl.editing import loads
from mtsldsl.ir import Body, Spec

HEADER = """\
mtl 1
data scenes { input = image(3, 32, 32) }
task copy_back {
  target = reconstruct
  head   = resize_as(image) | conv2d(3, 1)
}
train { epochs = 1 }
"""


def network(*lines: str, blocks: str = "") -> Spec:
    return loads("\n".join([HEADER, blocks, "backbone {", *lines, "}", ""]))


def steps(body: Body) -> list[tuple[object, ...]]:
    return [(step.operator, step.inputs, step.shape) for step in body.steps]


def operators(body: Body) -> list[str]:
    return [step.operator for step in body.steps]


def last(*lines: str, blocks: str = "") -> Body:
    return network(*lines, blocks=blocks).layers[-1].body


def test_a_pipeline_starts_from_the_layer_before_and_the_first_from_the_input() -> None:
    spec = network("stem = conv2d(8, 3) | relu", "enc1 = conv2d(4, 1)")
    assert steps(spec.layer("stem").body) == [("conv2d", ("image",), (8, 32, 32)), ("relu", (0,), (8, 32, 32))]
    assert (spec.layer("enc1").body.inputs, spec.layer("enc1").body.input_shapes) == (("stem",), ((8, 32, 32),))
    assert spec.task("copy_back").head.inputs == ("enc1", "image")


def test_a_pipeline_may_start_from_an_earlier_layer_or_the_input() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = conv2d(16, 3)", "enc2 = stem | relu", "enc3 = image | relu")
    assert body.inputs == ("image",)


def test_joining_one_value_joins_it_to_what_is_piped() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = conv2d(16, 3) | concat(stem)", "enc2 = concat(stem | relu)")
    assert steps(body) == [("relu", ("stem",), (8, 32, 32)), ("concat", ("enc1", 0), (32, 32, 32))]
    assert body.inputs == ("stem", "enc1")


def test_joining_two_values_or_more_joins_exactly_those() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = conv2d(4, 3)", "enc2 = concat(stem, relu, image)")
    assert steps(body) == [("relu", ("enc1",), (4, 32, 32)), ("concat", ("stem", 0, "image"), (15, 32, 32))]


def test_a_mixture_reads_what_is_piped_before_the_values_that_it_names() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = conv2d(4, 3)", "enc2 = enc1 | mixture(stem, conv2d(8, 1), stem | relu)")
    assert steps(body) == [
        ("conv2d", ("enc1",), (8, 32, 32)),
        ("relu", ("stem",), (8, 32, 32)),
        ("mixture", ("enc1", "stem", 0, 1), (8, 32, 32)),
    ]
    assert body.inputs == ("enc1", "stem")


def test_a_convolution_has_no_bias_where_a_batch_norm_follows_also_through_a_block() -> None:
    blocks = "block wide(n) = conv2d(n, 3)\nblock tail() = batch_norm | relu\n"
    body = last("stem = wide(8) | tail() | wide(4) * 2", blocks=blocks)
    assert [step.arguments["bias"] for step in body.steps if step.operator == "conv2d"] == [False, True, True]


def test_a_repeated_pipeline_is_written_out() -> None:
    assert operators(last("stem = (conv2d(8, 3) | batch_norm | relu) * 3")) == ["conv2d", "batch_norm", "relu"] * 3


def test_a_residual_adds_what_it_is_given() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = residual(conv2d(8, 3) | relu)")
    assert steps(body) == [
        ("conv2d", ("stem",), (8, 32, 32)),
        ("relu", (0,), (8, 32, 32)),
        ("add", (1, "stem"), (8, 32, 32)),
    ]


def test_a_residual_projects_what_has_another_shape() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = residual(conv2d(16, 3, stride=[2, 4]) | batch_norm)")
    assert steps(body) == [
        ("conv2d", ("stem",), (16, 16, 8)),
        ("batch_norm", (0,), (16, 16, 8)),
        ("conv2d", ("stem",), (16, 16, 8)),
        ("batch_norm", (2,), (16, 16, 8)),
        ("add", (1, 3), (16, 16, 8)),
    ]
    projection = body.steps[2].arguments
    assert (projection["kernel_size"], projection["stride"], projection["bias"]) == (1, (2, 4), False)


def test_a_residual_takes_the_shortcut_it_is_given() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = residual(conv2d(4, 3), shortcut=conv2d(4, 1))")
    assert [step.inputs for step in body.steps] == [("stem",), ("stem",), (0, 1)]
    assert body.steps[1].arguments["bias"] is True


def test_the_identity_is_no_step() -> None:
    body = last("stem = conv2d(8, 3) | identity | relu", "enc1 = residual(relu, shortcut=identity)")
    assert steps(body) == [("relu", ("stem",), (8, 32, 32)), ("add", (0, "stem"), (8, 32, 32))]


def test_an_empty_pipeline_is_the_value_it_starts_from() -> None:
    body = last("stem = conv2d(8, 3)", "enc1 = stem")
    assert (body.inputs, body.steps, body.output, body.shape) == (("stem",), (), "stem", (8, 32, 32))


def test_block_parameters_take_numbers_layers_and_pipelines() -> None:
    blocks = "block up(n, skip, then=relu) = resize_as(skip) | concat(skip) | conv2d(n, 3) | then\n"
    body = last(
        "stem = conv2d(8, 3)",
        "enc1 = conv2d(8, 3, stride=2)",
        "dec1 = up(4, skip=stem, then=batch_norm | gelu)",
        blocks=blocks,
    )
    assert operators(body) == ["resize_as", "concat", "conv2d", "batch_norm", "gelu"]
    assert body.steps[2].arguments["bias"] is False


def test_a_parameter_hides_a_constant_and_an_argument_means_what_it_means_outside() -> None:
    blocks = "let n = 8\nblock wide(n) = conv2d(n, 3)\nblock twice(m) = wide(m * 2) | wide(n)\n"
    body = last("stem = twice(n)", blocks=blocks)
    assert [step.shape[0] for step in body.steps] == [16, 8]


def test_constants_may_stand_in_any_order_and_hold_pipelines() -> None:
    blocks = "let wide = base * 2 * 2\nlet tail = batch_norm | relu\nlet base = 2\n"
    body = last("stem = conv2d(wide, 3) | tail", blocks=blocks)
    assert [step.shape[0] for step in body.steps] == [8, 8, 8]


def test_the_input_may_be_read_under_its_name() -> None:
    body = last("stem = conv2d(8, 3, stride=2)", "enc1 = resize_as(image)")
    assert steps(body) == [("resize_as", ("stem", "image"), (8, 32, 32))]


@pytest.mark.parametrize(
    ("write", "size"), [("resize(0.25)", (8, 8)), ("resize(12, 20)", (12, 20)), ("upsample(2)", (32, 32))]
)
def test_resizing_is_by_the_input_absolute_or_by_what_is_piped(write: str, size: tuple[int, int]) -> None:
    assert last("stem = conv2d(8, 3, stride=2)", f"enc1 = {write}").shape == (8, *size)
