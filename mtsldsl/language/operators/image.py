"""Convolution and pooling: a window slides over an image."""

from __future__ import annotations

from math import prod

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import AUTO, Flag, Integer, Key, OneOrMany
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator
from mtsldsl.language.operators.arguments import apply, call, completed, flag, integer, pair
from mtsldsl.language.operators.shapes import image, times
from mtsldsl.language.operators.windows import avg_pool, grouped, half_padded, max_pool, same, slide


def _complete_convolution(given: Given, context: Context) -> Arguments:
    return completed(
        given,
        padding=same(pair(given, "kernel_size"), pair(given, "dilation")),
        bias=context.following != "batch_norm",  # which subtracts the mean, and any bias with it
    )


def _convolution_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image("conv2d", inputs[0])
    groups, filters = integer(arguments, "groups"), integer(arguments, "out_channels")
    grouped("conv2d", channels, filters, groups)
    kernel, stride, padding, dilation = (pair(arguments, n) for n in ("kernel_size", "stride", "padding", "dilation"))
    return filters, *slide("conv2d", (height, width), kernel, stride, padding, dilation)


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


def _by_channel(arguments: Arguments, inputs: tuple[Shape, ...]) -> Arguments:
    """A depthwise convolution as the `conv2d` that it is: a group, and a filter, for each channel."""
    channels = image("depthwise", inputs[0])[0]
    return {**arguments, "out_channels": channels, "groups": channels}


def _depthwise_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image("depthwise", inputs[0])
    kernel, stride, padding, dilation = (pair(arguments, n) for n in ("kernel_size", "stride", "padding", "dilation"))
    return channels, *slide("depthwise", (height, width), kernel, stride, padding, dilation)


def _complete_transposed(given: Given, context: Context) -> Arguments:
    return completed(given, bias=context.following != "batch_norm")


def _transposed_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    """Channels, height and width of the result, as torch.nn.ConvTranspose2d documents them."""
    channels, *size = image("conv_transpose2d", inputs[0])
    filters = integer(arguments, "out_channels")
    grouped("conv_transpose2d", channels, filters, integer(arguments, "groups"))
    kernel, stride, padding, dilation = (pair(arguments, n) for n in ("kernel_size", "stride", "padding", "dilation"))
    further = pair(arguments, "output_padding")
    if any(more >= max(s, d) for more, s, d in zip(further, stride, dilation, strict=True)):
        raise Misfit(
            f"`conv_transpose2d` has an output_padding of {times(further)}, which is not smaller than its stride of "
            f"{times(stride)} or its dilation of {times(dilation)}",
            "take a smaller output_padding: it chooses among the sizes that one stride makes alike",
        )
    height, width = (
        (n - 1) * s - 2 * p + d * (k - 1) + more + 1
        for n, s, p, d, k, more in zip(size, stride, padding, dilation, kernel, further, strict=True)
    )
    if min(height, width) < 1:
        raise Misfit(
            f"`conv_transpose2d` with a padding of {times(padding)} leaves nothing of an image of {times(size)} "
            "(height, width)",
            "take less padding, or a larger kernel",
        )
    return filters, height, width


def _transposed_weights(arguments: Arguments, inputs: tuple[Shape, ...]) -> int:
    filters = integer(arguments, "out_channels") // integer(arguments, "groups")
    return inputs[0][0] * filters * prod(pair(arguments, "kernel_size"))


def _transposed_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return _transposed_weights(arguments, inputs) + (output[0] if flag(arguments, "bias") else 0)


def _transposed_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.ConvTranspose2d",
        inputs[0][0],
        arguments["out_channels"],
        arguments["kernel_size"],
        stride=(arguments["stride"], 1),
        padding=(arguments["padding"], 0),
        output_padding=(arguments["output_padding"], 0),
        groups=(arguments["groups"], 1),
        bias=(arguments["bias"], True),
        dilation=(arguments["dilation"], 1),
    )


def _complete_pooling(given: Given, context: Context) -> Arguments:
    kernel = pair(given, "kernel_size")
    dilation = pair(given, "dilation") if "dilation" in given else (1, 1)
    return completed(given, stride=kernel, padding=same(kernel, dilation))


def _pooling_shape(operator: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image(operator, inputs[0])
    kernel, stride, padding = (pair(arguments, name) for name in ("kernel_size", "stride", "padding"))
    dilation = pair(arguments, "dilation") if "dilation" in arguments else (1, 1)
    half_padded(operator, kernel, padding)
    ceil = flag(arguments, "ceil_mode")
    return channels, *slide(operator, (height, width), kernel, stride, padding, dilation, ceil=ceil)


def _max_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return max_pool("F.max_pool2d", values[0], arguments)


def _avg_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return avg_pool("F.avg_pool2d", values[0], arguments)


def _adaptive_pool_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    return image("adaptive_avg_pool2d", inputs[0])[0], *pair(arguments, "output_size")


_KERNEL = Key("kernel_size", OneOrMany(Integer(1), length=2))
_STRIDE = Key("stride", OneOrMany(Integer(1), length=2), default=1)
_PADDING = Key("padding", OneOrMany(Integer(0), length=2), default=AUTO)
_DILATION = Key("dilation", OneOrMany(Integer(1), length=2), default=1)
_GROUPS = Key("groups", Integer(1), default=1)
_BIAS = Key("bias", Flag(), default=AUTO)

IMAGE: tuple[Operator, ...] = (
    Operator(
        "conv2d",
        "Convolution of an image. `padding` is such that stride 1 keeps the size of the image where the kernel is odd, "
        "0 where it is even; `bias` is off where `batch_norm` follows, else on.",
        (
            Key("out_channels", Integer(1)),
            _KERNEL,
            _STRIDE,
            _PADDING,
            _DILATION,
            _GROUPS,
            _BIAS,
        ),
        complete=_complete_convolution,
        shape=_convolution_shape,
        parameters=_convolution_parameters,
        flops=_convolution_flops,
        module=_convolution_module,
        width="out_channels",
        stem="conv",
        fresh=True,
        expression=_convolution_expression,
    ),
    Operator(
        "depthwise",
        "Convolution of each channel of an image by itself: `conv2d` with as many groups and `out_channels` as "
        "channels come in. `padding` and `bias` are as for `conv2d`.",
        (_KERNEL, _STRIDE, _PADDING, _DILATION, _BIAS),
        complete=_complete_convolution,
        shape=_depthwise_shape,
        parameters=lambda arguments, inputs, output: _convolution_parameters(
            _by_channel(arguments, inputs), inputs, output
        ),
        flops=lambda arguments, inputs, output: _convolution_flops(_by_channel(arguments, inputs), inputs, output),
        module=lambda arguments, inputs: _convolution_module(_by_channel(arguments, inputs), inputs),
        stem="depthwise",
        fresh=True,
        expression=_convolution_expression,
    ),
    Operator(
        "conv_transpose2d",
        "Transposed convolution, which enlarges an image by its stride: the gradient of a `conv2d` with these "
        "arguments. `bias` is as for `conv2d`; `padding` is 0 unless given.",
        (
            Key("out_channels", Integer(1)),
            _KERNEL,
            _STRIDE,
            Key("padding", OneOrMany(Integer(0), length=2), default=0),
            Key("output_padding", OneOrMany(Integer(0), length=2), default=0),
            _GROUPS,
            _BIAS,
            _DILATION,
        ),
        complete=_complete_transposed,
        shape=_transposed_shape,
        parameters=_transposed_parameters,
        flops=lambda arguments, inputs, output: (
            2 * inputs[0][1] * inputs[0][2] * _transposed_weights(arguments, inputs)
        ),
        module=_transposed_module,
        width="out_channels",
        stem="conv",
        fresh=True,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
    ),
    Operator(
        "max_pool2d",
        "The largest value in each window of an image. `stride` is the kernel's size unless given; `padding` is as "
        "for `conv2d`.",
        (
            _KERNEL,
            Key("stride", OneOrMany(Integer(1), length=2), default=AUTO),
            _PADDING,
            _DILATION,
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
