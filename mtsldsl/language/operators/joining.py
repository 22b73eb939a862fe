"""Operators that make one value of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mtsldsl.language.constants import Shape
from mtsldsl.language.operator import Arguments, Misfit, Operator
from mtsldsl.language.operators.arguments import call
from mtsldsl.language.operators.shapes import channels, described, times

ShapeRule: TypeAlias = Callable[[Arguments, tuple[Shape, ...]], Shape]

_MIXTURE = '''\
class Mixture(nn.Module):
    """The sum of values, each times its share: softmax(W x), where x is averaged over space or tokens."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, values, bias=False)

    def forward(self, x: Tensor, *values: Tensor) -> Tensor:
        mean = x.mean((2, 3)) if x.dim() == 4 else x.mean(1) if x.dim() == 3 else x
        shares: Tensor = self.gate(mean).softmax(1)
        weights = shares.reshape(*shares.shape, *[1] * (values[0].dim() - 1)).unbind(1)
        terms = [weight * value for weight, value in zip(weights, values, strict=True)]
        return sum(terms[1:], start=terms[0])
'''


def _several(operator: str, inputs: tuple[Shape, ...]) -> None:
    if len(inputs) < 2:
        raise Misfit(f"`{operator}` joins two values or more, but gets {len(inputs)}", "name what it shall join")


def _listed(shapes: tuple[Shape, ...]) -> str:
    """All shapes that differ, in order, in words."""
    return " and ".join(times(shape) for shape in dict.fromkeys(shapes))


def _concat_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    _several("concat", inputs)
    for shape in inputs:
        if len(shape) not in (1, 3):
            raise Misfit(
                f"`concat` joins the channels of images or features, but gets {described(shape)}",
                "put `to_image(height, width)` before it, or use `add`",
            )
    first = inputs[0]
    if any(len(shape) != len(first) for shape in inputs):
        raise Misfit(
            f"`concat` gets images and features: {_listed(inputs)}",
            "put `adaptive_avg_pool2d(1) | flatten` after the image to make it features",
        )
    if any(shape[1:] != first[1:] for shape in inputs):
        raise Misfit(
            f"`concat` joins images of one height and width, but gets {_listed(inputs)} (channels, height, width)",
            "put `resize_as` before it, with the image whose size is right",
        )
    return sum(shape[0] for shape in inputs), *first[1:]


def _equal_remedy(inputs: tuple[Shape, ...]) -> str:
    first = inputs[0]
    if any(len(shape) != len(first) for shape in inputs):
        return "join images with images, tokens with tokens and features with features"
    if len(first) == 3:
        if any(shape[1:] != first[1:] for shape in inputs):
            return "put `resize_as` before it, with the image whose size is right, and see that the channels are equal"
        return f"put `conv2d({first[0]}, 1)` after what has other channels"
    if len(first) == 2 and any(shape[0] != first[0] for shape in inputs):
        return "join tokens of one length"
    return f"put `linear({first[-1]})` after what has other channels"


def _equal_shape(operator: str) -> ShapeRule:
    """The one shape of all values that an operator joins."""

    def shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
        _several(operator, inputs)
        if len(set(inputs)) > 1:
            raise Misfit(f"`{operator}` needs equal shapes, but gets {_listed(inputs)}", _equal_remedy(inputs))
        return inputs[0]

    return shape


def _is_sum(expression: str) -> bool:
    """Whether a piece of Python is a sum, or another operation between values."""
    import ast  # which only who compiles needs

    return isinstance(ast.parse(expression, mode="eval").body, ast.BinOp)


def _mixture_parameters(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return channels(inputs[0]) * (len(inputs) - 1)


MOST_TERMS = 100
"""Terms of a written sum or product; Python reads one of a few thousand no more."""


def _joined(sign: str, function: str) -> Callable[[Arguments, str, tuple[str, ...]], str]:
    """All values with a sign between them, sums among the factors in parentheses; where they are many, in a call."""

    def expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
        if len(values) > MOST_TERMS:
            return f"torch.{function}(torch.stack([{', '.join(values)}]), dim=0)"
        return f" {sign} ".join(f"({value})" if sign == "*" and _is_sum(value) else value for value in values)

    return expression


JOINING: tuple[Operator, ...] = (
    Operator(
        "concat",
        "The channels of two or more images of one height and width, or of features, one after the other.",
        (),
        arity=None,
        shape=_concat_shape,
        expression=lambda arguments, module, values: f"torch.cat([{', '.join(values)}], dim=1)",
    ),
    Operator(
        "add",
        "The sum of two or more values of one shape.",
        (),
        arity=None,
        shape=_equal_shape("add"),
        expression=_joined("+", "sum"),
        fresh=True,
    ),
    Operator(
        "mul",
        "The product of two or more values of one shape, entry by entry: with a `sigmoid` before it, a mask.",
        (),
        arity=None,
        shape=_equal_shape("mul"),
        expression=_joined("*", "prod"),
        fresh=True,
    ),
    Operator(
        "mixture",
        "The sum of two or more values, such as experts, each times its share: softmax(W x), the gate, with a learned "
        "matrix W and the piped value x averaged over space or tokens.",
        (),
        arity=None,
        piped=True,
        shape=lambda arguments, inputs: _equal_shape("mixture")(arguments, inputs[1:]),
        parameters=_mixture_parameters,
        flops=lambda arguments, inputs, output: 2 * _mixture_parameters(arguments, inputs, output),
        module=lambda arguments, inputs: call("Mixture", channels(inputs[0]), len(inputs) - 1),
        stem="mixture",
        expression=lambda arguments, module, values: f"{module}({', '.join(values)})",
        definition=_MIXTURE,
    ),
)
