"""The arrays of one field as tensors: their numbers, held against what the spec says they are.

What can only be a slip is refused with what to do about it; what may be meant is a remark. The arrays of one field come
together, one for each split where the file has splits, so that they are read in one way.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data
from mtsldsl.runtime.data.array_labels import binary_labels, class_labels
from mtsldsl.runtime.data.array_shapes import Expected, shaped
from mtsldsl.runtime.data.fields import FieldKind

Array: TypeAlias = NDArray[Any]

_ROUNDED = 0.01
"""Part of a column's deviation from which rounding is remarked on."""

_AT_ONCE = 2**22
"""Numbers that are looked at together."""

_MANY = 16
"""Features from which they may be pixels."""

_UNUSUALLY_LARGE = 20.0
"""Numbers of an image that was brought to a mean of 0 and a deviation of 1 stay below this."""


def expected_input(data: Data) -> Expected:
    """What the array of a block's input holds: an image, or other numbers."""
    return Expected(FieldKind.IMAGE if len(data.shape) == 3 else FieldKind.PLAIN, data.shape)


@attrs.frozen
class Fitted:
    """The arrays as tensors, by the same names, and what a person should know about them."""

    tensors: Mapping[str, Tensor]
    remarks: tuple[str, ...] = ()


def fitted(arrays: Mapping[str, Array], expected: Expected) -> Fitted:
    """The arrays of one field, each under what it is called in a report.

    Raises MTL602 for a shape or numbers that do not fit.
    """
    reshaped = {name: shaped(name, array, expected) for name, array in arrays.items()}
    if expected.target is None and expected.kind is FieldKind.IMAGE:
        return _images(reshaped)
    if expected.target is None:
        remarks = (*_pixels(reshaped), *_too_fine(reshaped))
        return Fitted({name: _complete(name, array) for name, array in reshaped.items()}, remarks)
    if expected.kind is FieldKind.LABEL:
        return Fitted({name: class_labels(name, array, expected.target) for name, array in reshaped.items()})
    if expected.kind is FieldKind.EDGE:
        return Fitted({name: binary_labels(name, array, expected.target) for name, array in reshaped.items()})
    if expected.target.kind == "unit_vectors":
        return Fitted(
            {name: directions(_values(name, _of_length(_vectors(name, array)))) for name, array in reshaped.items()},
            tuple(_one_sided(reshaped)),
        )
    tensors = {name: _values(name, array) for name, array in reshaped.items()}
    measured = expected.kind is FieldKind.DEPTH and expected.target.valid == "finite"
    return Fitted(tensors, (*(_unmeasured(tensors) if measured else ()), *_too_fine(reshaped)))


# Inputs ---------------------------------------------------------------------------------------------------------------


def _images(arrays: Mapping[str, Array]) -> Fitted:
    """Images: uint8 as they are, uint16 divided by 65535; the range of other integers says nothing of a picture."""
    low, high = _extent(arrays)
    scales = {name: _scale(name, array, low, high) for name, array in arrays.items()}
    if len(set(scales.values())) > 1:
        types = " and ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        cause = f"the splits hold images of several types, which are scaled each in its way: {types}"
        raise MtlError.of("MTL602", cause, "save all splits as one type")
    tensors = {}
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            tensors[name] = torch.from_numpy(np.ascontiguousarray(array))
        else:
            tensors[name] = _complete(name, array) / scales[name]
    return Fitted(tensors, tuple(_odd_range(arrays, low, high)))


def _extent(arrays: Mapping[str, Array]) -> tuple[float, float]:
    """The least and the largest finite number of all the arrays, and 0, which lies in most of their ranges."""
    known = [(array, np.isfinite(array) if array.dtype.kind == "f" else True) for array in arrays.values()]
    lows = [float(np.min(array, initial=0, where=where)) for array, where in known]
    highs = [float(np.max(array, initial=0, where=where)) for array, where in known]
    return min(lows), max(highs)


def _scale(name: str, array: Array, low: float, high: float) -> float:
    """What the numbers of an image are divided by. `low` and `high` are those of all splits."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "bf":
        return 1.0
    if kind == "u" and size == 1:
        return 255.0
    if kind == "u" and size == 2 and high > 255:
        return 65535.0
    found = f"down to {low:g}" if low < 0 else f"of at most {high:g}"
    narrow = "uint8" if high <= 255 else "uint16"
    if low < 0 or high <= 1 or high > 65535:
        remedy = "save float32, which is taken as it is, with numbers from about 0 to 1"
    else:
        remedy = (
            f"save `array.astype(numpy.{narrow})`, which is divided by {np.iinfo(narrow).max}, or float32, which is "
            "taken as it is"
        )
    cause = f"{name} holds {array.dtype} {found}, which does not say how images are to be scaled"
    raise MtlError.of("MTL602", cause, remedy)


def _odd_range(arrays: Mapping[str, Array], low: float, high: float) -> Iterator[str]:
    """What the numbers of images let one suspect."""
    first, types = next(iter(arrays)), {array.dtype.kind for array in arrays.values()}
    if types == {"f"} and max(-low, high) > _UNUSUALLY_LARGE:
        yield (
            f"{first} has numbers up to {max(-low, high):g}: float images are taken as they are, and networks learn "
            "from numbers of about 0 to 1; save uint8, or divide them"
        )
    elif types == {"u"} and high == 1:
        yield f"{first} has no numbers but 0 and 1, and uint8 is divided by 255: save bool or float32"


def _pixels(arrays: Mapping[str, Array]) -> Iterator[str]:
    """What features or tokens let one suspect that are numbers of a picture."""
    first, array = next(iter(arrays.items()))
    if array.dtype == np.uint8 and np.prod(array.shape[1:]) >= _MANY and _extent(arrays)[1] > _UNUSUALLY_LARGE:
        yield (
            f"{first} holds uint8 up to {_extent(arrays)[1]:g}: only images are divided by 255, features and tokens "
            "are taken as they are; where they are pixels, save `array / 255`"
        )


def _complete(name: str, array: Array) -> Tensor:
    """An input as float32. Every number of it is needed."""
    numbers = _float32(array)
    broken = np.flatnonzero(~np.isfinite(numbers).all(axis=tuple(range(1, numbers.ndim))))
    if broken.size:
        row = numbers[broken[0]]
        wrong = array[broken[0]][~np.isfinite(row)].flat[0]
        what = f"{wrong:g}" if not np.isfinite(wrong) else f"{wrong:g}, too large for float32"
        more = f", as {broken.size - 1} more do of its kind" if broken.size > 1 else ""
        raise MtlError.of(
            "MTL602",
            f"row {broken[0]} (from 0) of {name}, which is an input, holds {what}{more}",
            "fill such numbers in, as with `numpy.nan_to_num`, or leave these rows out of every array",
        )
    return torch.from_numpy(numbers)


def _float32(array: Array) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported by its place
        return np.ascontiguousarray(array, dtype=np.float32)


# Targets --------------------------------------------------------------------------------------------------------------


def _values(name: str, array: Array) -> Tensor:
    """A target as float32. What is not finite does not count, but may not come to be so by being too large."""
    numbers = _float32(array)
    lost = np.isfinite(array) & ~np.isfinite(numbers)
    if lost.any():
        row = int(np.argwhere(lost)[0][0])
        cause = f"row {row} (from 0) of {name} holds {array[lost].flat[0]:g}, too large for float32"
        raise MtlError.of(
            "MTL602", cause, "save smaller numbers, as in another unit, or nan for those that are missing"
        )
    return torch.from_numpy(numbers)


def _of_length(vectors: Array) -> Array:
    """Vectors of any finite length, the largest component of each 1: float32 has no squares of very long ones."""
    if vectors.dtype.kind != "f" or vectors.dtype.itemsize <= 4:
        return vectors
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.asarray(vectors / np.where(np.isfinite(largest) & (largest > 0), largest, 1))


def _too_fine(arrays: Mapping[str, Array]) -> Iterator[str]:
    """What float32 rounds by a part of how much the numbers of a column differ."""
    first, array = next(iter(arrays.items()))
    if array.dtype.kind not in "fiu" or array.dtype.itemsize < 4 or array.dtype == np.float32 or not array.size:
        return
    columns = array.reshape(len(array), -1)
    at_once = max(1, _AT_ONCE // len(array))  # as much memory, however large the array is
    most = max(_lost(columns[:, start : start + at_once]) for start in range(0, columns.shape[1], at_once))
    if most:
        yield (
            f"{first} holds numbers that differ by less than float32 can tell: they are rounded by up to {most:.3g}; "
            "save what they differ from a fixed number by, such as the time since the first"
        )


def _lost(columns: Array) -> float:
    """By how much float32 rounds numbers of those columns in which that is seen; 0 where there is none."""
    numbers = np.where(np.isfinite(columns), columns, np.nan).astype(np.float64)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a number
        rounded = np.nanmax(np.abs(numbers - numbers.astype(np.float32)), axis=0)
        wrong = rounded > _ROUNDED * np.nanstd(numbers, axis=0)
    return float(rounded[wrong].max(initial=0))


def directions(vectors: Tensor) -> Tensor:
    """The vectors `(n, 3[, h, w])` at length 1; one of length 0 stays, and as a target does not count."""
    length = torch.linalg.vector_norm(vectors.double(), dim=1, keepdim=True)
    return torch.where(length > 0, vectors / length, vectors).float()


def _vectors(name: str, array: Array) -> Array:
    if array.dtype.kind == "u":
        high = np.iinfo(array.dtype).max
        cause = f"{name} holds {array.dtype}, in which no direction can be negative"
        raise MtlError.of("MTL602", cause, f"save the vectors themselves: `array / {high / 2:g} - 1`")
    return array


def _one_sided(arrays: Mapping[str, Array]) -> Iterator[str]:
    low, high = _extent(arrays)
    if low == 0 < high:
        yield (
            f"no component of the vectors {next(iter(arrays))} is negative: where they are encoded as colours, save "
            "`array * 2 - 1`"
        )


def _unmeasured(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    total = sum(tensor.numel() for tensor in tensors.values())
    zeros = sum(int((tensor == 0).sum()) for tensor in tensors.values())
    if zeros and all(not bool((tensor < 0).any()) for tensor in tensors.values()):
        yield (
            f"{100 * zeros / total:.2g} % of the numbers of {next(iter(tensors))} are 0, and count: where that is a "
            "depth which was not measured, write target = values(1, valid=positive)"
        )
