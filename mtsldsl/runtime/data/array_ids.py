"""Arrays of ids as tensors, which `embedding` looks up, and what to do about those that are none."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError

Array: TypeAlias = NDArray[Any]


def ids_of(name: str, array: Array, count: int) -> Tensor:
    """The ids 0 to `count` - 1 as int16, or int32 where that is too short.

    Raises MTL602 for what is no whole number, and MTL202 for one that `embedding` does not know.
    """
    if array.dtype.kind == "f":
        wrong = ~np.isfinite(array) | (array != np.floor(array))
        if wrong.any():
            row, found = _first(array, wrong)
            cause = f"row {row} (from 0) of {name} holds {found:g}, and `embedding` reads ids, which are whole numbers"
            raise MtlError.of("MTL602", cause, "save whole numbers, with an id of its own for what is missing")
    outside = (array < 0) | (array >= count)
    if outside.any():
        row, found = _first(array, outside)
        cause = f"row {row} (from 0) of {name} holds the id {int(found)}, and `embedding` knows 0 to {count - 1}"
        if found < 0:
            remedy = "number the ids from 0, with one of its own for what is missing or unknown"
        else:
            remedy = f"write `embedding({int(array.max()) + 1}, ...)`, or number the ids without gaps"
        raise MtlError.of("MTL202", cause, remedy)
    short = count <= np.iinfo(np.int16).max
    return torch.from_numpy(np.ascontiguousarray(array.astype(np.int16 if short else np.int32)))


def _first(array: Array, wrong: Array) -> tuple[int, Any]:
    """The row of the first number that is wrong, and that number."""
    place = np.argwhere(wrong)[0]
    return int(place[0]), array[tuple(place)]
