"""One's own table: a CSV or Parquet file, whose columns are the input and the targets of the tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.table.language import Settings
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.diagnostics.bounded import named, shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.division import SPLITS, Shares
from mtsldsl.ir.model import Data
from mtsldsl.ir.task_record import Target
from mtsldsl.ir.wording import inputs_shown
from mtsldsl.runtime.data.array_fields import expected_inputs
from mtsldsl.runtime.data.column_fields import ColumnField, labels_of
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields_read import at_odds, columns_of_task, field_of_task
from mtsldsl.runtime.data.left_out import remarks_on_left_out
from mtsldsl.runtime.data.sample_rows import SampleRows
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.table_fields import table_fields
from mtsldsl.tables.sample_parts import Rows
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_files import read_table
from mtsldsl.tables.table_inputs import TableInputs, word_of
from mtsldsl.tables.table_parts import parted_rows


def load(spec: Demand, place: Path, _: bool) -> Splits[Samples]:
    """The rows of the table at `place`; nothing of them is worth keeping.

    Raises MtlError: MTL602 for a file, a cell or a number of columns that does not fit, with the line, MTL603 for a
    column that is missing or has not what a task asks for. With `on_error = skip` a row of which a cell does not fit is
    left out, and a remark, and so is one that has not as many cells as there are columns; the splits of the others and
    their classes are what they were, and no input is fitted to it.
    """
    chosen = made(Settings, spec.data.options)
    skip = chosen.on_error == "skip"
    table = read_table(place, skip=skip)
    table = table.emptied(table.broken)
    _require_columns(spec, chosen, table)
    rows = parted_rows(
        table,
        Shares(chosen.validation, chosen.test, chosen.train_samples, chosen.seed),
        split=chosen.split,
        group=chosen.group,
        stratify=chosen.stratify,
    )
    looked_up = {name: _column_of(name, chosen.inputs) for name in spec.data.ids}
    columns, unfit = None, dict(table.broken)
    if skip:
        unfit |= TableInputs.unfit(table, rows["train"], chosen.inputs, chosen.categories, looked_up)
        columns = _columns(spec, table, unfit)
    left_out = remarks_on_left_out({table.place(row): unfit[row] for row in sorted(unfit)}, len(table), str(place))
    kept, table, rows = _without(table, rows, unfit)
    inputs = TableInputs.fit(table, rows["train"], chosen.inputs, chosen.categories, looked_up)
    _require_width(spec.data, inputs)
    _require_ids(spec.data, inputs)
    fields: dict[str, Tensor] = table_fields(spec.data, inputs, table)
    layout = {name: expected.kind for name, expected in expected_inputs(spec.data).items()}
    remarks, names = [*left_out, *inputs.remarks(table)], {}
    for name, column in (_columns(spec, table) if columns is None else columns).items():
        layout[name], fields[name] = column.kind, column.labels[torch.from_numpy(kept)]
        remarks += column.remarks
        if column.names:
            names[name] = list(column.names)
    samples = Samples(fields, layout)
    train, validation, test = (samples.take(torch.from_numpy(rows[split])) for split in SPLITS)
    fit = {"inputs": inputs.record(), "classes": names}
    numbers = {split: kept[rows[split]] for split in SPLITS}
    fitted, read_rows = {spec.data.name: fit}, {spec.data.name: SampleRows(numbers)}
    return Splits(train, validation, test, tuple(dict.fromkeys(remarks)), fitted=fitted, rows=read_rows)


def _columns(spec: Demand, table: Table, unfit: dict[int, str] | None = None) -> dict[str, ColumnField]:
    """What the tasks learn, by the names of the fields. What is wrong with rows of which a label does not fit is noted
    in `unfit`, where there is that."""
    read: dict[str, Target] = {}
    found: dict[str, ColumnField] = {}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if name in spec.data.inputs:
            continue
        if read.setdefault(name, task.target) != task.target:
            raise at_odds(name, task)
        found[name] = labels_of(table, columns_of_task(spec.data, task), task, unfit)
    return found


def _without(table: Table, rows: Mapping[str, Rows], unfit: Collection[int]) -> tuple[Rows, Table, dict[str, Rows]]:
    """The other rows, the table of these alone, and their numbers in it by split: each in the split that it was in."""
    kept = np.setdiff1d(np.arange(len(table)), np.fromiter(unfit, np.int64))
    parts = {split: np.searchsorted(kept, np.intersect1d(each, kept)) for split, each in rows.items()}
    return kept, table.only(kept.tolist()), parts


def _require_columns(spec: Demand, chosen: Settings, table: Table) -> None:
    """Hold that the columns are there, each input once, and that none is what a task learns."""
    for column in (*chosen.inputs, *filter(None, (chosen.split, chosen.group, chosen.stratify))):
        table.cells(column)
    twice = next((name for name in chosen.inputs if chosen.inputs.count(name) > 1), None)
    if twice is not None:
        raise MtlError.of("MTL108", f"`inputs` has `{twice}` twice", "list it once")
    for name in chosen.categories:
        if name not in chosen.inputs:
            cause = f"`categories` has `{name}`, which is not one of `inputs`"
            raise MtlError.of("MTL603", cause, "add it there, or take it out here")
    for task in spec.tasks:
        for name in columns_of_task(spec.data, task):
            if name in chosen.inputs and task.target.kind != "reconstruct":
                cause = f"`{task.name}` learns the column `{name}`, which is also one of `inputs`: it would be read off"
                raise MtlError.of("MTL307", cause, f'take "{name}" out of `inputs`', task.span)


def _column_of(name: str, columns: Sequence[str]) -> str:
    """The column of `inputs` whose ids an input has: that of its name, or whose name is the same but for signs and
    blanks."""
    alike = [column for column in columns if word_of(column) == name.lower()]
    found = [column for column in columns if column == name] or alike
    if len(found) != 1:
        many = "no column" if not found else f"the columns {named(found)}"
        cause = (
            f"`embedding` reads the input `{name}`, so that it has the ids of a column, and {many} of `inputs` fit it"
        )
        remedy = (
            "call it as one column, with `_` for what is no letter or digit"
            if found
            else suggestion(name, columns, "columns")
        )
        raise MtlError.of("MTL603", cause, remedy)
    return found[0]


def _require_ids(data: Data, inputs: TableInputs) -> None:
    """Hold that a sample has one id of each column, and that `embedding` knows all of them."""
    for name, column in inputs.looked_up.items():
        if data.inputs[name] != (1,):
            sizes = ", ".join(map(str, data.inputs[name]))
            cause = f"a row has one id of the column `{column.name}`, where the input is `{name}({sizes})`"
            raise MtlError.of("MTL602", cause, f"write `{name}(1)`")
        if column.width > data.ids[name]:
            cause = (
                f"the column `{column.name}` has {counted(len(column.names), 'name')} in the training rows, and one id "
                f"more for all others; `embedding` knows {data.ids[name]} ids"
            )
            remedy = f"write `embedding({column.width}, ...)`"
            raise MtlError.of("MTL202", cause, remedy, data.ids_from.get(name))


def _require_width(data: Data, inputs: TableInputs) -> None:
    """Hold that a sample of the spec is a row of as many numbers as the columns give, beside its ids."""
    rows = [name for name in data.inputs if name not in data.ids]
    if len(rows) > 1 or (rows and not inputs.columns) or (inputs.columns and not rows):
        left = counted(len(inputs.columns), "column of `inputs` is", "columns of `inputs` are")
        cause = (
            f"`embedding` reads {named(list(data.ids)) or 'no input'}, and {left} left for "
            f"{named(rows) or 'no other input'}"
        )
        remedy = "give one input for all columns of numbers, where there are some, and one for each column of ids"
        raise MtlError.of("MTL602", cause, remedy)
    if not rows or data.inputs[rows[0]] == (inputs.width,):
        return
    (row,) = rows
    sizes = ", ".join(map(str, data.inputs[row]))
    parts = shown([column.comes_about for column in inputs.columns], ", ")
    cause = f"the columns give rows of {inputs.width} numbers, where the input is `{row}({sizes})`: {parts}"
    written = {**data.inputs, row: (inputs.width,)}
    raise MtlError.of("MTL602", cause, f"write `input = {inputs_shown(written)}`")
