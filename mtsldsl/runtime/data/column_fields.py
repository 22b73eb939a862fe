"""The columns of a table that tasks learn, as fields of samples."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Task
from mtsldsl.runtime.data.array_fields import fitted
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import target_of
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_targets import require_columns, target_column

_KINDS = {"classes": FieldKind.LABEL, "binary": FieldKind.EDGE, "values": FieldKind.PLAIN}


@attrs.frozen(eq=False)
class ColumnField:
    """The labels of all rows, what they are, the names of classes where they have names, and what a person should
    know."""

    labels: Tensor
    kind: FieldKind
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def unfit_cells(table: Table, names: Sequence[str], task: Task) -> dict[int, str]:
    """What is wrong with the first cell of each row that is no label of a task, of those in its columns. How many
    classes there are is a question to the whole column. Raises MtlError as `column_field` does, but for a single
    cell."""
    try:
        column_field(table, names, task)
    except MtlError as error:
        if task.target.kind == "classes" or error.diagnostics[0].code != "MTL602":
            raise
    else:
        return {}
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
