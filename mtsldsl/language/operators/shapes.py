"""What operators ask of the shapes they are given, in the words of a diagnostic."""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.language.constants import Shape
from mtsldsl.language.operator import Misfit

_TO_IMAGE = {
    1: "move it before the operator that makes features of the image",
    2: "put `to_image(height, width)` before it",
}
_TO_TOKENS = {
    1: "move it before the operator that makes features of the tokens",
    3: "put `patch_embed` or `to_tokens` before it",
}


def times(sizes: Sequence[int]) -> str:
    """Sizes in words, such as `64 x 18 x 24`."""
    return " x ".join(str(size) for size in sizes)


def described(shape: Shape) -> str:
    """A shape in words, such as `an image of 64 x 18 x 24 (channels, height, width)`."""
    match len(shape):
        case 1:
            return f"{shape[0]} features"
        case 2:
            return f"tokens of {times(shape)} (length, channels)"
        case 3:
            return f"an image of {times(shape)} (channels, height, width)"
    return f"a value of {times(shape) or 'no dimensions'}"


def image(operator: str, shape: Shape, remedy: str | None = None) -> tuple[int, int, int]:
    """Channels, height and width of an image; Misfit if it is none."""
    if len(shape) != 3:
        raise Misfit(
            f"`{operator}` works on an image, but gets {described(shape)}",
            remedy or _TO_IMAGE.get(len(shape), "give it an image"),
        )
    return shape[0], shape[1], shape[2]


def tokens(operator: str, shape: Shape, remedy: str | None = None) -> tuple[int, int]:
    """Length and channels of tokens; Misfit if they are none."""
    if len(shape) != 2:
        raise Misfit(
            f"`{operator}` works on tokens, but gets {described(shape)}",
            remedy or _TO_TOKENS.get(len(shape), "give it tokens"),
        )
    return shape[0], shape[1]


def channels(shape: Shape) -> int:
    """The channels of an image, tokens or features."""
    return shape[-1] if len(shape) == 2 else shape[0]


def divides(divisor: int, size: int, cause: str, remedy: str) -> None:
    """Misfit unless `size` is a multiple of `divisor`."""
    if divisor < 1 or size % divisor:
        raise Misfit(cause, remedy)


def divisors(size: int) -> str:
    """Some numbers that divide `size`, in words, for a remedy."""
    few = [str(divisor) for divisor in range(1, min(size, 64) + 1) if size % divisor == 0][-4:]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} or {few[-1]}"
