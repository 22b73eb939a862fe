"""Arrays that are looked at some rows at a time, so that one on disk need not fit into memory, and that become tensors
as a whole or some rows at a time, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = NDArray[Any]

AT_ONCE = 2**22
"""Numbers that are looked at together."""


@attrs.frozen(eq=False)
class Column:
    """An array `(n, ...)` whose rows have a sample's own shape, and what makes a tensor of any of them, each by itself.
    `unfit` are the numbers of those rows that no sample may have, in order."""

    array: Array
    convert: Callable[[Array], Tensor]
    unfit: NDArray[np.int64] = attrs.field(factory=lambda: np.empty(0, np.int64))

    def tensor(self, rows: NDArray[np.int64] | None = None) -> Tensor:
        """The rows of these numbers, by default all."""
        return self.convert(self.array if rows is None else self.array[rows])

    def pieces(self) -> Iterator[Tensor]:
        """All rows, some at a time."""
        for _, piece in pieces(self.array):
            yield self.convert(piece.copy())  # those of a file are not to be written to


@attrs.frozen(eq=False)
class ColumnReader:
    """Reads the samples that columns of one length have, such as those of arrays on disk."""

    columns: Mapping[str, Column]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What one sample has of each field."""
        return {name: column.array.shape[1:] for name, column in self.columns.items()}

    def in_turn(
        self, lists: Sequence[NDArray[np.int64]], fields: Sequence[str], _: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        """These fields of the samples of the numbers in each list."""
        for rows in lists:
            yield {name: self.columns[name].tensor(rows) for name in fields}


def pieces(array: Array) -> Iterator[tuple[int, Array]]:
    """Some rows at a time, each with the number of its first one."""
    size = max(1, int(np.prod(array.shape[1:])))
    at_once = max(1, AT_ONCE // size)
    for start in range(0, len(array), at_once):
        yield start, array[start : start + at_once]


def rows_with(array: Array, wrong: Callable[[Array], NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The rows that have a number which `wrong` gives True for."""
    found = [start + np.flatnonzero(wrong(piece).reshape(len(piece), -1).any(axis=1)) for start, piece in pieces(array)]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def row_of(name: str, array: Array, row: np.int64 | int) -> str:
    """What a row is called in a report; of an array of one that is the array."""
    return name if len(array) == 1 else f"row {row} (from 0) of {name}"


def and_more(rows: NDArray[np.int64]) -> str:
    """How many rows are as the first of these is, for the end of a report."""
    more = rows.size - 1
    return f"; {more} more {'row is' if more == 1 else 'rows are'} alike" if more else ""


def distinct(array: Array, chosen: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """The different numbers among those that `chosen` gives True for, in their order."""
    found = np.empty(0, array.dtype)
    for _, piece in pieces(array):
        found = np.unique(np.concatenate([found, np.unique(piece[chosen(piece)])]))
    return found
