"""What the numbers of an array let one suspect, where it may be meant all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.runtime.data.array_columns import Array, pieces

_ROUNDED = 0.01
"""Part of a column's deviation from which rounding is remarked on."""

_MANY = 16
"""Features from which they may be pixels."""

_UNUSUALLY_LARGE = 20.0
"""Numbers of an image that was brought to a mean of 0 and a deviation of 1 stay below this."""


def extent(arrays: Mapping[str, Array]) -> tuple[float, float]:
    """The least and the largest finite number of all the arrays, and 0, which lies in most of their ranges."""
    low = high = 0.0
    for array in arrays.values():
        for _, piece in pieces(array):
            known = np.isfinite(piece) if array.dtype.kind == "f" else True
            low = min(low, float(np.min(piece, initial=0, where=known)))
            high = max(high, float(np.max(piece, initial=0, where=known)))
    return low, high


def odd_range(arrays: Mapping[str, Array], low: float, high: float) -> Iterator[str]:
    """What the numbers of images let one suspect."""
    first, types = next(iter(arrays)), {array.dtype.kind for array in arrays.values()}
    if types == {"f"} and max(-low, high) > _UNUSUALLY_LARGE:
        yield (
            f"{first} has numbers up to {max(-low, high):g}: float images are taken as they are, and networks learn "
            "from numbers of about 0 to 1; save uint8, or divide them"
        )
    elif types == {"u"} and high == 1:
        yield f"{first} has no numbers but 0 and 1, and uint8 is divided by 255: save bool or float32"


def pixels(arrays: Mapping[str, Array]) -> Iterator[str]:
    """What features or tokens let one suspect that are numbers of a picture."""
    first, array = next(iter(arrays.items()))
    if array.dtype == np.uint8 and np.prod(array.shape[1:]) >= _MANY and extent(arrays)[1] > _UNUSUALLY_LARGE:
        yield (
            f"{first} holds uint8 up to {extent(arrays)[1]:g}: only images are divided by 255, features and tokens "
            "are taken as they are; where they are pixels, save `array / 255`"
        )


def too_fine(arrays: Mapping[str, Array]) -> Iterator[str]:
    """What float32 rounds by a part of how much the numbers of a column differ."""
    first, array = next(iter(arrays.items()))
    if array.dtype.kind not in "fiu" or array.dtype.itemsize < 4 or array.dtype == np.float32 or not array.size:
        return
    most = _lost(array)
    if most:
        yield (
            f"{first} holds numbers that differ by less than float32 can tell: they are rounded by up to {most:.3g}; "
            "save what they differ from a fixed number by, such as the time since the first"
        )


def _lost(array: Array) -> float:
    """By how much float32 rounds numbers of those columns in which that is seen; 0 where there is none."""
    width = int(np.prod(array.shape[1:]))
    count, total, apart, rounded = (np.zeros(width) for _ in range(4))
    with np.errstate(all="ignore"):
        for known, numbers, rounding in _numbers_and_rounding(array):
            count += known.sum(axis=0)
            total += np.where(known, numbers, 0).sum(axis=0)
            rounded = np.maximum(rounded, np.where(known, rounding, 0).max(axis=0))
        mean = total / count
        for known, numbers, _ in _numbers_and_rounding(array):
            apart += np.where(known, np.square(numbers - mean), 0).sum(axis=0)
        wrong = rounded > _ROUNDED * np.sqrt(apart / count)
    return float(rounded[wrong].max(initial=0))


def _numbers_and_rounding(
    array: Array,
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]]:
    """Some rows at a time, `(m, columns)`: which of their numbers are finite in float32, these, and how it rounds
    them."""
    for _, piece in pieces(array):
        numbers = piece.reshape(len(piece), -1).astype(np.float64)
        short = numbers.astype(np.float32)
        yield np.isfinite(short), numbers, np.abs(numbers - short)


@attrs.frozen
class Extent:
    """The least and the largest number of some, with 0, of what is a number; how many are 0, of how many."""

    low: float = 0.0
    high: float = 0.0
    zeros: int = 0
    count: int = 0

    @classmethod
    def of(cls, numbers: Tensor) -> Extent:
        """That of a tensor."""
        known = torch.nan_to_num(numbers, nan=0.0, posinf=torch.inf, neginf=-torch.inf).flatten()
        low, high = (float(end) for end in torch.aminmax(known)) if known.numel() else (0.0, 0.0)
        return cls(min(low, 0.0), max(high, 0.0), int((numbers == 0).sum()), numbers.numel())

    def with_other(self, other: Extent) -> Extent:
        """That of the numbers of both."""
        ends = min(self.low, other.low), max(self.high, other.high)
        return Extent(*ends, self.zeros + other.zeros, self.count + other.count)


def one_sided(called: str, low: float, high: float) -> Iterator[str]:
    """What vectors let one suspect that are encoded as colours."""
    if low == 0 < high:
        yield (
            f"no component of the vectors {called} is negative: where they are encoded as colours, save `array * 2 - 1`"
        )


def unmeasured(called: str, found: Extent) -> Iterator[str]:
    """What depths let one suspect of which some are 0 and none is below."""
    if found.zeros and found.low == 0:
        yield (
            f"{100 * found.zeros / found.count:.2g} % of the numbers of {called} are 0, and count: where that is a "
            "depth which was not measured, write target = values(1, valid=positive)"
        )
