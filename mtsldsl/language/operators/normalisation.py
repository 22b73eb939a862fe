"""Normalisation over the batch, over groups of channels, and over the channels of one token."""

from __future__ import annotations

from math import prod

from mtsldsl.diagnostics.counted import counted
from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import Flag, Integer, Key, OneOrMany, Real
from mtsldsl.language.operator import Arguments, Misfit, Operator
from mtsldsl.language.operators.arguments import call, flag, integer
from mtsldsl.language.operators.shapes import channels, described, divides, divisors, image

_NORMALIZE = '''\
class Normalize(nn.Module):
    """Images with a given mean taken out of each channel, divided by a given deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std
'''

_EPS = Key("eps", Real(0), default=1e-05)
_AFFINE = Key("affine", Flag(), default=True)


def _scale_and_shift(switch: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> int:
    return 2 * channels(inputs[0]) if flag(arguments, switch) else 0


def _batch_norm_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.BatchNorm2d" if len(inputs[0]) == 3 else "nn.BatchNorm1d",
        channels(inputs[0]),
        eps=(arguments["eps"], 1e-5),
        momentum=(arguments["momentum"], 0.1),
        affine=(arguments["affine"], True),
    )


def _group_norm_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    shape, groups = inputs[0], integer(arguments, "num_groups")
    size = channels(shape)
    divides(
        groups,
        size,
        f"`group_norm` gets {size} channels, which {groups} groups do not divide",
        f"take num_groups={divisors(size)}",
    )
    if prod(shape) == groups:
        raise Misfit(
            f"`group_norm` with {groups} groups has one value a group of {described(shape)}, which normalises to zero",
            "take fewer groups",
        )
    return shape


def _group_norm_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.GroupNorm",
        arguments["num_groups"],
        channels(inputs[0]),
        eps=(arguments["eps"], 1e-5),
        affine=(arguments["affine"], True),
    )


def _layer_norm_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    if len(inputs[0]) not in (1, 2):
        raise Misfit(
            f"`layer_norm` works on tokens or features, but gets {described(inputs[0])}",
            "use `group_norm(1)`, which normalises a whole image",
        )
    return inputs[0]


def _layer_norm_module(arguments: Arguments, inputs: tuple[Shape, ...]) -> str:
    return call(
        "nn.LayerNorm",
        channels(inputs[0]),
        eps=(arguments["eps"], 1e-5),
        elementwise_affine=(arguments["elementwise_affine"], True),
    )


def _normalize_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    count, _, _ = image("normalize", inputs[0])
    for name in ("mean", "std"):
        given = arguments[name]
        if isinstance(given, tuple) and len(given) != count:
            raise Misfit(
                f"`normalize` has {counted(len(given), 'number')} as its `{name}`, and the image has "
                f"{counted(count, 'channel')}",
                "give one number for each channel, or one for all",
            )
    return inputs[0]


NORMALISATION: tuple[Operator, ...] = (
    Operator(
        "batch_norm",
        "Each channel of an image or of tokens, or each feature, to zero mean and unit variance over the batch, then a "
        "learned scale and shift.",
        (_EPS, Key("momentum", Real(0, 1), default=0.1), _AFFINE),
        shape=lambda arguments, inputs: inputs[0],
        parameters=lambda arguments, inputs, output: _scale_and_shift("affine", arguments, inputs),
        module=_batch_norm_module,
        stem="norm",
        fresh=True,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        transposed=True,
    ),
    Operator(
        "group_norm",
        "Each of `num_groups` groups of channels to zero mean and unit variance, of tokens over all of them, then a "
        "learned scale and shift of each channel.",
        (Key("num_groups", Integer(1)), _EPS, _AFFINE),
        shape=_group_norm_shape,
        parameters=lambda arguments, inputs, output: _scale_and_shift("affine", arguments, inputs),
        module=_group_norm_module,
        stem="norm",
        fresh=True,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        transposed=True,
    ),
    Operator(
        "layer_norm",
        "The channels of each token, or the features, to zero mean and unit variance, then a learned scale and shift.",
        (_EPS, Key("elementwise_affine", Flag(), default=True)),
        shape=_layer_norm_shape,
        parameters=lambda arguments, inputs, output: _scale_and_shift("elementwise_affine", arguments, inputs),
        module=_layer_norm_module,
        stem="norm",
        fresh=True,
        expression=lambda arguments, module, values: f"{module}({values[0]})",
    ),
    Operator(
        "normalize",
        "Each channel of an image less its `mean`, divided by its `std`, as networks trained elsewhere expect it: one "
        "number for each channel, or one for all.",
        (
            Key("mean", OneOrMany(Real())),
            Key("std", OneOrMany(Real(0, open_minimum=True))),
        ),
        shape=_normalize_shape,
        module=lambda arguments, inputs: call("Normalize", arguments["mean"], arguments["std"]),
        stem="normalize",
        expression=lambda arguments, module, values: f"{module}({values[0]})",
        definition=_NORMALIZE,
    ),
)
