"""The operator table against torch: shapes, parameters, floating-point operations, defaults and texts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.kinds import REQUIRED, Choice, Chosen, Flag, Integer, Key, Many, OneOrMany, Real, Text
from mtsldsl.language.naming import STAGES
from mtsldsl.language.operator import Arguments, Context, Misfit, Operator
from mtsldsl.language.operators import OPERATORS
from tests.laws import law

BATCH = 2
IMAGE: Shape = (3, 24, 32)
RANKS = {  # of the first value
    "conv2d": (3,),
    "depthwise": (3,),
    "conv_transpose2d": (3,),
    "layer_norm": (1, 2),
    "max_pool2d": (3,),
    "avg_pool2d": (3,),
    "adaptive_avg_pool2d": (3,),
    "resize": (3,),
    "resize_as": (3,),
    "upsample": (3,),
    "concat": (1, 3),
    "linear": (1, 2),
    "patch_embed": (3,),
    "attention": (2,),
    "mean_tokens": (2,),
    "class_token": (2,),
    "first_token": (2,),
    "normalize": (3,),
    "to_tokens": (3,),
    "to_image": (2,),
    "conv1d": (2,),
    "max_pool1d": (2,),
    "avg_pool1d": (2,),
    "gru": (2,),
    "lstm": (2,),
    "embedding": (1,),
}
ANY_RANK = (1, 2, 3)
RECURRENT = ("gru", "lstm")
"""Torch deduces their shapes step by step, which takes long."""
TABLE = [name for name, operator in OPERATORS.items() if not operator.own and name in STAGES]

TORCH: dict[str, Any] = {
    "conv2d": nn.Conv2d,
    "depthwise": nn.Conv2d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "batch_norm": nn.BatchNorm2d,
    "group_norm": nn.GroupNorm,
    "layer_norm": nn.LayerNorm,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "max_pool2d": nn.MaxPool2d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "upsample": nn.Upsample,
    "linear": nn.Linear,
    "dropout": nn.Dropout,
    "attention": nn.MultiheadAttention,
    "conv1d": nn.Conv1d,
    "max_pool1d": nn.MaxPool1d,
    "avg_pool1d": nn.AvgPool1d,
    "gru": nn.RNNBase,
    "lstm": nn.RNNBase,
    "embedding": nn.Embedding,
}
OWN_DEFAULTS = {
    ("conv2d", "padding"),
    ("conv2d", "bias"),
    ("depthwise", "padding"),
    ("depthwise", "bias"),
    ("conv_transpose2d", "bias"),
    ("linear", "bias"),
    ("max_pool2d", "stride"),
    ("max_pool2d", "padding"),
    ("avg_pool2d", "stride"),
    ("avg_pool2d", "padding"),
    ("conv1d", "padding"),
    ("conv1d", "bias"),
    ("max_pool1d", "stride"),
    ("max_pool1d", "padding"),
    ("avg_pool1d", "stride"),
    ("avg_pool1d", "padding"),
    ("upsample", "scale_factor"),
    ("upsample", "mode"),
    ("upsample", "align_corners"),
}
OWN_ARGUMENTS = {("gru", "output"), ("lstm", "output")}
TORCH_HAS_NONE = frozenset(
    {"resize", "resize_as", "concat", "add", "mul", "mixture", "flatten", "identity", "patch_embed", "normalize"}
) | frozenset({"class_token", "first_token", "mean_tokens", "to_tokens", "to_image", "relu", "silu", "sigmoid", "tanh"})


def complete(
    name: str,
    *inputs: Shape,
    image: Shape = IMAGE,
    following: str | None = None,
    **arguments: Constant,
) -> Arguments:
    """The arguments with the defaults of the table filled in."""
    operator = OPERATORS[name]
    defaults = {rule.name: rule.default for rule in operator.rules}
    assert set(arguments) <= set(defaults)
    return operator.complete({**defaults, **arguments}, Context(inputs, image, following))


def shape_of(name: str, *inputs: Shape, image: Shape = IMAGE, **arguments: Constant) -> Shape:
    return OPERATORS[name].shape(complete(name, *inputs, image=image, **arguments), inputs)


def build(operator: Operator, arguments: Arguments, inputs: tuple[Shape, ...]) -> nn.Module | None:
    """The module of the generated texts."""
    if operator.module is None:
        return None
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "Tensor": Tensor}
    exec(operator.definition, names)
    module = eval(operator.module(arguments, inputs), names)
    assert isinstance(module, nn.Module)
    return module


def evaluate(operator: Operator, arguments: Arguments, module: nn.Module | None, values: tuple[Tensor, ...]) -> Tensor:
    """The value of the generated expression."""
    names = {f"x{place}": value for place, value in enumerate(values)}
    text = operator.written(arguments, "module" if module else "", tuple(names), tuple(values[0].shape[1:]))
    result = eval(text, {"torch": torch, "F": F, "module": module, **names})
    assert isinstance(result, Tensor)
    return result


def size_of(module: nn.Module | None) -> int:
    return sum(parameter.numel() for parameter in module.parameters()) if module else 0


def divisor_of(number: int) -> st.SearchStrategy[int]:
    return st.sampled_from([divisor for divisor in range(1, number + 1) if number % divisor == 0])


@st.composite
def shapes(draw: st.DrawFn, rank: int) -> Shape:
    channels = draw(st.sampled_from([1, 2, 3, 4, 6, 8, 12]))
    match rank:
        case 1:
            return (channels,)
        case 2:
            return draw(st.integers(1, 12)), channels
    return channels, draw(st.integers(1, 12)), draw(st.integers(1, 12))


def values_of(key: Key, most: int) -> st.SearchStrategy[Constant | Chosen]:
    """Legal values of an argument, integers up to `most`, and its default."""
    match key.kind:
        case Integer(minimum, _):
            values: st.SearchStrategy[Any] = st.integers(minimum or 0, most)
        case OneOrMany(Integer(minimum, _)):
            numbers = st.integers(minimum or 0, most)
            values = numbers | st.tuples(numbers, numbers)
        case OneOrMany(Real()):
            values = st.floats(0.1, 1)
        case Real():
            values = st.floats(0.1, 1)
        case Flag():
            values = st.booleans()
        case Choice(names):
            values = st.sampled_from(names)
        case _:
            raise AssertionError(key)
    return values if key.default is REQUIRED else values | st.just(key.default)


def channels_of(shape: Shape) -> int:
    return shape[-1] if len(shape) == 2 else shape[0]


@st.composite
def legal_arguments(draw: st.DrawFn, operator: Operator, first: Shape) -> Mapping[str, Constant | Chosen]:
    """Arguments that mostly fit the first value; the rest the shape rule sorts out."""
    most = 3 if "kernel_size" in {rule.name for rule in operator.rules} else 8
    arguments = {rule.name: draw(values_of(rule, most)) for rule in operator.rules}
    match operator.name:
        case "conv2d" | "conv_transpose2d":
            arguments["groups"] = groups = draw(divisor_of(first[0]))
            arguments["out_channels"] = groups * draw(st.integers(1, 4))
        case "conv1d":
            arguments["groups"] = groups = draw(divisor_of(first[1]))
            arguments["out_channels"] = groups * draw(st.integers(1, 4))
        case "gru" | "lstm" if arguments["num_layers"] == 1:
            arguments["dropout"] = 0.0
        case "group_norm":
            arguments["num_groups"] = draw(divisor_of(first[0]))
        case "attention":
            arguments["num_heads"] = draw(divisor_of(first[1]))
        case "patch_embed":
            arguments["patch_size"] = draw(divisor_of(first[1])), draw(divisor_of(first[2]))
        case "normalize":
            each = st.lists(st.floats(0.1, 1), min_size=first[0], max_size=first[0]).map(tuple)
            arguments["mean"], arguments["std"] = draw(each), draw(each | st.floats(0.1, 1))
        case "to_image":
            arguments["height"] = height = draw(divisor_of(first[0]))
            arguments["width"] = first[0] // height
        case "resize" if arguments["width"] is not None:
            arguments["size"] = draw(st.integers(1, 20))
        case "upsample":
            arguments["scale_factor"] = draw(st.floats(0.5, 3) | st.integers(1, 3))
    if arguments.get("mode") == "nearest":
        arguments["align_corners"] = False
    return arguments


@st.composite
def further_inputs(draw: st.DrawFn, operator: Operator, first: Shape) -> tuple[Shape, ...]:
    """What an operator of several values reads beside the first."""
    match operator.name:
        case "add" | "mul":
            return (first,) * draw(st.integers(1, 3))
        case "mixture":
            return (draw(shapes(draw(st.sampled_from(ANY_RANK)))),) * draw(st.integers(2, 4))
        case "concat":
            return tuple(
                (channels, *first[1:]) for channels in draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
            )
        case "resize_as":
            return (draw(shapes(3)),)
    return ()


Application = tuple[Operator, Arguments, tuple[Shape, ...], Shape]


def apply(draw: st.DrawFn, name: str, first: Shape) -> Application:
    """A random use of the operator on a value of that shape; Misfit where it happens not to fit."""
    operator = OPERATORS[name]
    inputs = (first, *draw(further_inputs(operator, first)))
    context = Context(inputs, IMAGE, draw(st.sampled_from([None, "relu", "batch_norm"])))
    arguments = operator.complete(draw(legal_arguments(operator, first)), context)
    return operator, arguments, inputs, operator.shape(arguments, inputs)


@st.composite
def applications(draw: st.DrawFn, name: str) -> Application:
    first = draw(shapes(draw(st.sampled_from(RANKS.get(name, ANY_RANK)))))
    try:
        return apply(draw, name, first)
    except Misfit:
        assume(False)
        raise


@st.composite
def pipelines(draw: st.DrawFn) -> list[Application]:
    """Several operators, each on the result of the one before it."""
    shape = draw(shapes(draw(st.sampled_from(ANY_RANK))))
    pipeline: list[Application] = []
    for _ in range(draw(st.integers(2, 6))):
        every = (name for name in TABLE if not OPERATORS[name].looks_up)  # which reads no numbers
        fitting = sorted(name for name in every if len(shape) in RANKS.get(name, ANY_RANK))
        try:
            step = apply(draw, draw(st.sampled_from(fitting)), shape)
        except Misfit:
            continue
        pipeline.append(step)
        shape = step[-1]
    return pipeline


def completes(operator: Operator, arguments: Arguments) -> bool:
    constants = all(not isinstance(value, Chosen) for value in arguments.values())
    return constants and set(arguments) == {rule.name for rule in operator.rules}


@pytest.mark.parametrize("name", [name for name in TABLE if name not in RECURRENT])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_shape_parameters_and_flops_are_those_of_torch(name: str, data: st.DataObject) -> None:
    require_what_torch_says(name, data)


@pytest.mark.parametrize("name", RECURRENT)
@law(24)
@given(data=st.data())
def test_shape_parameters_and_flops_of_recurrent_layers_are_those_of_torch(name: str, data: st.DataObject) -> None:
    require_what_torch_says(name, data)


def require_what_torch_says(name: str, data: st.DataObject) -> None:
    operator, arguments, inputs, shape = data.draw(applications(name))
    assert completes(operator, arguments)
    # A processor computes most of them sooner than torch deduces their shapes; what it computes these by has no count.
    with torch.device("meta" if name in ("attention", "lstm") else "cpu"), FlopCounterMode(display=False) as counter:
        module = build(operator, arguments, inputs)
        kind = torch.int64 if operator.looks_up else torch.float32
        values = tuple(torch.zeros(BATCH, *given, dtype=kind) for given in inputs)
        result = evaluate(operator, arguments, module, values)
    assert tuple(result.shape) == (BATCH, *shape)
    assert size_of(module) == operator.parameters(arguments, inputs, shape)
    assert counter.get_total_flops() == BATCH * operator.flops(arguments, inputs, shape)


@law(60)
@given(pipeline=pipelines())
def test_a_pipeline_costs_what_torch_says_of_the_whole(pipeline: list[Application]) -> None:
    assume(pipeline)
    modules = nn.ModuleList()
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        value = torch.empty(BATCH, *pipeline[0][2][0])
        for operator, arguments, inputs, shape in pipeline:
            module = build(operator, arguments, inputs)
            if module:
                modules.append(module)
            others = tuple(torch.empty(BATCH, *other) for other in inputs[1:])
            value = evaluate(operator, arguments, module, (value, *others))
            assert tuple(value.shape) == (BATCH, *shape)
    assert size_of(modules) == sum(step[0].parameters(*step[1:]) for step in pipeline)
    assert counter.get_total_flops() == BATCH * sum(step[0].flops(*step[1:]) for step in pipeline)


@pytest.mark.parametrize(
    "name",
    [
        "conv2d",
        "depthwise",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool2d",
        "conv1d",
        "max_pool1d",
        "avg_pool1d",
        "group_norm",
        "attention",
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_misfit_is_what_torch_refuses(name: str, data: st.DataObject) -> None:
    operator = OPERATORS[name]
    (rank,) = RANKS[name] if name != "group_norm" else (data.draw(st.sampled_from(ANY_RANK)),)
    first: Shape = tuple(data.draw(st.integers(1, 6)) for _ in range(rank))
    arguments = operator.complete(
        {rule.name: data.draw(values_of(rule, 4)) for rule in operator.rules}, Context((first,), IMAGE, None)
    )
    try:
        operator.shape(arguments, (first,))
        fits = True
    except Misfit:
        fits = False
    try:
        given = evaluate(operator, arguments, build(operator, arguments, (first,)), (torch.rand(1, *first),))
        runs = given.numel() > 0  # conv_transpose2d may give nothing without a word
    except (RuntimeError, ValueError, AssertionError):
        runs = False
    assert fits == runs


@pytest.mark.parametrize("name", TORCH)
def test_arguments_have_the_names_order_and_defaults_of_torch(name: str) -> None:
    signature = inspect.signature(TORCH[name]).parameters
    rules = [rule for rule in OPERATORS[name].rules if (name, rule.name) not in OWN_ARGUMENTS]
    names = [rule.name for rule in rules]
    assert names == [parameter for parameter in signature if parameter in names]
    for rule in rules:
        theirs = signature[rule.name].default
        ours = inspect.Parameter.empty if rule.default is REQUIRED else rule.default
        assert (ours == theirs) is ((name, rule.name) not in OWN_DEFAULTS), rule.name


def test_every_operator_is_compared_with_torch_or_has_no_counterpart_with_arguments() -> None:
    assert set(TABLE) == set(TORCH) | TORCH_HAS_NONE


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_described_in_full(name: str) -> None:
    operator = OPERATORS[name]
    assert operator.name == name
    assert operator.summary.endswith(".")
    assert len({rule.name for rule in operator.rules}) == len(operator.rules)
    assert (operator.module is not None) is (operator.stem != "")
    for rule in operator.rules:
        assert isinstance(rule.kind, Integer | Real | Flag | OneOrMany | Many | Choice | Text)


# Completion


@pytest.mark.parametrize(("following", "bias"), [("batch_norm", False), ("relu", True), (None, True)])
def test_a_convolution_has_a_bias_unless_batch_norm_follows(following: str | None, bias: bool) -> None:
    assert complete("conv2d", IMAGE, following=following, out_channels=8, kernel_size=3)["bias"] is bias
    assert complete("conv1d", (9, 8), following=following, out_channels=8, kernel_size=3)["bias"] is bias


def test_a_bias_that_is_given_stays() -> None:
    assert complete("conv2d", IMAGE, following="batch_norm", out_channels=8, kernel_size=3, bias=True)["bias"] is True


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, (1, 5)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_an_odd_kernel_keeps_the_size_of_the_image(kernel: Constant, dilation: int) -> None:
    assert shape_of("conv2d", IMAGE, out_channels=8, kernel_size=kernel, dilation=dilation) == (8, 24, 32)


def test_an_even_kernel_has_no_padding() -> None:
    assert shape_of("conv2d", IMAGE, out_channels=8, kernel_size=2) == (8, 23, 31)
    assert shape_of("conv2d", IMAGE, out_channels=8, kernel_size=(3, 2)) == (8, 24, 31)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_steps_by_its_kernel(name: str) -> None:
    assert shape_of(name, IMAGE, kernel_size=2) == (3, 12, 16)
    assert shape_of(name, IMAGE, kernel_size=3) == (3, 8, 11)
    assert shape_of(name, IMAGE, kernel_size=3, stride=2) == (3, 12, 16)


def test_a_lone_size_is_a_fraction_of_the_networks_input() -> None:
    assert shape_of("resize", (8, 5, 5), image=(3, 288, 384), size=0.25) == (8, 72, 96)
    assert shape_of("resize", (8, 5, 5), image=(3, 288, 384), size=1) == (8, 288, 384)
    assert shape_of("resize", (8, 5, 5), image=(3, 30, 30), size=0.29) == (8, 9, 9)


def test_two_sizes_are_height_and_width() -> None:
    assert shape_of("resize", (8, 5, 5), size=72, width=96) == (8, 72, 96)
    assert shape_of("resize", (8, 5, 5), size=72.0, width=96) == (8, 72, 96)


# Texts


@pytest.mark.parametrize(
    ("name", "inputs", "arguments", "text"),
    [
        ("conv2d", [(3, 9, 9)], {"out_channels": 64, "kernel_size": 3}, "nn.Conv2d(3, 64, 3, padding=1)"),
        (
            "conv2d",
            [(64, 9, 9)],
            {"out_channels": 128, "kernel_size": (3, 5), "stride": 2, "groups": 2, "bias": False},
            "nn.Conv2d(64, 128, (3, 5), stride=2, padding=(1, 2), groups=2, bias=False)",
        ),
        ("conv2d", [(64, 9, 9)], {"out_channels": 13, "kernel_size": (1, 1)}, "nn.Conv2d(64, 13, 1)"),
        ("depthwise", [(64, 9, 9)], {"kernel_size": 3}, "nn.Conv2d(64, 64, 3, padding=1, groups=64)"),
        (
            "conv_transpose2d",
            [(64, 9, 9)],
            {"out_channels": 32, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
            "nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)",
        ),
        ("conv1d", [(9, 64)], {"out_channels": 32, "kernel_size": 3}, "nn.Conv1d(64, 32, 3, padding=1)"),
        ("conv1d", [(9, 64)], {"out_channels": 32, "kernel_size": 1, "stride": 2}, "nn.Conv1d(64, 32, 1)"),
        ("gru", [(9, 64)], {"hidden_size": 32}, "Recurrent(nn.GRU(64, 32, batch_first=True))"),
        (
            "lstm",
            [(9, 64)],
            {"hidden_size": 32, "num_layers": 2, "dropout": 0.1, "bidirectional": True, "output": "last"},
            "Recurrent(nn.LSTM(64, 32, num_layers=2, batch_first=True, dropout=0.1, bidirectional=True), last=True)",
        ),
        ("batch_norm", [(64, 9, 9)], {}, "nn.BatchNorm2d(64)"),
        ("batch_norm", [(64,)], {"momentum": 0.01}, "nn.BatchNorm1d(64, momentum=0.01)"),
        ("group_norm", [(64, 9, 9)], {"num_groups": 8}, "nn.GroupNorm(8, 64)"),
        ("layer_norm", [(9, 64)], {"eps": 1e-6}, "nn.LayerNorm(64, eps=1e-06)"),
        ("linear", [(9, 64)], {"out_features": 10, "bias": False}, "nn.Linear(64, 10, bias=False)"),
        ("dropout", [(64,)], {"p": 0.1}, "nn.Dropout(0.1)"),
        ("attention", [(9, 64)], {"num_heads": 4}, "nn.MultiheadAttention(64, 4, batch_first=True)"),
        ("patch_embed", [(3, 9, 12)], {"embed_dim": 64, "patch_size": 3}, "PatchEmbedding(3, 64, 3, length=12)"),
        (
            "patch_embed",
            [(3, 9, 12)],
            {"embed_dim": 64, "patch_size": 3, "position": False},
            "PatchEmbedding(3, 64, 3)",
        ),
        ("class_token", [(9, 64)], {}, "ClassToken(64)"),
        ("normalize", [(2, 9, 9)], {"mean": (0.5, 0.25), "std": 2.0}, "Normalize((0.5, 0.25), 2.0)"),
        ("mixture", [(64,), (8,), (8,), (8,)], {}, "Mixture(64, 3)"),
        ("mixture", [(9, 64), (8, 3, 3), (8, 3, 3)], {}, "Mixture(64, 2)"),
    ],
)
def test_modules_are_written_without_their_defaults(
    name: str, inputs: list[Shape], arguments: dict[str, Constant], text: str
) -> None:
    operator = OPERATORS[name]
    assert operator.module is not None
    assert operator.module(complete(name, *inputs, **arguments), tuple(inputs)) == text


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("conv2d", {"out_channels": 8, "kernel_size": 3}, "self.conv(x)"),
        ("depthwise", {"kernel_size": 1, "stride": 2}, "self.conv(x[:, :, ::2, ::2])"),
        ("conv_transpose2d", {"out_channels": 8, "kernel_size": 2, "stride": 2}, "self.conv(x)"),
        ("relu", {}, "F.relu(x)"),
        ("leaky_relu", {"negative_slope": 0.2}, "F.leaky_relu(x, negative_slope=0.2)"),
        ("gelu", {}, "F.gelu(x)"),
        ("gelu", {"approximate": "tanh"}, 'F.gelu(x, approximate="tanh")'),
        ("silu", {}, "F.silu(x)"),
        ("sigmoid", {}, "torch.sigmoid(x)"),
        ("tanh", {}, "torch.tanh(x)"),
        ("softplus", {}, "F.softplus(x)"),
        ("softplus", {"beta": 1, "threshold": 30}, "F.softplus(x, threshold=30.0)"),
        ("max_pool2d", {"kernel_size": 3, "stride": 2}, "F.max_pool2d(x, 3, stride=2, padding=1)"),
        ("max_pool2d", {"kernel_size": 2}, "F.max_pool2d(x, 2)"),
        ("avg_pool2d", {"kernel_size": 2, "ceil_mode": True}, "F.avg_pool2d(x, 2, ceil_mode=True)"),
        ("adaptive_avg_pool2d", {"output_size": 1}, "F.adaptive_avg_pool2d(x, 1)"),
        ("adaptive_avg_pool2d", {"output_size": (2, 3)}, "F.adaptive_avg_pool2d(x, (2, 3))"),
        (
            "resize",
            {"size": 72, "width": 96},
            'F.interpolate(x, size=(72, 96), mode="bilinear", align_corners=False)',
        ),
        ("resize", {"size": 0.5, "mode": "nearest"}, 'F.interpolate(x, size=(12, 16), mode="nearest")'),
        ("resize_as", {}, 'F.interpolate(x, size=y.shape[-2:], mode="bilinear", align_corners=False)'),
        ("upsample", {"scale_factor": 2.0}, 'F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)'),
        ("concat", {}, "torch.cat([x, y], dim=1)"),
        ("add", {}, "x + y"),
        ("mul", {}, "x * y"),
        ("mixture", {}, "self.conv(x, y)"),
        ("flatten", {}, "torch.flatten(x, 1)"),
        ("identity", {}, "x"),
        ("attention", {"num_heads": 2}, "self.conv(x, x, x, need_weights=False)[0]"),
    ],
)
def test_expressions_are_what_an_engineer_would_write(name: str, arguments: dict[str, Constant], text: str) -> None:
    inputs = (IMAGE,) * (OPERATORS[name].arity or 2)
    values = ("x", "y")[: len(inputs)]
    assert OPERATORS[name].expression(complete(name, *inputs, **arguments), "self.conv", values) == text


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("conv1d", {"out_channels": 8, "kernel_size": 3}, "self.conv(torch.transpose(x, 1, 2))"),
        (
            "conv1d",
            {"out_channels": 8, "kernel_size": 1, "stride": 2},
            "self.conv(torch.transpose(x[:, ::2], 1, 2))",
        ),
        ("max_pool1d", {"kernel_size": 2}, "F.max_pool1d(torch.transpose(x, 1, 2), 2)"),
        (
            "avg_pool1d",
            {"kernel_size": 3, "stride": 1},
            "F.avg_pool1d(torch.transpose(x, 1, 2), 3, stride=1, padding=1)",
        ),
    ],
)
def test_windows_along_tokens_see_channels_first(name: str, arguments: dict[str, Constant], text: str) -> None:
    found = OPERATORS[name].expression(complete(name, (9, 8), **arguments), "self.conv", ("x",))
    assert found == f"torch.transpose({text}, 1, 2)"


@pytest.mark.parametrize("name", ["batch_norm", "group_norm"])
def test_a_norm_along_tokens_is_that_of_torch_with_channels_first(name: str) -> None:
    arguments = complete(name, (9, 8), **({"num_groups": 4} if name == "group_norm" else {}))
    ours = build(OPERATORS[name], arguments, ((9, 8),))
    theirs = nn.BatchNorm1d(8) if name == "batch_norm" else nn.GroupNorm(4, 8)
    assert ours is not None
    tokens = torch.randn(5, 9, 8) * 3 + 1
    for _ in range(2):  # trained, then evaluated
        found = evaluate(OPERATORS[name], arguments, ours, (tokens,))
        assert torch.equal(found, theirs(tokens.transpose(1, 2)).transpose(1, 2))
        ours.eval(), theirs.eval()
    assert all(torch.equal(one, other) for one, other in zip(ours.buffers(), theirs.buffers(), strict=True))
    if name == "batch_norm":
        assert not torch.equal(theirs.running_mean, torch.zeros(8))


# Values


def run(name: str, *values: Tensor, **arguments: Constant) -> Tensor:
    inputs = tuple(tuple(value.shape[1:]) for value in values)
    completed = complete(name, *inputs, **arguments)
    return evaluate(OPERATORS[name], completed, build(OPERATORS[name], completed, inputs), values)


def test_tokens_of_an_image_make_that_image_again() -> None:
    image = torch.rand(2, 5, 3, 4)
    tokens = run("to_tokens", image)
    assert torch.equal(tokens[1, 4 * 2 + 3], image[1, :, 2, 3])
    assert torch.equal(run("to_image", tokens, height=3, width=4), image)


def test_the_mean_of_tokens_leaves_their_channels() -> None:
    tokens = torch.rand(2, 7, 5)
    torch.testing.assert_close(run("mean_tokens", tokens), tokens.sum(dim=1) / 7)


def test_a_class_token_is_the_same_learned_one_before_the_tokens_of_each_sample() -> None:
    tokens, inputs = torch.rand(2, 7, 5), ((7, 5),)
    operator = OPERATORS["class_token"]
    module = build(operator, {}, inputs)
    assert module is not None
    found = evaluate(operator, {}, module, (tokens,))
    assert torch.equal(found[:, 1:], tokens)
    first = run("first_token", found).detach()
    assert torch.equal(first, module.get_parameter("token")[0].expand(2, 5))
    assert 0 < float(first.std()) < 0.1


def test_an_image_is_normalised_by_the_mean_and_deviation_that_are_given() -> None:
    """As torchvision's `normalize` does it: (value - mean) / std for each channel."""
    image = torch.rand(2, 3, 4, 5)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = run("normalize", image, mean=mean, std=std)
    for channel in range(3):
        torch.testing.assert_close(found[:, channel], (image[:, channel] - mean[channel]) / std[channel])
    torch.testing.assert_close(run("normalize", image, mean=0.5, std=0.25), image * 4 - 2)
    operator = OPERATORS["normalize"]
    module = build(operator, complete("normalize", (3, 4, 5), mean=mean, std=std), ((3, 4, 5),))
    assert module is not None
    assert not module.state_dict()  # nothing that is kept with the weights, or averaged with them


def test_a_convolution_along_tokens_is_the_sum_over_its_window() -> None:
    tokens, shape = torch.rand(2, 7, 5), (7, 5)
    arguments = complete("conv1d", shape, out_channels=4, kernel_size=3)
    module = build(OPERATORS["conv1d"], arguments, (shape,))
    assert isinstance(module, nn.Conv1d)
    assert module.bias is not None
    result = evaluate(OPERATORS["conv1d"], arguments, module, (tokens,))
    around = sum(tokens[1, 2 + step] @ module.weight[:, :, step].T for step in range(3))
    torch.testing.assert_close(result[1, 3], around + module.bias)
    torch.testing.assert_close(run("max_pool1d", tokens, kernel_size=2)[:, 1], tokens[:, 2:4].amax(1))
    torch.testing.assert_close(run("avg_pool1d", tokens, kernel_size=2)[:, 1], tokens[:, 2:4].mean(1))


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_state_of_each_direction_is_that_after_all_tokens(name: str, layers: int) -> None:
    operator, inputs = OPERATORS[name], ((7, 5),)
    tokens = torch.rand(3, 7, 5, generator=torch.Generator().manual_seed(0))
    found = {}
    for output in ("all", "last"):
        arguments = complete(name, *inputs, hidden_size=4, num_layers=layers, bidirectional=True, output=output)
        torch.manual_seed(1)
        found[output] = evaluate(operator, arguments, build(operator, arguments, inputs), (tokens,))
    torch.testing.assert_close(found["last"][:, :4], found["all"][:, -1, :4])
    torch.testing.assert_close(found["last"][:, 4:], found["all"][:, 0, 4:])


@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_network_keeps_its_precision_where_others_compute_in_bf16(name: str) -> None:
    operator, inputs = OPERATORS[name], ((7, 5),)
    arguments = complete(name, *inputs, hidden_size=4, output="last")
    module, tokens = build(operator, arguments, inputs), torch.rand(3, 7, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = evaluate(operator, arguments, module, (tokens,))
    assert torch.equal(found, evaluate(operator, arguments, module, (tokens.float(),)))


def test_each_patch_makes_one_token_in_reading_order() -> None:
    operator, image = OPERATORS["patch_embed"], torch.rand(1, 3, 4, 6)
    arguments = complete("patch_embed", (3, 4, 6), embed_dim=5, patch_size=2)
    module = build(operator, arguments, ((3, 4, 6),))
    assert module is not None
    weights = dict(module.named_parameters())
    token = weights["projection.weight"].flatten(1) @ image[0, :, 2:4, 4:6].flatten() + weights["projection.bias"]
    result = evaluate(operator, arguments, module, (image,))
    torch.testing.assert_close(result[0, 5], token + weights["position"][0, 5])


@pytest.mark.parametrize("shape", [(5,), (7, 5), (5, 4, 3)])
@pytest.mark.parametrize("mixed", [(6,), (2, 6), (6, 3, 2)])
def test_a_mixture_is_a_sum_whose_shares_are_a_softmax_of_the_mean_of_what_is_piped(shape: Shape, mixed: Shape) -> None:
    operator, inputs = OPERATORS["mixture"], (shape, mixed, mixed, mixed)
    generator = torch.Generator().manual_seed(0)
    piped, *values = (torch.randn(2, *each, generator=generator) for each in inputs)
    module = build(operator, {}, inputs)
    assert module is not None
    (weight,) = module.parameters()
    for sample in range(2):
        mean = piped[sample].flatten(1).mean(1) if len(shape) == 3 else piped[sample].reshape(-1, 5).mean(0)
        exponents = [float(row @ mean) for row in weight.detach()]
        shares = [math.exp(each) / sum(map(math.exp, exponents)) for each in exponents]
        wanted = sum((share * value[sample] for share, value in zip(shares, values, strict=True)), torch.zeros(mixed))
        found = evaluate(operator, {}, module, (piped, *values))[sample]
        torch.testing.assert_close(found, wanted)


def test_resize_as_follows_the_reference_at_any_size() -> None:
    operator = OPERATORS["resize_as"]
    arguments = complete("resize_as", (2, 4, 4), (3, 8, 8))
    result = evaluate(operator, arguments, None, (torch.rand(1, 2, 5, 7), torch.rand(1, 3, 11, 13)))
    assert result.shape == (1, 2, 11, 13)


# Misfits

FEATURES: Shape = (8,)
SEQUENCE: Shape = (12, 8)
PICTURE: Shape = (8, 12, 16)


@pytest.mark.parametrize(
    ("name", "inputs", "arguments", "cause", "remedy"),
    [
        ("conv2d", [SEQUENCE], {"out_channels": 8, "kernel_size": 3}, "tokens of 12 x 8", "`to_image(height, width)`"),
        ("conv2d", [FEATURES], {"out_channels": 8, "kernel_size": 3}, "8 features", "before the operator that makes"),
        ("conv2d", [PICTURE], {"out_channels": 9, "kernel_size": 3, "groups": 3}, "gets 8 channels", "2, 4 or 8"),
        ("conv2d", [PICTURE], {"out_channels": 9, "kernel_size": 3, "groups": 4}, "makes 9 channels", "multiple of 4"),
        (
            "conv2d",
            [PICTURE],
            {"out_channels": 8, "kernel_size": 14, "padding": 0},
            "covers 14 x 14 pixels, but the padded image has only 12 x 16",
            "smaller kernel",
        ),
        ("depthwise", [SEQUENCE], {"kernel_size": 3}, "works on an image", "`to_image(height, width)`"),
        ("depthwise", [(8, 2, 1)], {"kernel_size": 2}, "has only 2 x 1", "smaller kernel"),
        ("conv_transpose2d", [FEATURES], {"out_channels": 8, "kernel_size": 2}, "works on an image", "before"),
        ("conv_transpose2d", [PICTURE], {"out_channels": 9, "kernel_size": 2, "groups": 4}, "makes 9", "multiple of 4"),
        (
            "conv_transpose2d",
            [PICTURE],
            {"out_channels": 8, "kernel_size": 3, "stride": 2, "output_padding": 2},
            "an output_padding of 2 x 2",
            "smaller output_padding",
        ),
        (
            "conv_transpose2d",
            [(8, 1, 1)],
            {"out_channels": 8, "kernel_size": 2, "padding": 1},
            "leaves nothing of an image of 1 x 1",
            "less padding",
        ),
        ("conv1d", [PICTURE], {"out_channels": 8, "kernel_size": 3}, "works on tokens", "`to_tokens`"),
        ("conv1d", [SEQUENCE], {"out_channels": 9, "kernel_size": 3, "groups": 3}, "gets 8 channels", "2, 4 or 8"),
        (
            "conv1d",
            [SEQUENCE],
            {"out_channels": 8, "kernel_size": 14},
            "covers 14 tokens, but the padded sequence has only 12",
            "smaller kernel",
        ),
        ("max_pool1d", [(1, 8)], {"kernel_size": 2}, "has only 1", "smaller kernel"),
        ("avg_pool1d", [SEQUENCE], {"kernel_size": 2, "padding": 2}, "a padding of 2", "padding=1"),
        ("gru", [FEATURES], {"hidden_size": 4}, "works on tokens", "features of the tokens"),
        ("lstm", [SEQUENCE], {"hidden_size": 4, "dropout": 0.1}, "it has one", "num_layers=2"),
        ("max_pool2d", [(8, 2, 1)], {"kernel_size": 2}, "has only 2 x 1", "smaller kernel"),
        ("max_pool2d", [PICTURE], {"kernel_size": 3, "padding": 2}, "a padding of 2 x 2", "padding=1"),
        ("max_pool2d", [PICTURE], {"kernel_size": 3, "dilation": 2}, "a padding of 2 x 2", "padding=1"),
        ("avg_pool2d", [PICTURE], {"kernel_size": (2, 4), "padding": (2, 0)}, "2 x 0", "padding=[1, 2]"),
        ("avg_pool2d", [SEQUENCE], {"kernel_size": 2}, "works on an image", "`to_image"),
        ("adaptive_avg_pool2d", [FEATURES], {"output_size": 1}, "works on an image", "before"),
        ("group_norm", [PICTURE], {"num_groups": 3}, "3 groups do not divide", "2, 4 or 8"),
        ("group_norm", [FEATURES], {"num_groups": 8}, "one value a group", "fewer groups"),
        ("layer_norm", [PICTURE], {}, "works on tokens or features", "`group_norm(1)`"),
        ("softplus", [PICTURE], {"beta": 0}, "beta=0", "above 0"),
        ("resize", [SEQUENCE], {"size": 0.5}, "works on an image", "`to_image"),
        ("resize", [PICTURE], {"size": 72}, "no fraction", "`resize(72, 96)`"),
        ("resize", [PICTURE], {"size": 0.0}, "no fraction", "`resize(0.5)`"),
        ("resize", [PICTURE], {"size": 0.5, "width": 96}, "the height 0.5", "whole pixels"),
        ("resize", [PICTURE], {"size": 0, "width": 96}, "0 x 96", "larger size"),
        ("resize", [PICTURE], {"size": 0.5, "mode": "nearest", "align_corners": True}, "align_corners", "leave"),
        ("resize_as", [PICTURE, FEATURES], {}, "8 features", "name an image"),
        ("resize_as", [SEQUENCE, PICTURE], {}, "tokens of 12 x 8", "`to_image"),
        ("upsample", [FEATURES], {"scale_factor": 2}, "8 features", "before"),
        ("upsample", [PICTURE], {"scale_factor": 0.01}, "0 x 0", "larger size"),
        ("concat", [PICTURE], {}, "gets 1", "name what"),
        ("concat", [PICTURE, (8, 6, 8)], {}, "8 x 12 x 16 and 8 x 6 x 8", "`resize_as`"),
        ("concat", [PICTURE, FEATURES], {}, "images and features", "adaptive_avg_pool2d(1) | flatten"),
        ("concat", [SEQUENCE, SEQUENCE], {}, "tokens of 12 x 8", "`add`"),
        ("add", [PICTURE], {}, "gets 1", "name what"),
        ("mul", [PICTURE, (4, 12, 16)], {}, "`mul` needs equal shapes", "`conv2d(8, 1)`"),
        ("mixture", [PICTURE, FEATURES], {}, "gets 1", "name what"),
        ("mixture", [FEATURES, PICTURE, (4, 12, 16)], {}, "`mixture` needs equal shapes", "`conv2d(8, 1)`"),
        ("add", [PICTURE, (4, 12, 16)], {}, "8 x 12 x 16 and 4 x 12 x 16", "`conv2d(8, 1)`"),
        ("add", [PICTURE, (8, 6, 8)], {}, "equal shapes", "`resize_as`"),
        ("add", [PICTURE, SEQUENCE], {}, "equal shapes", "images with images"),
        ("add", [SEQUENCE, (12, 4)], {}, "equal shapes", "`linear(8)`"),
        ("add", [SEQUENCE, (6, 8)], {}, "equal shapes", "one length"),
        ("linear", [PICTURE], {"out_features": 10}, "8 x 12 x 16 (channels, height, width)", "put `flatten` before it"),
        ("attention", [PICTURE], {"num_heads": 2}, "works on tokens", "`patch_embed` or `to_tokens`"),
        ("attention", [SEQUENCE], {"num_heads": 3}, "3 heads do not divide", "num_heads=1, 2, 4 or 8"),
        ("patch_embed", [SEQUENCE], {"embed_dim": 8, "patch_size": 4}, "works on an image", "`to_image"),
        ("patch_embed", [PICTURE], {"embed_dim": 8, "patch_size": 5}, "patches of 5 x 5", "an image of 10 x 15"),
        ("mean_tokens", [PICTURE], {}, "works on tokens", "`to_tokens`"),
        ("class_token", [PICTURE], {}, "works on tokens", "`to_tokens`"),
        ("first_token", [(5,)], {}, "works on tokens", "move it before"),
        ("normalize", [SEQUENCE], {"mean": 0.5, "std": 0.5}, "works on an image", "`to_image"),
        ("normalize", [PICTURE], {"mean": (0.5, 0.5, 0.5), "std": 0.5}, "3 numbers as its `mean`", "one for all"),
        ("normalize", [PICTURE], {"mean": 0.5, "std": (0.5,)}, "1 number as its `std`", "one for all"),
        ("to_tokens", [SEQUENCE], {}, "works on an image", "leave it out"),
        ("to_image", [PICTURE], {"height": 3, "width": 4}, "works on tokens", "leave it out"),
        ("to_image", [SEQUENCE], {"height": 3, "width": 5}, "15 pixels of 12 tokens", "product is 12"),
    ],
)
def test_a_misfit_says_why_and_what_would_fit(
    name: str, inputs: list[Shape], arguments: dict[str, Constant], cause: str, remedy: str
) -> None:
    with pytest.raises(Misfit) as caught:
        shape_of(name, *inputs, **arguments)
    assert caught.value.cause.startswith(f"`{name}")
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy


def test_a_fraction_needs_a_network_that_reads_an_image() -> None:
    with pytest.raises(Misfit, match="no image"):
        complete("resize", PICTURE, image=(10,), size=0.5)


@pytest.mark.parametrize("value", [True, (True, 1), (1, 2, 3), 1.5, "3"])
def test_a_size_of_the_wrong_kind_is_a_defect_of_the_caller(value: Constant) -> None:
    with pytest.raises(TypeError):
        complete("conv2d", PICTURE, out_channels=8, kernel_size=value)
