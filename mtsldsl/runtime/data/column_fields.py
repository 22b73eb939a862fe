"""The columns of a table that tasks learn, as fields of samples."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.array_fields import fitted
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import of_target, target_of
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_targets import require_columns, target_column, unfit_classes

_KINDS = {"classes": FieldKind.LABEL, "binary": FieldKind.EDGE, "values": FieldKind.PLAIN}


@attrs.frozen(eq=False)
class ColumnField:
    """The labels of all rows, what they are, the names of classes where they have names, and what a person should
    know."""

    labels: Tensor
    kind: FieldKind
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def labels_of(table: Table, names: Sequence[str], task: Task, unfit: dict[int, str] | None) -> ColumnField:
    """What a task learns of its columns, as `column_field` says. Where there is an `unfit`, rows with a cell that is no
    label are without one, and what is wrong with the first such cell is noted there. Raises MtlError as `column_field`
    does, but for rows of which that is noted; how many classes there are is a question to the whole column, where it
    holds names."""
    try:
        return column_field(table, names, task)
    except MtlError as error:
        if unfit is None or error.diagnostics[0].code != "MTL602":
            raise
        wrong = _unfit_cells(table, names, task)
        if not wrong:
            raise
    for row, cause in wrong.items():
        unfit.setdefault(row, cause)
    return column_field(table.emptied(wrong, names), names, task)


def _unfit_cells(table: Table, names: Sequence[str], task: Task) -> dict[int, str]:
    if task.target.kind == "classes":
        wrong = unfit_classes(table, names[0], task)
        return {row: of_target(error.diagnostics[0], task).cause for row, error in wrong.items()}
    found: dict[int, str] = {}
    for name in names:
        for row in range(len(table)):
            try:
                with target_of(task):
                    target_column(table.cell(name, row), name, task)
            except MtlError as error:
                found.setdefault(row, error.diagnostics[0].cause)
    return found


def column_field(table: Table, names: Sequence[str], task: Task) -> ColumnField:
    """What a task learns of its columns, side by side in their order. Raises MtlError as `target_column` does, with the
    task and its place."""
    with target_of(task):
        require_columns(names, task)
        columns = [target_column(table, name, task) for name in names]
    kind, first = _KINDS[task.target.kind], columns[0]
    noun = "column" if len(names) == 1 else "columns"
    called = f"the {noun} {', '.join(f'`{name}`' for name in names)} of `{table.path}`"
    numbers = first.numbers if kind is FieldKind.LABEL else np.stack([column.numbers for column in columns], axis=1)
    field = fitted({called: numbers}, Expected(kind, numbers.shape[1:], task.target))
    remarks = [remark for column in columns for remark in column.remarks]
    return ColumnField(field.tensors[called], kind, first.names, (*remarks, *field.remarks))
