"""A table as columns of cells, each with the place of its row in the file.

A cell is text. What is a number, and what is missing, is said here once, for inputs and targets alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError, suggestion

Floats: TypeAlias = NDArray[np.float64]

_MISSING = frozenset({"", "na", "n/a", "nan", "null"})
"""Cells without a value, in any letters."""

_LARGEST = float(np.finfo(np.float32).max)


def is_missing(cell: str) -> bool:
    """Whether a cell has no value."""
    return cell.lower() in _MISSING


def number_of(cell: str) -> float | None:
    """The finite number that a cell holds, None where it holds none. Python's `1_000` is no number of a table."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


@attrs.frozen(eq=False)
class Table:
    """The cells of a file by the name of their column, without blanks around them, and where each row is: on which
    line, which row it is where a file has no lines, or what the row is of."""

    path: Path
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int | str]
    noun: str = "line"
    repeated: frozenset[str] = frozenset()
    """Names that several columns have."""
    broken: dict[int, str] = attrs.field(factory=dict)
    """What is wrong with rows that have too few or too many cells, so that none can be trusted."""

    def __len__(self) -> int:
        return len(self.lines)

    def cells(self, name: str) -> Sequence[str]:
        """The cells of a column. Raises MTL603 where there is none of that name, MTL602 where there are several."""
        if name in self.repeated:
            cause = f"`{self.path}` has several columns `{name}`"
            raise MtlError.of("MTL602", cause, "give each column a name of its own in the first line")
        if name not in self.columns:
            cause = f"`{self.path}` has no column `{name}`"
            raise MtlError.of("MTL603", cause, suggestion(name, self.columns, "columns"))
        return self.columns[name]

    def cell(self, name: str, row: int) -> Table:
        """The table of one cell alone."""
        return Table(self.path, {name: [self.cells(name)[row]]}, [self.lines[row]], self.noun)

    def only(self, rows: Sequence[int]) -> Table:
        """The table of these rows alone, in this order."""
        columns = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        broken = {number: self.broken[row] for number, row in enumerate(rows) if row in self.broken}
        return attrs.evolve(self, columns=columns, lines=[self.lines[row] for row in rows], broken=broken)

    def emptied(self, rows: Collection[int], names: Iterable[str] | None = None) -> Table:
        """The same without the values of these rows, in some columns or in all."""
        emptied = {
            name: ["" if row in rows else cell for row, cell in enumerate(self.columns[name])]
            for name in (self.columns if names is None else names)
        }
        return attrs.evolve(self, columns={**self.columns, **emptied}) if rows else self

    def place(self, row: int) -> str:
        """Where a row is in the file, such as `line 17`."""
        return f"{self.noun} {self.lines[row]}"

    def numbers(self, name: str, otherwise: str = "") -> Floats:
        """The numbers of a column, NaN where a cell has no value. Raises MTL602 for a cell that holds something else;
        `otherwise` is what else may be done about it."""
        cells = self.cells(name)
        found = [number_of(cell) for cell in cells]
        wrong = [row for row, number in enumerate(found) if number is None and not is_missing(cells[row])]
        if wrong:
            raise self.misread(name, wrong, "which is no number", _as_number(cells[wrong[0]], otherwise))
        numbers = np.array(found, dtype=np.float64)
        large = np.flatnonzero(np.abs(numbers) > _LARGEST)
        if large.size:
            raise self.misread(name, large, "too large for float32", "write smaller numbers, as in another unit")
        return numbers

    def misread(self, name: str, rows: Sequence[int] | NDArray[np.int64], what: str, remedy: str) -> MtlError:
        """The report of rows whose cell in a column is not as it should be: where the first is, and how many more."""
        first, more = int(rows[0]), len(rows) - 1
        others = f"; {more} more {'cell' if more == 1 else 'cells'} of the column are alike" if more else ""
        cause = f"{self.place(first)} of `{self.path}` has `{self.cells(name)[first]}` in the column `{name}`, "
        return MtlError.of("MTL602", f"{cause}{what}{others}", remedy)


def _as_number(cell: str, otherwise: str) -> str:
    """What to do about a cell that is no number."""
    if cell.count(",") == 1 and number_of(cell.replace(",", ".")) is not None:
        remedy = f"write it with a point: `{cell.replace(',', '.')}`"
    else:
        remedy = "write a number, or leave the cell empty where it is missing"
    return f"{remedy}; {otherwise}" if otherwise else remedy


def rows_where(cells: Sequence[str], holds: Callable[[str], bool]) -> list[int]:
    """The numbers of the rows whose cell is such."""
    return [row for row, cell in enumerate(cells) if holds(cell)]
