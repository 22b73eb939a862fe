"""The arrays of one field as tensors: their shape and their numbers, held against what the spec says they are.

What can only be a slip is refused with what to do about it; what may be meant is a remark. The arrays of one field come
together, one for each split where the file has splits, so that they are read in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data, Target, Task
from mtsldsl.language.constants import Shape
from mtsldsl.runtime.data.array_columns import Array, Column, pieces, rows_with
from mtsldsl.runtime.data.array_ids import id_column
from mtsldsl.runtime.data.array_labels import binary_column, class_column
from mtsldsl.runtime.data.fields import FieldKind

_ROUNDED = 0.01
"""Part of a column's deviation from which rounding is remarked on."""

_MANY = 16
"""Features from which they may be pixels."""

_UNUSUALLY_LARGE = 20.0
"""Numbers of an image that was brought to a mean of 0 and a deviation of 1 stay below this."""


@attrs.frozen
class Expected:
    """What the arrays of a field should hold: their kind, the shape of one sample, the target (none for the input)."""

    kind: FieldKind
    shape: tuple[int, ...]
    target: Target | None = None
    ids: int | None = None
    """Of an input of ids, how many there may be."""


def expected_inputs(data: Data) -> dict[str, Expected]:
    """What the arrays of a block's inputs hold: images, ids, or other numbers."""
    return {name: _expected_input(shape, data.ids.get(name)) for name, shape in data.inputs.items()}


def _expected_input(shape: Shape, ids: int | None) -> Expected:
    if ids is not None:
        return Expected(FieldKind.LABEL, shape, ids=ids)
    return Expected(FieldKind.IMAGE if len(shape) == 3 else FieldKind.PLAIN, shape)


def expected_target(name: str, task: Task) -> Expected:
    """What the array of a task's target holds; per pixel where the head's output is an image."""
    target, space = task.target, task.head.shape[1:]
    if target.kind == "classes":
        return Expected(FieldKind.LABEL, space, target)
    if target.kind == "binary":
        kind = FieldKind.EDGE
    elif target.kind == "unit_vectors" and space:
        kind = FieldKind.NORMAL
    else:
        # only what is called depth is taken to be divided by a scale
        kind = FieldKind.DEPTH if name == "depth" and space and target.channels == 1 else FieldKind.PLAIN
    return Expected(kind, (target.channels, *space), target)


@attrs.frozen
class Fitted:
    """The arrays as tensors, by the same names, and what a person should know about them."""

    tensors: Mapping[str, Tensor]
    remarks: tuple[str, ...] = ()


@attrs.frozen
class Columns:
    """How the arrays are read, by the same names, and what a person should know about them."""

    by_name: Mapping[str, Column]
    remarks: tuple[str, ...] = ()


def fitted(arrays: Mapping[str, Array], expected: Expected) -> Fitted:
    """The arrays of one field, each under what it is called in a report.

    Raises MTL602 for a shape or numbers that do not fit.
    """
    found = columns(arrays, expected)
    return Fitted({name: column.tensor() for name, column in found.by_name.items()}, found.remarks)


def columns(arrays: Mapping[str, Array], expected: Expected, *, drop: bool = False) -> Columns:
    """The same, not made into tensors yet; the arrays are looked at some rows at a time, as they may be on disk.

    Raises MTL602 likewise; with `drop` rows whose numbers do not fit are `unfit` instead.
    """
    shaped = {name: _shaped(name, array, expected) for name, array in arrays.items()}
    if expected.ids is not None:
        return Columns({name: id_column(name, array, expected.ids, drop=drop) for name, array in shaped.items()})
    if expected.target is None and expected.kind is FieldKind.IMAGE:
        return _images(shaped, drop)
    if expected.target is None:
        remarks = (*_pixels(shaped), *_too_fine(shaped))
        return Columns({name: _complete(name, array, drop) for name, array in shaped.items()}, remarks)
    if expected.kind is FieldKind.LABEL:
        make = class_column
    elif expected.kind is FieldKind.EDGE:
        make = binary_column
    elif expected.target.kind == "unit_vectors":
        found = {name: _directions(name, _vectors(name, array), drop) for name, array in shaped.items()}
        return Columns(found, tuple(_one_sided(shaped)))
    else:
        found = {name: _values(name, array, drop) for name, array in shaped.items()}
        measured = expected.kind is FieldKind.DEPTH and expected.target.valid == "finite"
        return Columns(found, (*(_unmeasured(found) if measured else ()), *_too_fine(shaped)))
    return Columns({name: make(name, array, expected.target, drop=drop) for name, array in shaped.items()})


# Shapes ---------------------------------------------------------------------------------------------------------------


def _shaped(name: str, array: Array, expected: Expected) -> Array:
    """The array with the samples' own shape; channels may be left out where they are 1, and be 1 for labels."""
    if array.dtype.kind not in "biuf":
        raise MtlError.of("MTL602", f"{name} holds {array.dtype}, not numbers", _as_numbers(array))
    shape, found = expected.shape, array.shape[1:]
    labels = expected.kind is FieldKind.LABEL
    if (found == shape[1:] and shape[:1] == (1,)) or (labels and found == (1, *shape)):
        array = array.reshape(len(array), *shape)
    if array.shape[1:] != shape:
        cause = f"a sample of {name} is {_sizes(found)}, but the spec's is {_sizes(shape)}"
        raise MtlError.of("MTL602", cause, _reshaping(found, expected))
    return array


def _as_numbers(array: Array) -> str:
    if array.dtype.kind in "SU":
        return "give each name a number: `names, numbers = numpy.unique(array, return_inverse=True)`"
    if array.dtype.kind in "mM":
        return "save a time as a number, such as the seconds since the first one"
    return "save its real numbers" if array.dtype.kind == "c" else "save an array of numbers"


def _reshaping(found: tuple[int, ...], expected: Expected) -> str:
    shape = expected.shape
    if expected.kind is FieldKind.LABEL and expected.target is not None:
        classes = expected.target.channels
        if found in ((classes, *shape), (*shape, classes)):
            axis = 1 if found == (classes, *shape) else -1
            return f"save class numbers in place of one-hot labels: `array.argmax(axis={axis})`"
        if found == (*shape, 1):
            return "leave the last dimension out: `array[..., 0]`"
    if expected.kind is FieldKind.EDGE and shape[0] == 1 and found in ((2, *shape[1:]), (*shape[1:], 2)):
        axis = 1 if found == (2, *shape[1:]) else -1
        return f"save the answers in place of one-hot labels: `array.argmax(axis={axis})`"
    if len(shape) == 3 and found == (*shape[1:], shape[0]):
        return "put the channels first: `numpy.moveaxis(array, -1, 1)`"
    if len(shape) == 3 and found in (shape[1:], (1, *shape[1:])) and expected.target is None:
        gray = "array[:, None]" if found == shape[1:] else "array"
        return f"write an input of one channel, or save each channel: `numpy.repeat({gray}, {shape[0]}, axis=1)`"
    if len(shape) >= 2 and len(found) == len(shape) and found[:-2] == shape[:-2]:
        size = _sizes(shape[-2:])
        if expected.target is None:
            return f"resize or pad the images to {size}, or write their size into `input`"
        return f"resize the array to {size}, or end the head with `resize_as(image)`, `image` being the input's name"
    return "change the spec or the array"


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "a single number"


# Inputs ---------------------------------------------------------------------------------------------------------------


def _images(arrays: Mapping[str, Array], drop: bool) -> Columns:
    """Images: uint8 as they are, uint16 divided by 65535; the range of other integers says nothing of a picture."""
    low, high = _extent(arrays)
    scales = {name: _scale(name, array, low, high) for name, array in arrays.items()}
    if len(set(scales.values())) > 1:
        types = " and ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        cause = f"the splits hold images of several types, which are scaled each in its way: {types}"
        raise MtlError.of("MTL602", cause, "save all splits as one type")
    found = {}
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            found[name] = Column(array, lambda rows: torch.from_numpy(np.ascontiguousarray(rows)))
        else:
            found[name] = _complete(name, array, drop, scales[name])
    return Columns(found, tuple(_odd_range(arrays, low, high)))


def _extent(arrays: Mapping[str, Array]) -> tuple[float, float]:
    """The least and the largest finite number of all the arrays, and 0, which lies in most of their ranges."""
    low = high = 0.0
    for array in arrays.values():
        for _, piece in pieces(array):
            known = np.isfinite(piece) if array.dtype.kind == "f" else True
            low = min(low, float(np.min(piece, initial=0, where=known)))
            high = max(high, float(np.max(piece, initial=0, where=known)))
    return low, high


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


def _complete(name: str, array: Array, drop: bool, scale: float | None = None) -> Column:
    """An input as float32, divided by the scale. Every number of it is needed."""
    broken = rows_with(array, _not_finite) if array.dtype.kind == "f" else np.empty(0, np.int64)
    if broken.size and not drop:
        row = array[broken[0]]
        wrong = row[_not_finite(row)].flat[0]
        what = f"{wrong:g}" if not np.isfinite(wrong) else f"{wrong:g}, too large for float32"
        more = f", as {broken.size - 1} more do of its kind" if broken.size > 1 else ""
        raise MtlError.of(
            "MTL602",
            f"row {broken[0]} (from 0) of {name}, which is an input, holds {what}{more}",
            "fill such numbers in, as with `numpy.nan_to_num`, or leave these rows out of every array",
        )

    def convert(rows: Array) -> Tensor:
        numbers = torch.from_numpy(_float32(rows))
        return numbers if scale is None else numbers / scale

    return Column(array, convert, broken)


def _not_finite(array: Array) -> NDArray[np.bool_]:
    return ~np.isfinite(_float32(array))


def _float32(array: Array) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported by its place
        return np.ascontiguousarray(array, dtype=np.float32)


# Targets --------------------------------------------------------------------------------------------------------------


def _values(name: str, array: Array, drop: bool) -> Column:
    """A target as float32. What is not finite does not count, but may not come to be so by being too large."""
    return Column(array, lambda rows: torch.from_numpy(_float32(rows)), _too_large(name, array, drop))


def _directions(name: str, array: Array, drop: bool) -> Column:
    """Vectors of any length at length 1."""
    unfit = _too_large(name, array, drop, _of_length)
    return Column(array, lambda rows: directions(torch.from_numpy(_float32(_of_length(rows)))), unfit)


def _too_large(
    name: str, array: Array, drop: bool, brought: Callable[[Array], Array] = lambda piece: piece
) -> NDArray[np.int64]:
    """The rows whose numbers, as they are `brought` to others, float32 cannot hold. Raises MTL602 for them but with
    `drop`."""

    def lost(piece: Array) -> NDArray[np.bool_]:
        known = brought(piece)
        return np.isfinite(known) & ~np.isfinite(_float32(known))

    rows = rows_with(array, lost) if array.dtype.kind == "f" else np.empty(0, np.int64)
    if rows.size and not drop:
        row = array[rows[:1]]
        cause = f"row {rows[0]} (from 0) of {name} holds {brought(row)[lost(row)].flat[0]:g}, too large for float32"
        raise MtlError.of(
            "MTL602", cause, "save smaller numbers, as in another unit, or nan for those that are missing"
        )
    return rows


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


def _unmeasured(found: Mapping[str, Column]) -> Iterator[str]:
    total = zeros = 0
    negative = False
    for column in found.values():
        for piece in column.pieces():
            total += piece.numel()
            zeros += int((piece == 0).sum())
            negative = negative or bool((piece < 0).any())
    if zeros and not negative:
        yield (
            f"{100 * zeros / total:.2g} % of the numbers of {next(iter(found))} are 0, and count: where that is a "
            "depth which was not measured, write target = values(1, valid=positive)"
        )
