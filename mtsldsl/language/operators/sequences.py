"""Sequences: windows that slide along tokens, and recurrent networks that read them one after the other."""

from __future__ import annotations

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import AUTO, Choice, Flag, Integer, Key, Real
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator, channels_first
from mtsldsl.language.operators.arguments import call, completed, flag, integer, number, word
from mtsldsl.language.operators.shapes import described, tokens
from mtsldsl.language.operators.windows import avg_pool, grouped, half_padded, max_pool, same, slide

_RECURRENT = '''\
class Recurrent(nn.Module):
    """Tokens read one after the other: what `cells` give for each of them, or at the end of each direction."""

    def __init__(self, cells: nn.GRU | nn.LSTM, last: bool = False) -> None:
        super().__init__()
        self.cells = cells
        self.last = last

    def forward(self, tokens: Tensor) -> Tensor:
        outputs: Tensor
        with torch.autocast("cpu", enabled=False):  # few processors have an LSTM in bf16
            outputs, states = self.cells(tokens.to(self.cells.all_weights[0][0].dtype))
        if not self.last:
            return outputs
        hidden: Tensor = states if isinstance(states, Tensor) else states[0]
        return torch.cat([*hidden[-2:]] if self.cells.bidirectional else [hidden[-1]], dim=1)
'''


# Ids


def _embedding_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    if len(inputs[0]) != 1:
        remedy = "give it an input of one size, the number of ids in a sample: `input = words(20)`"
        raise Misfit(f"`embedding` looks up ids in a row, but gets {described(inputs[0])}", remedy)
    return inputs[0][0], integer(arguments, "embedding_dim")


# Windows


def _complete_window(given: Given, context: Context) -> Arguments:
    kernel = integer(given, "kernel_size")
    dilation = integer(given, "dilation") if "dilation" in given else 1
    return completed(given, stride=kernel, padding=same((kernel,), (dilation,))[0])


def _complete_convolution(given: Given, context: Context) -> Arguments:
    # a batch normalisation subtracts the mean, and any bias with it
    return completed(_complete_window(given, context), bias=context.following != "batch_norm")


def _length(operator: str, arguments: Arguments, length: int) -> int:
    kernel, stride, padding = (integer(arguments, name) for name in ("kernel_size", "stride", "padding"))
    dilation = integer(arguments, "dilation") if "dilation" in arguments else 1
    ceil = "ceil_mode" in arguments and flag(arguments, "ceil_mode")
    return slide(operator, (length,), (kernel,), (stride,), (padding,), (dilation,), ceil=ceil)[0]


def _convolution_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, channels = tokens("conv1d", inputs[0])
    filters = integer(arguments, "out_channels")
    grouped("conv1d", channels, filters, integer(arguments, "groups"))
    return _length("conv1d", arguments, length), filters


def _convolution_weights(arguments: Arguments, inputs: tuple[Shape, ...]) -> int:
    fan_in = inputs[0][1] // integer(arguments, "groups") * integer(arguments, "kernel_size")
    return integer(arguments, "out_channels") * fan_in


def _convolution_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return _convolution_weights(arguments, inputs) + (output[1] if flag(arguments, "bias") else 0)


def _subsampled(arguments: Arguments) -> bool:
    """Whether the convolution looks at single tokens, some of which it leaves out: it gets those that are left, as a
    `conv2d` of single pixels does."""
    kernel, stride, padding = (integer(arguments, name) for name in ("kernel_size", "stride", "padding"))
    return kernel == 1 and stride != 1 and padding == 0


def _convolution_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.Conv1d",
        inputs[0][1],
        arguments["out_channels"],
        arguments["kernel_size"],
        stride=(1 if _subsampled(arguments) else arguments["stride"], 1),
        padding=(arguments["padding"], 0),
        dilation=(arguments["dilation"], 1),
        groups=(arguments["groups"], 1),
        bias=(arguments["bias"], True),
    )


def _convolution_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    value = f"{values[0]}[:, ::{arguments['stride']}]" if _subsampled(arguments) else values[0]
    return channels_first(f"{module}({channels_first(value)})")


def _pooling_shape(operator: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, channels = tokens(operator, inputs[0])
    half_padded(operator, (integer(arguments, "kernel_size"),), (integer(arguments, "padding"),))
    return _length(operator, arguments, length), channels


def _max_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return channels_first(max_pool("F.max_pool1d", channels_first(values[0]), arguments))


def _avg_pool_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    return channels_first(avg_pool("F.avg_pool1d", channels_first(values[0]), arguments))


# Recurrent networks


def _directions(arguments: Arguments) -> int:
    return 2 if flag(arguments, "bidirectional") else 1


def _recurrent_shape(operator: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, _ = tokens(operator, inputs[0])
    if number(arguments, "dropout") and integer(arguments, "num_layers") == 1:
        raise Misfit(
            f"`{operator}` has dropout={arguments['dropout']}, which acts between its layers, and it has one",
            f"take num_layers=2 or more, or put `dropout({arguments['dropout']})` after it",
        )
    channels = integer(arguments, "hidden_size") * _directions(arguments)
    return (channels,) if word(arguments, "output") == "last" else (length, channels)


def _matrices(gates: int, arguments: Arguments, inputs: tuple[Shape, ...]) -> list[int]:
    """The weights of each layer in one direction, its biases left out: of what it reads, and of its own state."""
    hidden = integer(arguments, "hidden_size")
    read = [inputs[0][1], *[hidden * _directions(arguments)] * (integer(arguments, "num_layers") - 1)]
    return [gates * hidden * (each + hidden) for each in read]


def _recurrent(name: str, summary: str, module: str, gates: int) -> Operator:
    """A recurrent network of PyTorch's with so many gates a unit, each of which has two biases."""

    def parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
        biases = 2 * gates * integer(arguments, "hidden_size")
        return _directions(arguments) * sum(each + biases for each in _matrices(gates, arguments, inputs))

    def flops(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
        return 2 * inputs[0][0] * _directions(arguments) * sum(_matrices(gates, arguments, inputs))

    def constructor(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
        cells = call(
            module,
            inputs[0][1],
            arguments["hidden_size"],
            num_layers=(arguments["num_layers"], 1),
            batch_first=(True, False),
            dropout=(arguments["dropout"], 0.0),
            bidirectional=(arguments["bidirectional"], False),
        )
        return f"Recurrent({cells}{', last=True' if word(arguments, 'output') == 'last' else ''})"

    return Operator(
        name,
        f"{summary} `output=all` gives what it says of each token, `output=last` its state after the last one. With "
        "`bidirectional` a second one reads from the end, and both are side by side; its state is that after the first "
        "token. `dropout` acts between layers.",
        (
            Key("hidden_size", Integer(1)),
            Key("num_layers", Integer(1), default=1),
            Key("dropout", Real(0, 1), default=0.0),
            Key("bidirectional", Flag(), default=False),
            Key("output", Choice(("all", "last")), default="all"),
        ),
        shape=lambda arguments, inputs: _recurrent_shape(name, arguments, inputs),
        parameters=parameters,
        flops=flops,
        module=constructor,
        width="hidden_size",
        stem=name,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        definition=_RECURRENT,
    )


_KERNEL = Key("kernel_size", Integer(1))
_PADDING = Key("padding", Integer(0), default=AUTO)
_DILATION = Key("dilation", Integer(1), default=1)

SEQUENCES: tuple[Operator, ...] = (
    Operator(
        "embedding",
        "A learned vector of `embedding_dim` numbers for each of the ids 0 to `num_embeddings` - 1: what words, places "
        "or names are made numbers by. It reads an input, which so is [one of ids](#ids).",
        (Key("num_embeddings", Integer(1)), Key("embedding_dim", Integer(1))),
        shape=_embedding_shape,
        parameters=lambda arguments, inputs, output: integer(arguments, "num_embeddings") * output[1],
        module=lambda arguments, inputs: call("nn.Embedding", arguments["num_embeddings"], arguments["embedding_dim"]),
        width="embedding_dim",
        stem="embedding",
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        looks_up=True,
    ),
    Operator(
        "conv1d",
        "Convolution along tokens. `padding` is such that stride 1 keeps their number where the kernel is odd, 0 where "
        "it is even. `bias` is off before `batch_norm`.",
        (
            Key("out_channels", Integer(1)),
            _KERNEL,
            Key("stride", Integer(1), default=1),
            _PADDING,
            _DILATION,
            Key("groups", Integer(1), default=1),
            Key("bias", Flag(), default=AUTO),
        ),
        complete=_complete_convolution,
        shape=_convolution_shape,
        parameters=_convolution_parameters,
        flops=lambda arguments, inputs, output: 2 * output[0] * _convolution_weights(arguments, inputs),
        module=_convolution_module,
        width="out_channels",
        stem="conv",
        expression=_convolution_expression,
    ),
    Operator(
        "max_pool1d",
        "The largest value in each window along tokens. `stride` is the kernel's size unless given; `padding` is as "
        "for `conv1d`.",
        (
            _KERNEL,
            Key("stride", Integer(1), default=AUTO),
            _PADDING,
            _DILATION,
            Key("ceil_mode", Flag(), default=False),
        ),
        complete=_complete_window,
        shape=lambda arguments, inputs: _pooling_shape("max_pool1d", arguments, inputs),
        expression=_max_pool_expression,
    ),
    Operator(
        "avg_pool1d",
        "The mean of each window along tokens. `stride` is the kernel's size unless given; `padding` is as for "
        "`conv1d`.",
        (
            _KERNEL,
            Key("stride", Integer(1), default=AUTO),
            _PADDING,
            Key("ceil_mode", Flag(), default=False),
            Key("count_include_pad", Flag(), default=True),
        ),
        complete=_complete_window,
        shape=lambda arguments, inputs: _pooling_shape("avg_pool1d", arguments, inputs),
        expression=_avg_pool_expression,
    ),
    _recurrent(
        "gru", "A gated recurrent unit (Cho et al., 2014), which reads tokens one after the other.", "nn.GRU", 3
    ),
    _recurrent(
        "lstm",
        "A long short-term memory (Hochreiter and Schmidhuber, 1997), which reads tokens one after the other.",
        "nn.LSTM",
        4,
    ),
)
