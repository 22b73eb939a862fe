"""What the columns of a table may be, where nobody has said it: inputs, targets, or neither.

Whether a column holds numbers, names or answers is asked of what reads it in training. Only what that code would take
and a person would not is decided here: identifiers, values that never change, and names of which hardly
one comes twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.tables.table_cells import Table, is_missing, number_of, rows_where
from mtsldsl.tables.table_inputs import MOST_NAMES, NameColumn, NumberColumn, TableInputs, are_numbers, looked_up_as_ids
from mtsldsl.tables.table_targets import class_names, holds_answers

Cells: TypeAlias = Sequence[str]

MOST_NUMBERED = 10
"""Whole numbers that are taken for classes; of more they are taken for amounts."""


@attrs.frozen
class Learnable:
    """A column as a target: of which kind, and of classes their names."""

    kind: Literal["values", "binary", "classes"]
    names: tuple[str, ...] = ()


def missing_in(table: Table, name: str) -> int:
    """How many cells of a column have no value."""
    return len(rows_where(table.cells(name), is_missing))


def as_input(table: Table, name: str, training: NDArray[np.int64]) -> NumberColumn | NameColumn | str:
    """The column as an input that is fitted to the training rows, or why it is none that is of use."""
    if name in table.repeated:
        return "several columns have this name"
    if not name:
        return "it has no name"
    known = _known(table, name)
    if known and len(set(known)) == 1:
        return "it is the same in all rows"
    if is_identifying(table, name):
        return "no two rows have the same, as in a column of identifiers"
    try:
        (column,) = TableInputs.fit(table, training, [name]).columns
    except MtlError as error:
        read = [table.cells(name)[row] for row in training if not is_missing(table.cells(name)[row])]
        names = len(set(read))
        if names > MOST_NAMES and not are_numbers(read):
            return f"{names} names, more than {MOST_NAMES}; {looked_up_as_ids(name, names)}"
        return error.diagnostics[0].cause
    if isinstance(column, NameColumn):
        rows = sum(not is_missing(table.cells(name)[row]) for row in training)
        if not _recurs(len(column.names), rows):
            return f"it has {len(column.names)} different values in {rows} training rows: too many for names"
    return column


def as_target(table: Table, name: str) -> Learnable:
    """What a task may learn of a column. Raises MTL603 where there is none of that name, MTL602 where it holds nothing
    that can be learned."""
    known = _known(table, name)
    names = class_names(table, name)
    whose = f"the column `{name}` of `{table.path}`"
    if len(names) < 2:
        cause = f"{whose} {'is the same in all rows' if names else 'has no value in any row'}"
        raise MtlError.of("MTL602", cause, "learn a column whose values differ")
    if holds_answers(table, name):
        return Learnable("binary")
    numeric = are_numbers(known)
    amounts = numeric and any(number is not None and not number.is_integer() for number in map(number_of, known))
    most = MOST_NUMBERED if numeric else MOST_NAMES
    if len(names) <= most and _recurs(len(names), len(known)) and not amounts:
        return Learnable("classes", names)
    if numeric:
        table.numbers(name)  # where few are none, those few are the slip
        return Learnable("values")
    cause = f"{whose} has {len(names)} different values in {len(known)} rows, too many for classes: {named(names)}"
    remedy = (
        f"learn a column of numbers, or of at most {MOST_NAMES} names that come twice and more; names of many kinds "
        "become few in a column of their own"
    )
    raise MtlError.of("MTL602", cause, remedy)


def is_identifying(table: Table, name: str) -> bool:
    """Whether no two rows have the same, and what they have tells them apart and says no more."""
    known = _known(table, name)
    return len(known) > 1 and len(set(known)) == len(known) and _is_of_identifiers(known)


def _known(table: Table, name: str) -> list[str]:
    return [cell for cell in table.cells(name) if not is_missing(cell)]


def _is_of_identifiers(known: Cells) -> bool:
    """Whether values that all differ are whole numbers, or hardly any a number."""
    numbers = [number_of(cell) for cell in known]
    whole = all(number is not None and number.is_integer() for number in numbers)
    return whole or 2 * sum(number is not None for number in numbers) < len(known)


def _recurs(values: int, rows: int) -> bool:
    """Whether each value stands in two rows at least, by the mean."""
    return 2 * values <= rows
