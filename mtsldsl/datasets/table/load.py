"""One's own table: a CSV or Parquet file, whose columns are the input and the targets of the tasks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.table.language import Settings
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import shown
from mtsldsl.division import SPLITS
from mtsldsl.ir.model import Data, Target
from mtsldsl.runtime.data.array_fields import fitted
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_files import read_table
from mtsldsl.tables.table_inputs import TableInputs
from mtsldsl.tables.table_parts import parted_rows
from mtsldsl.tables.table_targets import target_column

_KINDS = {"classes": FieldKind.LABEL, "binary": FieldKind.EDGE, "values": FieldKind.PLAIN}


def load(spec: Demand, place: Path, _: bool) -> Splits[Samples]:
    """The rows of the table at `place`; nothing of them is worth keeping.

    Raises MtlError: MTL602 for a file, a cell or a number of columns that does not fit, with the line, MTL603 for a
    column that is missing or has not what a task asks for.
    """
    chosen = made(Settings, spec.data.options)
    table = read_table(place)
    _require_columns(spec, chosen, table)
    rows = parted_rows(
        table,
        split=chosen.split,
        group=chosen.group,
        stratify=chosen.stratify,
        validation=chosen.validation,
        test=chosen.test,
        seed=chosen.seed,
    )
    inputs = TableInputs.fit(table, rows["train"], chosen.inputs, chosen.categories)
    _require_width(spec.data, inputs)
    fields: dict[str, Tensor] = {spec.data.input: torch.from_numpy(inputs.apply(table))}
    layout, read = {spec.data.input: FieldKind.PLAIN}, dict[str, Target]()
    remarks, names = list(inputs.remarks(table)), {}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if name == spec.data.input:
            continue
        if read.setdefault(name, task.target) != task.target:
            raise at_odds(name, task)
        column = target_column(table, name, task)
        layout[name] = _KINDS[task.target.kind]
        shape = () if layout[name] is FieldKind.LABEL else (1,)
        called = f"the column `{name}` of `{place}`"
        field = fitted({called: column.numbers}, Expected(layout[name], shape, task.target))
        fields[name] = field.tensors[called]
        remarks += field.remarks
        if column.names:
            names[name] = list(column.names)
    samples = Samples(fields, layout)
    train, validation, test = (samples.take(torch.from_numpy(rows[split])) for split in SPLITS)
    fit = {"inputs": inputs.record(), "classes": names}
    return Splits(train, validation, test, tuple(dict.fromkeys(remarks)), fitted={spec.data.name: fit})


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
        name = field_of_task(spec.data, task)
        if name in chosen.inputs and task.target.kind != "reconstruct":
            cause = f"`{task.name}` learns the column `{name}`, which is also one of `inputs`: it would be read off"
            raise MtlError.of("MTL307", cause, f'take "{name}" out of `inputs`', task.span)


def _require_width(data: Data, inputs: TableInputs) -> None:
    """Hold that a sample of the spec is a row of as many numbers as the columns give."""
    if data.shape == (inputs.width,):
        return
    sizes = ", ".join(map(str, data.shape))
    parts = shown([column.comes_about for column in inputs.columns], ", ")
    cause = f"the columns give rows of {inputs.width} numbers, where the input is `{data.input}({sizes})`: {parts}"
    raise MtlError.of("MTL602", cause, f"write `input = {data.input}({inputs.width})`")
