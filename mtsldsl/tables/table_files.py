"""Tables in files: CSV as it is, Parquet by pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.counted import counted
from mtsldsl.diagnostics.libraries import importing
from mtsldsl.tables.table_cells import Table

TABLES = (".csv", ".parquet")
"""Endings of the names of tables."""

DELIMITERS = "\t;,"
"""What may stand between cells; the header says which it is. A name holds a comma sooner than a tab."""

_BEGINNING = 2**16
"""Letters in which the first line is looked for; Python's csv reads cells of up to twice as many."""

_AS_CSV = "save the table as CSV in UTF-8"


def read_table(path: Path, *, skip: bool = False) -> Table:
    """The table of a file: Parquet where its name ends so, else CSV. Raises MTL602 for a file that is none, and for a
    row with too few or too many cells, which with `skip` is `broken` where others are whole; MTL601 for Parquet without
    pyarrow."""
    if path.is_dir():
        raise MtlError.of("MTL602", f"`{path}` is a folder", "name the file in it that holds the table")
    if path.is_fifo() or path.is_char_device():  # whose reading may never end
        raise MtlError.of("MTL602", f"`{path}` is no file", "name the file that holds the table")
    return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path, skip)


# CSV ------------------------------------------------------------------------------------------------------------------


def _csv(path: Path, skip: bool) -> Table:
    """UTF-8 with or without a byte order mark, the names of the columns in the first line."""
    text = _decoded(path)
    delimiter = _delimiter(text)
    rows = _rows(path, text, delimiter)
    _, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if not any(names):
        raise MtlError.of("MTL602", f"`{path}` has no line with the names of columns", "write it as the first line")
    lines: list[int] = []
    kept: list[list[str]] = []
    broken: dict[int, MtlError] = {}
    for line, cells in rows:
        if len(cells) != len(names):
            count = counted(len(cells), "cell")
            cause = f"line {line} of `{path}` has {count}, where the first line names {counted(len(names), 'column')}"
            quoted = f"put a cell that holds `{_shown(delimiter)}` in quotes"
            remedy = quoted if len(cells) > len(names) else "write every cell, also one that is empty"
            broken[len(lines)] = MtlError.of("MTL602", cause, remedy)
            if not skip:
                raise broken[len(lines)]
        lines.append(line)
        kept.append([cell.strip() for cell in (*cells, *[""] * len(names))[: len(names)]])
    if broken and len(broken) == len(lines):
        raise broken[0]
    columns = dict(zip(names, zip(*kept, strict=True) if kept else [()] * len(names), strict=True))
    causes = {row: error.diagnostics[0].cause for row, error in broken.items()}
    return Table(path, columns, lines, repeated=_repeated(names), broken=causes)


def _repeated(names: list[str]) -> frozenset[str]:
    return frozenset(name for name in names if names.count(name) > 1)


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


# Parquet --------------------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Table:
    """What a file holds as the text that a CSV file of the same table has; its rows count from 1."""
    if find_spec("pyarrow") is None:
        remedy = "pip install 'mtsldsl[table]', or save the table as CSV"
        raise MtlError.of("MTL601", f"reading `{path}` needs pyarrow, which is not installed", remedy)
    with importing("pyarrow"):
        from pyarrow import lib, parquet
    try:
        found = parquet.ParquetFile(path).read()
    except (lib.ArrowException, OSError) as error:
        raise MtlError.of("MTL602", f"`{path}` is no whole Parquet file", "write it again, or as CSV") from error
    cells = [[_text(value) for value in column.to_pylist()] for column in found.columns]
    columns = dict(zip(found.column_names, cells, strict=True))
    return Table(path, columns, range(1, found.num_rows + 1), "row", _repeated(found.column_names))


def _text(value: object) -> str:
    """A value as it is written in a cell."""
    return "" if value is None else str(value).strip()
