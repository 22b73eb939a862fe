"""Tables as files hold them: named columns of cells, each with the line that it is on.

A cell is text. What is a number, and what is missing, is said here once, for inputs and targets alike.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError, suggestion

Floats: TypeAlias = NDArray[np.float64]

DELIMITERS = "\t;,"
"""What may stand between cells; the header says which it is. A name holds a comma sooner than a tab."""

_MISSING = frozenset({"", "na", "n/a", "nan", "null"})
"""Cells without a value, in any letters."""

_LARGEST = float(np.finfo(np.float32).max)

_BEGINNING = 2**16
"""Letters in which the first line is looked for; Python's csv reads cells of up to twice as many."""

_AS_CSV = "save the table as CSV in UTF-8"


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
    """The cells of a file by the name of their column, without blanks around them, and the line of each row."""

    path: Path
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    repeated: frozenset[str] = frozenset()
    """Names that several columns have."""

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

    def numbers(self, name: str, otherwise: str = "") -> Floats:
        """The numbers of a column, NaN where a cell has no value. Raises MTL602 for a cell that holds something else;
        `otherwise` is what else may be done about it."""
        cells = self.cells(name)
        found = [math.nan if is_missing(cell) else number_of(cell) for cell in cells]
        wrong = [row for row, number in enumerate(found) if number is None]
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
        cause = f"line {self.lines[first]} of `{self.path}` has `{self.cells(name)[first]}` in the column `{name}`, "
        return MtlError.of("MTL602", f"{cause}{what}{others}", remedy)


def _as_number(cell: str, otherwise: str) -> str:
    """What to do about a cell that is no number."""
    if cell.count(",") == 1 and number_of(cell.replace(",", ".")) is not None:
        remedy = f"write it with a point: `{cell.replace(',', '.')}`"
    else:
        remedy = "write a number, or leave the cell empty where it is missing"
    return f"{remedy}; {otherwise}" if otherwise else remedy


def read_table(path: Path) -> Table:
    """The table of a CSV file: UTF-8 with or without a byte order mark, the names of the columns in the first line.
    Raises MTL602 for a file that is none, and for a row with too few or too many cells."""
    if path.is_dir():
        raise MtlError.of("MTL602", f"`{path}` is a folder", "name the file in it that holds the table")
    text = _decoded(path)
    delimiter = _delimiter(text)
    rows = _rows(path, text, delimiter)
    _, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if not any(names):
        raise MtlError.of("MTL602", f"`{path}` has no line with the names of columns", "write it as the first line")
    lines: list[int] = []
    kept: list[list[str]] = []
    for line, cells in rows:
        if len(cells) != len(names):
            count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            cause = f"line {line} of `{path}` has {count}, where the first line names {len(names)} columns"
            quoted = f"put a cell that holds `{_shown(delimiter)}` in quotes"
            remedy = quoted if len(cells) > len(names) else "write every cell, also one that is empty"
            raise MtlError.of("MTL602", cause, remedy)
        lines.append(line)
        kept.append([cell.strip() for cell in cells])
    columns = dict(zip(names, zip(*kept, strict=True) if kept else [()] * len(names), strict=True))
    return Table(path, columns, lines, frozenset(name for name in names if names.count(name) > 1))


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MtlError.of("MTL602", f"line {line} of `{path}` is no text in UTF-8", _AS_CSV) from error


def _delimiter(text: str) -> str:
    """The one that gives the first line most cells."""
    beginning = text[:_BEGINNING]

    def cells(delimiter: str) -> int:
        rows = csv.reader(io.StringIO(beginning, newline=""), delimiter=delimiter)
        return len(next(filter(None, rows), []))

    return max(DELIMITERS, key=cells)


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else delimiter


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that has any, with the line on which it begins: a cell in quotes may go over several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        cause = f"the row that begins on line {line} of `{path}` cannot be read: {error}"
        raise MtlError.of("MTL602", cause, "write a quote inside of quotes twice, and close every quote") from error


def rows_where(cells: Sequence[str], holds: Callable[[str], bool]) -> list[int]:
    """The numbers of the rows whose cell is such."""
    return [row for row, cell in enumerate(cells) if holds(cell)]
