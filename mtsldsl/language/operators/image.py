"""Convolution and pooling: a window slides over an image."""

from __future__ import annotations

from math import prod

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import AUTO, Flag, Integer, Key, OneOrMany
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator
from mtsldsl.language.operators.arguments import Pair, apply, call, completed, flag, integer, pair
from mtsldsl.language.operators.shapes import divides, divisors, image, times


def _same(kernel: Pair, dilation: Pair) -> Pair:
    """The padding that keeps height and width at stride 1, for odd kernels; 0 for even ones, which have none."""
    height, width = (d * (k - 1) // 2 if k % 2 else 0 for k, d in zip(kernel, dilation, strict=True))
    return height, width


def _slide(operator: str, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, *, ceil: bool) -> Pair:
    """Height and width of the result, as torch.nn.Conv2d and torch.nn.MaxPool2d document them."""
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    window = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    result = []
    for n, p, whole, extent, s in zip(size, padding, padded, window, stride, strict=True):
        steps = (whole - extent + (s - 1 if ceil else 0)) // s
        if ceil and steps * s >= n + p:  # a window that would start in the padding after the image is left out
            steps -= 1
        result.append(steps + 1)
    if min(result) < 1:
        raise Misfit(
            f"`{operator}` covers {times(window)} pixels, but the padded image has only {times(padded)}",
            "take a smaller kernel, more padding, or fewer strides before it",
        )
    return result[0], result[1]


def _complete_convolution(given: Given, context: Context) -> Arguments:
    return completed(
        given,
        padding=_same(pair(given, "kernel_size"), pair(given, "dilation")),
        bias=context.following != "batch_norm",  # which subtracts the mean, and any bias with it
    )


def _convolution_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image("conv2d", inputs[0])
    groups, filters = integer(arguments, "groups"), integer(arguments, "out_channels")
    divides(
        groups,
        channels,
        f"`conv2d` gets {channels} channels, which {groups} groups do not divide",
        f"take groups={divisors(channels)}",
    )
    divides(
        groups,
        filters,
        f"`conv2d` makes {filters} channels, which {groups} groups do not divide",
        f"take a multiple of {groups} for out_channels",
    )
    kernel, stride, padding, dilation = (pair(arguments, n) for n in ("kernel_size", "stride", "padding", "dilation"))
    return filters, *_slide("conv2d", (height, width), kernel, stride, padding, dilation, ceil=False)


def _convolution_weights(arguments: Arguments, inputs: tuple[Shape, ...]) -> int:
    fan_in = inputs[0][0] // integer(arguments, "groups") * prod(pair(arguments, "kernel_size"))
    return integer(arguments, "out_channels") * fan_in


def _convolution_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return _convolution_weights(arguments, inputs) + (output[0] if flag(arguments, "bias") else 0)


def _convolution_flops(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return 2 * output[1] * output[2] * _convolution_weights(arguments, inputs)


def _convolution_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.Conv2d",
        inputs[0][0],
        arguments["out_channels"],
        arguments["kernel_size"],
        stride=(1 if _subsampled(arguments) else arguments["stride"], 1),
        padding=(arguments["padding"], 0),
        dilation=(arguments["dilation"], 1),
        groups=(arguments["groups"], 1),
        bias=(arguments["bias"], True),
    )


def _subsampled(arguments: Arguments) -> bool:
    """Whether the convolution looks at single pixels, some of which it leaves out.

    In channels_last, with stride, and on few channels such a convolution writes beyond its memory in oneDNN on AVX2
    (docs/dependencies.md). It is the same without a stride on the pixels that are left.
    """
    kernel, stride, padding = (pair(arguments, name) for name in ("kernel_size", "stride", "padding"))
    return kernel == (1, 1) and stride != (1, 1) and padding == (0, 0)


def _convolution_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    if not _subsampled(arguments):
        return f"{module}({values[0]})"
    height, width = pair(arguments, "stride")
    return f"{module}({values[0]}[:, :, ::{height}, ::{width}])"


def _complete_pooling(given: Given, context: Context) -> Arguments:
    kernel = pair(given, "kernel_size")
    dilation = pair(given, "dilation") if "dilation" in given else (1, 1)
    return completed(given, stride=kernel, padding=_same(kernel, dilation))


def _pooling_shape(operator: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image(operator, inputs[0])
    kernel, stride, padding = (pair(arguments, name) for name in ("kernel_size", "stride", "padding"))
    dilation = pair(arguments, "dilation") if "dilation" in arguments else (1, 1)
    half = (kernel[0] // 2, kernel[1] // 2)
    if padding[0] > half[0] or padding[1] > half[1]:
        raise Misfit(
            f"`{operator}` has a padding of {times(padding)}, more than half of its kernel of {times(kernel)}",
            f"take padding={half[0]}" if half[0] == half[1] else f"take padding=[{half[0]}, {half[1]}]",
        )
    ceil = flag(arguments, "ceil_mode")
    return channels, *_slide(operator, (height, width), kernel, stride, padding, dilation, ceil=ceil)


def _max_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return apply(
        "F.max_pool2d",
        values[0],
        arguments["kernel_size"],
        stride=(arguments["stride"], arguments["kernel_size"]),
        padding=(arguments["padding"], 0),
        dilation=(arguments["dilation"], 1),
        ceil_mode=(arguments["ceil_mode"], False),
    )


def _avg_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return apply(
        "F.avg_pool2d",
        values[0],
        arguments["kernel_size"],
        stride=(arguments["stride"], arguments["kernel_size"]),
        padding=(arguments["padding"], 0),
        ceil_mode=(arguments["ceil_mode"], False),
        count_include_pad=(arguments["count_include_pad"], True),
    )


def _adaptive_pool_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    return image("adaptive_avg_pool2d", inputs[0])[0], *pair(arguments, "output_size")


_KERNEL = Key("kernel_size", OneOrMany(Integer(1), length=2))
_PADDING = Key("padding", OneOrMany(Integer(0), length=2), default=AUTO)

IMAGE: tuple[Operator, ...] = (
    Operator(
        "conv2d",
        "Convolution of an image. `padding` is such that stride 1 keeps the size of the image where the kernel is odd, "
        "0 where it is even; `bias` is off where `batch_norm` follows, else on.",
        (
            Key("out_channels", Integer(1)),
            _KERNEL,
            Key("stride", OneOrMany(Integer(1), length=2), default=1),
            _PADDING,
            Key("dilation", OneOrMany(Integer(1), length=2), default=1),
            Key("groups", Integer(1), default=1),
            Key("bias", Flag(), default=AUTO),
        ),
        complete=_complete_convolution,
        shape=_convolution_shape,
        parameters=_convolution_parameters,
        flops=_convolution_flops,
        module=_convolution_module,
        stem="conv",
        fresh=True,
        expression=_convolution_expression,
    ),
    Operator(
        "max_pool2d",
        "The largest value in each window of an image. `stride` is the kernel's size unless given; `padding` is as "
        "for `conv2d`.",
        (
            _KERNEL,
            Key("stride", OneOrMany(Integer(1), length=2), default=AUTO),
            _PADDING,
            Key("dilation", OneOrMany(Integer(1), length=2), default=1),
            Key("ceil_mode", Flag(), default=False),
        ),
        complete=_complete_pooling,
        shape=lambda arguments, inputs: _pooling_shape("max_pool2d", arguments, inputs),
        expression=_max_pool_expression,
    ),
    Operator(
        "avg_pool2d",
        "The mean of each window of an image. `stride` is the kernel's size unless given; `padding` is as for "
        "`conv2d`.",
        (
            _KERNEL,
            Key("stride", OneOrMany(Integer(1), length=2), default=AUTO),
            _PADDING,
            Key("ceil_mode", Flag(), default=False),
            Key("count_include_pad", Flag(), default=True),
        ),
        complete=_complete_pooling,
        shape=lambda arguments, inputs: _pooling_shape("avg_pool2d", arguments, inputs),
        expression=_avg_pool_expression,
    ),
    Operator(
        "adaptive_avg_pool2d",
        "The means of an image over a grid of `output_size` (height and width) equal windows.",
        (Key("output_size", OneOrMany(Integer(1), length=2)),),
        shape=_adaptive_pool_shape,
        expression=lambda arguments, module, values: apply(
            "F.adaptive_avg_pool2d", values[0], arguments["output_size"]
        ),
    ),
)
