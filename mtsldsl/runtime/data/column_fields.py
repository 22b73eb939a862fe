"""The columns of a table that tasks learn, as fields of samples."""

from __future__ import annotations

import attrs
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Task
from mtsldsl.runtime.data.array_fields import fitted
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import target_of
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_targets import target_column

_KINDS = {"classes": FieldKind.LABEL, "binary": FieldKind.EDGE, "values": FieldKind.PLAIN}


@attrs.frozen(eq=False)
class ColumnField:
    """The labels of all rows, what they are, the names of classes where they have names, and what a person should
    know."""

    labels: Tensor
    kind: FieldKind
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def unfit_cells(table: Table, name: str, task: Task) -> dict[int, str]:
    """What is wrong with those cells of a column that are no label of a task, by their rows. How many classes there are
    is a question to the whole column. Raises MtlError as `column_field` does, but for a single cell."""
    try:
        column_field(table, name, task)
    except MtlError as error:
        if task.target.kind == "classes" or error.diagnostics[0].code != "MTL602":
            raise
    else:
        return {}
    found = {}
    for row in range(len(table)):
        try:
            with target_of(task):
                target_column(table.cell(name, row), name, task)
        except MtlError as error:
            found[row] = error.diagnostics[0].cause
    return found


def column_field(table: Table, name: str, task: Task) -> ColumnField:
    """What a task learns of a column. Raises MtlError as `target_column` does, with the task and its place."""
    with target_of(task):
        column = target_column(table, name, task)
    kind = _KINDS[task.target.kind]
    called = f"the column `{name}` of `{table.path}`"
    shape = () if kind is FieldKind.LABEL else (1,)
    field = fitted({called: column.numbers}, Expected(kind, shape, task.target))
    return ColumnField(field.tensors[called], kind, column.names, (*column.remarks, *field.remarks))
