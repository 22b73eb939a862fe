"""Operators that change the height and width of an image by interpolation."""

from __future__ import annotations

from math import floor

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import Choice, Flag, Integer, Key, Real
from mtsldsl.language.literals import literal
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator
from mtsldsl.language.operators.arguments import completed, flag, integer, number, word
from mtsldsl.language.operators.shapes import image, times

_MODE = Key("mode", Choice(("bilinear", "bicubic", "nearest")), default="bilinear")
_CORNERS = Key("align_corners", Flag(), default=False)


def _resized(operator: str, arguments: Arguments, shape: Shape, height: int, width: int) -> Shape:
    channels, *size = image(operator, shape)
    if min(height, width) < 1:
        raise Misfit(
            f"`{operator}` makes an image of {times((height, width))} (height, width), which is empty",
            f"take a larger size; it gets {times(size)}",
        )
    if word(arguments, "mode") == "nearest" and flag(arguments, "align_corners"):
        raise Misfit(f"`{operator}` has no align_corners where mode=nearest", "leave align_corners out")
    return channels, height, width


def _interpolate(arguments: Arguments, value: str, target: str) -> str:
    mode = word(arguments, "mode")
    corners = "" if mode == "nearest" else f", align_corners={arguments['align_corners']}"
    return f'F.interpolate({value}, {target}, mode="{mode}"{corners})'


def _complete_resize(given: Given, context: Context) -> Arguments:
    size, width = number(given, "size"), given["width"]
    if width is not None:
        if size != int(size):
            raise Misfit(
                f"`resize` gets the height {size} with the width {width}",
                "take whole pixels for both, or a fraction of the network's input alone, such as `resize(0.5)`",
            )
        return completed({**given, "size": int(size)})
    if not 0 < size <= 1:
        raise Misfit(
            f"`resize({size:g})` is no fraction of the network's input, from 0 to 1",
            "give height and width, such as `resize(72, 96)`, a fraction such as `resize(0.5)`, or use `upsample`",
        )
    if len(context.image) != 3:
        raise Misfit(
            "`resize` takes a fraction of the network's input, which is no image",
            "give height and width, such as `resize(72, 96)`",
        )
    height, width = (max(1, round(size * side)) for side in context.image[1:])
    return completed({**given, "size": height, "width": width})


def _resize_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    return _resized("resize", arguments, inputs[0], integer(arguments, "size"), integer(arguments, "width"))


def _resize_as_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    value, reference = inputs
    image("resize_as", value)
    _, height, width = image("resize_as", reference, "name an image whose height and width it shall take")
    return _resized("resize_as", arguments, value, height, width)


def _upsample_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    _, height, width = image("upsample", inputs[0])
    factor = float(number(arguments, "scale_factor"))
    return _resized("upsample", arguments, inputs[0], floor(height * factor), floor(width * factor))


def _factor(arguments: Arguments) -> str:
    factor = number(arguments, "scale_factor")
    return literal(int(factor) if factor == int(factor) else factor)


RESIZING: tuple[Operator, ...] = (
    Operator(
        "resize",
        "Interpolation to a fraction of the network's input, `resize(0.25)`, or to a height and width in pixels, "
        "`resize(72, 96)`.",
        (Key("size", Real(0)), Key("width", Integer(1), default=None), _MODE, _CORNERS),
        complete=_complete_resize,
        shape=_resize_shape,
        expression=lambda arguments, module, values: _interpolate(
            arguments, values[0], f"size=({arguments['size']}, {arguments['width']})"
        ),
    ),
    Operator(
        "resize_as",
        "Interpolation to the height and width of another image, whatever they are when the network runs.",
        (_MODE, _CORNERS),
        arity=2,
        shape=_resize_as_shape,
        expression=lambda arguments, module, values: _interpolate(arguments, values[0], f"size={values[1]}.shape[-2:]"),
    ),
    Operator(
        "upsample",
        "Interpolation to `scale_factor` times the height and width.",
        (Key("scale_factor", Real(0)), _MODE, _CORNERS),
        shape=_upsample_shape,
        expression=lambda arguments, module, values: _interpolate(
            arguments, values[0], f"scale_factor={_factor(arguments)}"
        ),
    ),
)
