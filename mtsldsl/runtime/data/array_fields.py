"""The arrays of one field as tensors: their numbers, held against what the spec says they are.

What can only be a slip is refused with what to do about it; what may be meant is a remark. The arrays of one field come
together, one for each split where the file has splits, so that they are read in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data
from mtsldsl.ir.task_record import Task
from mtsldsl.language.constants import Shape
from mtsldsl.runtime.data.array_columns import Array, Column, and_more, row_of, rows_with
from mtsldsl.runtime.data.array_ids import id_column
from mtsldsl.runtime.data.array_labels import binary_column, class_column
from mtsldsl.runtime.data.array_remarks import Extent, extent, odd_range, one_sided, pixels, too_fine, unmeasured
from mtsldsl.runtime.data.array_shapes import Expected, shaped
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import target_of


def expected_inputs(data: Data) -> dict[str, Expected]:
    """What the arrays of a block's inputs hold: images, ids, or other numbers."""
    return {
        name: Expected(FieldKind.LABEL, shape, ids=data.ids[name], ids_from=data.ids_from.get(name))
        if name in data.ids
        else _expected_input(shape)
        for name, shape in data.inputs.items()
    }


def _expected_input(shape: Shape) -> Expected:
    return Expected(FieldKind.IMAGE if len(shape) == 3 else FieldKind.PLAIN, shape)


def expected_target(name: str, task: Task) -> Expected:
    """What the array of a task's target holds; per pixel where the head's output is an image, per token where it is
    tokens."""
    target, space = task.target, task.head.shape[1:]
    if task.by_token:
        length = task.head.shape[:1]
        if target.kind == "classes":
            return Expected(FieldKind.LABEL, length, target, by_token=True)
        kind = FieldKind.EDGE if target.kind == "binary" else FieldKind.PLAIN
        return Expected(kind, (*length, target.channels), target, by_token=True)
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
    reshaped = {name: shaped(name, array, expected) for name, array in arrays.items()}
    if expected.target is None and expected.kind is FieldKind.IMAGE:
        return _images(reshaped, drop)
    found = {name: _column(name, array, expected, drop) for name, array in reshaped.items()}
    return Columns(found, tuple(_remarks(reshaped, found, expected)))


def wrong_with(name: str, array: Array, expected: Expected, task: Task | None = None) -> str:
    """What is wrong with an array that has rows which do not fit, the target of a task where one is given."""
    try:
        with target_of(task):
            columns({name: array}, expected)
    except MtlError as error:
        return error.diagnostics[0].cause
    raise ValueError(f"nothing is wrong with {name}")


def of_one_sample(name: str, array: Array, expected: Expected) -> Tensor:
    """The array of one sample as a tensor of its shape: images of uint8 as they are, of others than bytes as float32.

    Raises MTL602 as `fitted` does, and for images of other integers.
    """
    rows = shaped(name, array[None], expected, alone=True)
    if expected.target is None and expected.kind is FieldKind.IMAGE and rows.dtype.kind in "iu":
        if rows.dtype != np.uint8:
            remedy = "give uint8, which is divided by 255, or float32, which is taken as it is"
            raise MtlError.of("MTL602", f"{name} holds {rows.dtype}, which does not say how it is to be scaled", remedy)
        return torch.from_numpy(rows[0].copy())
    return _column(name, rows, expected, drop=False).tensor()[0]


def _column(name: str, array: Array, expected: Expected, drop: bool) -> Column:
    target = expected.target
    if expected.ids is not None:
        return id_column(name, array, expected.ids, expected.ids_from, drop=drop)
    if target is None:
        return _complete(name, array, drop)
    if expected.kind is FieldKind.LABEL:
        return class_column(name, array, target, drop=drop)
    if expected.kind is FieldKind.EDGE:
        return binary_column(name, array, target, drop=drop)
    if target.kind == "unit_vectors":
        return _directions(name, _vectors(name, array), drop)
    return _values(name, array, drop)


def _remarks(arrays: Mapping[str, Array], found: Mapping[str, Column], expected: Expected) -> Iterator[str]:
    """What the numbers of all but images let one suspect."""
    target, first = expected.target, next(iter(arrays))
    if expected.ids is not None:
        return
    if target is None:
        yield from pixels(arrays)
    elif target.kind == "unit_vectors":
        yield from one_sided(first, *extent(arrays))
    elif expected.kind is FieldKind.DEPTH and target.valid == "finite":
        every = (Extent.of(piece) for column in found.values() for piece in column.pieces())
        yield from unmeasured(first, reduce(Extent.with_other, every, Extent()))
    if expected.kind in (FieldKind.PLAIN, FieldKind.DEPTH) and (target is None or target.kind != "unit_vectors"):
        yield from too_fine(arrays)


# Inputs ---------------------------------------------------------------------------------------------------------------


def _images(arrays: Mapping[str, Array], drop: bool) -> Columns:
    """Images: uint8 as they are, uint16 divided by 65535; the range of other integers says nothing of a picture."""
    low, high = extent(arrays)
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
    return Columns(found, tuple(odd_range(arrays, low, high)))


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


def _complete(name: str, array: Array, drop: bool, scale: float | None = None) -> Column:
    """An input as float32, divided by the scale. Every number of it is needed."""
    broken = rows_with(array, _not_finite) if array.dtype.kind == "f" else np.empty(0, np.int64)
    if broken.size and not drop:
        row = array[broken[0]]
        wrong = row[_not_finite(row)].flat[0]
        what = f"{wrong:g}" if not np.isfinite(wrong) else f"{wrong:g}, too large for float32"
        raise MtlError.of(
            "MTL602",
            f"{row_of(name, array, broken[0])}, which is an input, holds {what}{and_more(broken)}",
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
        lost_number = brought(row)[lost(row)].flat[0]
        cause = f"{row_of(name, array, rows[0])} holds {lost_number:g}, too large for float32{and_more(rows)}"
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
