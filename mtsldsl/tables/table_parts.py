"""Which rows of a table are for training, for validation and for the test."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS, divided
from mtsldsl.tables.table_cells import Table, is_missing, rows_where

Rows: TypeAlias = NDArray[np.int64]


def parted(
    table: Table, *, split: str | None, group: str | None, validation: float, test: float, seed: int
) -> dict[str, Rows]:
    """The numbers of the rows of each split, in the order of the file.

    Either `split` names the column that says it, or seeded parts are taken as of other data: of the rows, or of the
    groups that have equal cells in the column `group`. Raises MTL602 for cells that say no split, or no group, and
    for a group in two splits; MTL804 where a split has no row.
    """
    groups = np.arange(len(table)) if group is None else _groups(table, group)
    if split is None:
        rest, held = _divided(np.arange(len(table)), groups, test, seed)
        found = {"train": rest, "test": held}
    else:
        found = _said(table, split)
        if group is not None:
            _require_whole(table, group, groups, found)
    if "validation" not in found:
        found["train"], found["validation"] = _divided(found["train"], groups, validation, seed + 1)
    for part in SPLITS:
        if not len(found[part]):
            what = "rows" if group is None else f"groups in the column `{group}`"
            cause = f"`{table.path}` has {len(np.unique(groups))} {what}, and none is left for {part}"
            raise MtlError.of("MTL804", cause, "add rows to the table")
    return found


def _groups(table: Table, column: str) -> Rows:
    """The number of each row's group."""
    cells = table.cells(column)
    missing = rows_where(cells, is_missing)
    if missing:
        raise table.misread(column, missing, "which says no group", "fill it in, with a name of its own if need be")
    return np.unique(np.array(cells, dtype=object), return_inverse=True)[1].astype(np.int64)


def _divided(rows: Rows, groups: Rows, part: float, seed: int) -> tuple[Rows, Rows]:
    """All of the rows but those of a seeded part of their groups, and these."""
    present = np.unique(groups[rows])
    kept, held = divided(len(present), part, seed)
    return rows[np.isin(groups[rows], present[kept])], rows[np.isin(groups[rows], present[held])]


def _said(table: Table, column: str) -> dict[str, Rows]:
    """The rows of the splits that a column names: training and test, and validation where any row says so."""
    cells = [cell.lower() for cell in table.cells(column)]
    wrong = rows_where(cells, lambda cell: cell not in SPLITS)
    if wrong:
        meant = CALLED_ELSEWHERE.get(cells[wrong[0]])
        remedy = f"write `{meant}`" if meant else "write `train`, `validation` or `test` into every row"
        raise table.misread(column, wrong, "which is no split", remedy)
    found = {split: np.array(rows_where(cells, split.__eq__), dtype=np.int64) for split in SPLITS}
    for split in ("train", "test"):
        if not len(found[split]):
            cause = f"no row of `{table.path}` says `{split}` in the column `{column}`"
            raise MtlError.of("MTL602", cause, "write it into some, or leave `split` out, for parts by the seed")
    return found if len(found["validation"]) else {"train": found["train"], "test": found["test"]}


def _require_whole(table: Table, column: str, groups: Rows, found: dict[str, Rows]) -> None:
    """Raises MTL602 where a group has rows in two splits."""
    where: dict[int, tuple[str, int]] = {}
    for split, rows in found.items():
        for row in rows:
            before, first = where.setdefault(int(groups[row]), (split, int(row)))
            if before != split:
                lines = f"{before} ({table.place(first)}) and in {split} ({table.place(int(row))})"
                cause = f"`{table.cells(column)[row]}` of the column `{column}` of `{table.path}` is in {lines}"
                raise MtlError.of("MTL602", cause, "put all rows of a group into one split, or leave `group` out")
