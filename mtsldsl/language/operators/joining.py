"""Operators that make one value of several."""

from __future__ import annotations

from mtsldsl.language.constants import Shape
from mtsldsl.language.operator import Arguments, Misfit, Operator
from mtsldsl.language.operators.shapes import described, times


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


def _add_remedy(inputs: tuple[Shape, ...]) -> str:
    first = inputs[0]
    if any(len(shape) != len(first) for shape in inputs):
        return "add images to images, tokens to tokens and features to features"
    if len(first) == 3:
        if any(shape[1:] != first[1:] for shape in inputs):
            return "put `resize_as` before it, with the image whose size is right, and see that the channels are equal"
        return f"put `conv2d({first[0]}, 1)` after what has other channels"
    if len(first) == 2 and any(shape[0] != first[0] for shape in inputs):
        return "add tokens of one length"
    return f"put `linear({first[-1]})` after what has other channels"


def _add_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    _several("add", inputs)
    if len(set(inputs)) > 1:
        raise Misfit(f"`add` needs equal shapes, but gets {_listed(inputs)}", _add_remedy(inputs))
    return inputs[0]


MOST_TERMS = 100
"""Terms of a written sum; Python reads one of a few thousand no more."""


def _sum(values: tuple[str, ...]) -> str:
    if len(values) > MOST_TERMS:
        return f"torch.sum(torch.stack([{', '.join(values)}]), dim=0)"
    return " + ".join(values)


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
        shape=_add_shape,
        expression=lambda arguments, module, values: _sum(values),
        fresh=True,
    ),
)
