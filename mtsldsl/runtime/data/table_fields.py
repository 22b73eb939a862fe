"""The inputs of a table's rows: numbers of columns side by side, and the ids of those that `embedding` reads."""

from __future__ import annotations

import torch
from torch import Tensor

from mtsldsl.ir.model import Data
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_inputs import TableInputs


def row_of(data: Data) -> str | None:
    """The input that is a row of numbers; None where all are ids."""
    return next((name for name in data.inputs if name not in data.ids), None)


def table_fields(data: Data, inputs: TableInputs, table: Table) -> dict[str, Tensor]:
    """Each input of every row, as `inputs` makes it: numbers (n, width) float32, ids (n, 1) int32. Raises MTL602 for a
    cell that does not fit its column."""
    row, ids = row_of(data), inputs.ids_in(table)
    return {name: torch.from_numpy(inputs.apply(table) if name == row else ids[name]) for name in data.inputs}
