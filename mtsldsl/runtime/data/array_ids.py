"""Arrays of ids as tensors, which `embedding` looks up, and what to do about those that are none."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data.array_columns import Array, Column, rows_with


def id_column(name: str, array: Array, count: int, *, drop: bool = False) -> Column:
    """The ids 0 to `count` - 1 as int16, or int32 where that is too short.

    Raises MTL602 for what is no whole number, and MTL202 for one that `embedding` does not know; with `drop` those rows
    are `unfit`.
    """
    unfit = rows_with(array, lambda piece: _fraction(piece) | _outside(piece, count))
    if unfit.size and not drop:
        raise _refusal(name, array[int(unfit[0])], int(unfit[0]), count)
    short = np.int16 if count <= np.iinfo(np.int16).max else np.int32

    def convert(rows: Array) -> Tensor:
        known = np.where(_fraction(rows) | _outside(rows, count), 0, rows) if unfit.size else rows
        return torch.from_numpy(np.ascontiguousarray(known.astype(short)))

    return Column(array, convert, unfit)


def _fraction(array: Array) -> NDArray[np.bool_]:
    """Where a number is not whole, or none."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape, bool)
    return np.asarray(~np.isfinite(array) | (array != np.floor(array)))


def _outside(array: Array, count: int) -> NDArray[np.bool_]:
    return np.asarray((array < 0) | (array >= count))


def _refusal(name: str, sample: Array, row: int, count: int) -> MtlError:
    """The error of the first number of a sample that is no id."""
    fractions = sample[_fraction(sample)]
    if fractions.size:
        cause = (
            f"row {row} (from 0) of {name} holds {fractions[0]:g}, and `embedding` reads ids, which are whole numbers"
        )
        remedy = "save whole numbers, with an id of its own for what is missing"
        return MtlError.of("MTL602", cause, remedy)
    found = int(sample[_outside(sample, count)][0])
    cause = f"row {row} (from 0) of {name} holds the id {found}, and `embedding` knows 0 to {count - 1}"
    remedy = "number the ids from 0, with one of its own for what is missing or unknown"
    if found > 0:
        remedy = f"write `embedding({found + 1}, ...)` or more, or number the ids without gaps"
    return MtlError.of("MTL202", cause, remedy)
