"""Which rows of a table are for training, for validation and for the test."""

from __future__ import annotations

from functools import partial

from mtsldsl.division import Shares
from mtsldsl.tables.sample_parts import Mark, Marks, Rows, parted
from mtsldsl.tables.table_cells import Table, is_missing, number_of


def parted_rows(
    table: Table, shares: Shares, *, split: str | None, group: str | None, stratify: str | None
) -> dict[str, Rows]:
    """The numbers of the rows of each split, in the order of the file. `split`, `group` and `stratify` name columns.

    Raises MtlError as `parted` does, MTL603 for a column that is not there.
    """
    marks = Marks(
        None if split is None else _mark(table, split),
        None if group is None else _mark(table, group),
        None if stratify is None else _classes(table, stratify),
    )
    return parted(f"`{table.path}`", len(table), marks, shares, broken=table.broken)


def _mark(table: Table, name: str) -> Mark:
    words = ["" if is_missing(cell) else cell for cell in table.cells(name)]
    called = f"the column `{name}` of `{table.path}`"
    return Mark(called, words, table.place, partial(table.misread, name))


def _classes(table: Table, name: str) -> Mark:
    """A column whose numbers are the same however they are written."""
    numbers = [number_of(cell) for cell in table.cells(name)]
    mark = _mark(table, name)
    words = [word if number is None else str(number) for word, number in zip(mark.words, numbers, strict=True)]
    return Mark(mark.called, words, mark.place, mark.misread)
