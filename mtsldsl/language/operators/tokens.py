"""Tokens and features: linear maps, attention, and the ways from images to tokens to features and back."""

from __future__ import annotations

from math import prod

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import AUTO, Flag, Integer, Key, OneOrMany, Real
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator
from mtsldsl.language.operators.arguments import call, completed, flag, integer, pair
from mtsldsl.language.operators.shapes import described, divides, divisors, image, times, tokens

_PATCH_EMBEDDING = '''\
class PatchEmbedding(nn.Module):
    """Tokens of an image: each patch mapped to `embed_dim` channels, plus a learned embedding of its place."""

    def __init__(
        self, in_channels: int, embed_dim: int, patch_size: int | tuple[int, int], length: int | None = None
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dim, patch_size, stride=patch_size)
        self.position = None if length is None else nn.Parameter(torch.empty(1, length, embed_dim))
        if self.position is not None:
            nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        tokens: Tensor = self.projection(image).flatten(2).transpose(1, 2)
        return tokens if self.position is None else tokens + self.position
'''


_CLASS_TOKEN = '''\
class ClassToken(nn.Module):
    """Tokens with a learned one before them, in which attention gathers what all of them say."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(1, 1, embed_dim))
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
'''


def _complete_linear(given: Given, context: Context) -> Arguments:
    return completed(given, bias=context.following != "batch_norm")  # which subtracts the mean, and any bias with it


def _linear_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    if len(inputs[0]) not in (1, 2):
        raise Misfit(
            f"`linear` works on features or tokens, but gets {described(inputs[0])}",
            "put `flatten` before it, or use `conv2d` with a kernel of 1",
        )
    return *inputs[0][:-1], integer(arguments, "out_features")


def _linear_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return output[-1] * (inputs[0][-1] + flag(arguments, "bias"))


def _linear_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call("nn.Linear", inputs[0][-1], arguments["out_features"], bias=(arguments["bias"], True))


def _attention_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, channels = tokens("attention", inputs[0])
    heads = integer(arguments, "num_heads")
    divides(
        heads,
        channels,
        f"`attention` gets {channels} channels, which {heads} heads do not divide",
        f"take num_heads={divisors(channels)}",
    )
    return length, channels


def _attention_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    channels = output[1]
    return 4 * channels * (channels + flag(arguments, "bias"))


def _attention_flops(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    length, channels = output
    projections = 4 * length * channels * channels  # query, key and value at once, and the output
    products = 2 * length * length * channels  # of queries with keys, and of weights with values
    return 2 * (projections + products)


def _attention_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.MultiheadAttention",
        inputs[0][1],
        arguments["num_heads"],
        dropout=(arguments["dropout"], 0.0),
        bias=(arguments["bias"], True),
        batch_first=(True, False),
    )


def _attention_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    value = values[0]
    return f"{module}({value}, {value}, {value}, need_weights=False)[0]"


def _patch_embed_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    _, height, width = image("patch_embed", inputs[0])
    rows, columns = pair(arguments, "patch_size")
    if height % rows or width % columns:
        fitting = times(_nearest(height, width, rows, columns))
        raise Misfit(
            f"`patch_embed` cuts patches of {times((rows, columns))}, which do not divide the image of "
            f"{times((height, width))} (height, width)",
            f"take a patch_size that divides both, or an image of {fitting}",
        )
    return height // rows * (width // columns), integer(arguments, "embed_dim")


def _nearest(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """The size next to height and width that the patches divide."""
    return max(1, round(height / rows)) * rows, max(1, round(width / columns)) * columns


def _patch_weights(arguments: Arguments, inputs: tuple[Shape, ...]) -> int:
    return integer(arguments, "embed_dim") * inputs[0][0] * prod(pair(arguments, "patch_size"))


def _patch_embed_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    length, channels = output
    return _patch_weights(arguments, inputs) + channels + (length * channels if flag(arguments, "position") else 0)


def _patch_embed_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    length = _patch_embed_shape(arguments, inputs)[0] if flag(arguments, "position") else None
    return call("PatchEmbedding", inputs[0][0], arguments["embed_dim"], arguments["patch_size"], length=(length, None))


def _class_token_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, channels = tokens("class_token", inputs[0])
    return length + 1, channels


def _to_image_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    length, channels = tokens("to_image", inputs[0], "leave it out where the value is no tokens")
    height, width = integer(arguments, "height"), integer(arguments, "width")
    if height * width != length:
        raise Misfit(
            f"`to_image` makes {times((height, width))} = {height * width} pixels of {length} tokens",
            f"take a height and a width whose product is {length}",
        )
    return channels, height, width


def _to_tokens_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    channels, height, width = image("to_tokens", inputs[0], "leave it out where the value is no image")
    return height * width, channels


TOKENS: tuple[Operator, ...] = (
    Operator(
        "linear",
        "A learned linear map of the features, or of each token's channels. `bias` is off where `batch_norm` follows, "
        "else on.",
        (Key("out_features", Integer(1)), Key("bias", Flag(), default=AUTO)),
        complete=_complete_linear,
        shape=_linear_shape,
        parameters=_linear_parameters,
        flops=lambda arguments, inputs, output: 2 * prod(inputs[0]) * output[-1],
        module=_linear_module,
        width="out_features",
        stem="linear",
        fresh=True,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
    ),
    Operator(
        "flatten",
        "All values of an image or of tokens as features.",
        (),
        shape=lambda arguments, inputs: (prod(inputs[0]),),
        expression=lambda arguments, module, values: f"torch.flatten({values[0]}, 1)",
    ),
    Operator(
        "patch_embed",
        "An image as tokens: each patch of `patch_size` (height and width) mapped to `embed_dim` channels, plus a "
        "learned embedding of its place unless position=false.",
        (
            Key("embed_dim", Integer(1)),
            Key("patch_size", OneOrMany(Integer(1), length=2)),
            Key("position", Flag(), default=True),
        ),
        shape=_patch_embed_shape,
        parameters=_patch_embed_parameters,
        flops=lambda arguments, inputs, output: 2 * output[0] * _patch_weights(arguments, inputs),
        module=_patch_embed_module,
        width="embed_dim",
        stem="patches",
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        definition=_PATCH_EMBEDDING,
    ),
    Operator(
        "attention",
        "Multi-head self-attention among tokens; `dropout` is that of the attention weights.",
        (
            Key("num_heads", Integer(1)),
            Key("dropout", Real(0, 1), default=0.0),
            Key("bias", Flag(), default=True),
        ),
        shape=_attention_shape,
        parameters=_attention_parameters,
        flops=_attention_flops,
        module=_attention_module,
        stem="attention",
        expression=_attention_expression,
    ),
    Operator(
        "class_token",
        "Tokens with a learned one before them, as a vision transformer has it; `first_token` reads it again.",
        (),
        shape=_class_token_shape,
        parameters=lambda arguments, inputs, output: output[1],
        module=lambda arguments, inputs: call("ClassToken", inputs[0][1]),
        stem="class_token",
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        definition=_CLASS_TOKEN,
    ),
    Operator(
        "first_token",
        "The first token alone, as features.",
        (),
        shape=lambda arguments, inputs: (tokens("first_token", inputs[0])[1],),
        expression=lambda arguments, module, values: f"{values[0]}[:, 0]",
    ),
    Operator(
        "mean_tokens",
        "The mean of all tokens, as features.",
        (),
        shape=lambda arguments, inputs: (tokens("mean_tokens", inputs[0])[1],),
        expression=lambda arguments, module, values: f"torch.mean({values[0]}, dim=1)",
    ),
    Operator(
        "to_tokens",
        "The pixels of an image as tokens, row by row.",
        (),
        shape=_to_tokens_shape,
        expression=lambda arguments, module, values: f"torch.transpose(torch.flatten({values[0]}, 2), 1, 2)",
    ),
    Operator(
        "to_image",
        "Tokens as the pixels of an image of `height` and `width`, row by row.",
        (Key("height", Integer(1)), Key("width", Integer(1))),
        shape=_to_image_shape,
        expression=lambda arguments, module, values: (
            f"torch.unflatten(torch.transpose({values[0]}, 1, 2), 2, ({arguments['height']}, {arguments['width']}))"
        ),
    ),
)
