"""Arrays of ids as tensors, which `embedding` looks up, and what to do about those that are none."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError, Span
from mtsldsl.runtime.data.array_columns import Array, Column, and_more, distinct, row_of, rows_with


def id_column(name: str, array: Array, count: int, span: Span | None = None, *, drop: bool = False) -> Column:
    """The ids 0 to `count` - 1 as int16, or int32 where that is too short.

    Raises MTL602 for what is no whole number, and MTL202 for one that `embedding`, whose place is `span`, does not
    know; with `drop` those rows are `unfit`.
    """

    def wrong(piece: Array) -> NDArray[np.bool_]:
        outside: NDArray[np.bool_] = _no_number(piece) | (piece < 0) | (piece >= count)
        return outside

    unfit = rows_with(array, wrong)
    if unfit.size and not drop:
        raise _no_id(name, array, unfit, count, span)
    compact = np.int16 if count <= np.iinfo(np.int16).max else np.int32

    def convert(rows: Array) -> Tensor:
        known = np.where(wrong(rows), 0, rows) if unfit.size else rows
        return torch.from_numpy(np.ascontiguousarray(known.astype(compact)))

    return Column(array, convert, unfit)


def _no_number(array: Array) -> NDArray[np.bool_]:
    if array.dtype.kind != "f":
        return np.zeros(array.shape, bool)
    fraction: NDArray[np.bool_] = ~np.isfinite(array) | (array != np.floor(array))
    return fraction


def _no_id(name: str, array: Array, rows: NDArray[np.int64], count: int, span: Span | None) -> MtlError:
    """What is wrong with the ids of the first row that has one which is none."""
    ids, where = array[rows[0]], row_of(name, array, rows[0])
    if (fractions := _no_number(ids)).any():
        found = ids[fractions].flat[0]
        cause = f"{where} holds {found:g}, and `embedding` reads ids, which are whole numbers{and_more(rows)}"
        return MtlError.of("MTL602", cause, "save whole numbers, with an id of its own for what is missing")
    found = int(ids[(ids < 0) | (ids >= count)].flat[0])
    cause = f"{where} holds the id {found}, and `embedding` knows 0 to {count - 1}{and_more(rows)}"
    if found < 0:
        remedy = "number the ids from 0, with one of its own for what is missing, unknown or padded"
        return MtlError.of("MTL202", cause, f"{remedy}, for which `embedding({count + 1}, ...)` has a place", span)
    largest = int(distinct(array, lambda piece: ~_no_number(piece))[-1])
    remedy = f"write `embedding({largest + 1}, ...)`, or number the ids without gaps"
    return MtlError.of("MTL202", cause, remedy, span)
