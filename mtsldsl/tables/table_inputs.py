"""Columns of a table as the numbers that a network reads: what is fitted to the training rows, applied to any rows.

A column of numbers gives one, (x - mean) / deviation, and 0 where a cell is empty, which is the mean. A column of names
gives one for each that a training row has, and one for all others and for empty cells: 1 in the place of the cell's
name, 0 elsewhere. No label is read for it, so that rows without any are encoded alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import shown
from mtsldsl.records import Record
from mtsldsl.tables.table_cells import Table, is_missing, number_of, rows_where

Numbers: TypeAlias = NDArray[np.float32]

MOST_NAMES = 100
"""Names that a column may have."""


@attrs.frozen(eq=False, repr=False)
class NumberColumn(Record):
    """A column of numbers, with the mean and the deviation of its training rows; 1 where these are all the same."""

    name: str
    mean: float
    deviation: float

    @property
    def width(self) -> int:
        """How many numbers of the input it gives."""
        return 1

    @property
    def comes_about(self) -> str:
        """The same in words."""
        return f"`{self.name}` 1"

    def record(self) -> dict[str, Any]:
        """For the event of a run's start."""
        return {"column": self.name, "mean": self.mean, "deviation": self.deviation}

    def apply(self, table: Table) -> Numbers:
        """`(n, 1)`. Raises MTL602 for a cell that holds no number."""
        scaled = (_numbers(table, self.name) - self.mean) / self.deviation
        return np.where(np.isnan(scaled), 0, scaled)[:, None].astype(np.float32)

    @property
    def where_missing(self) -> str:
        """What a row takes where its cell is missing."""
        return "the mean of the training rows"


@attrs.frozen(eq=False, repr=False)
class NameColumn(Record):
    """A column of names, with those of its training rows, sorted."""

    name: str
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many numbers of the input it gives."""
        return len(self.names) + 1

    @property
    def comes_about(self) -> str:
        """The same in words."""
        names = f"{len(self.names)} {'name' if len(self.names) == 1 else 'names'}"
        return f"`{self.name}` {self.width} ({names} and one place for others)"

    def record(self) -> dict[str, Any]:
        """For the event of a run's start."""
        return {"column": self.name, "names": list(self.names)}

    def apply(self, table: Table) -> Numbers:
        """`(n, width)`, the last place for cells that are empty or hold no known name."""
        return np.eye(self.width, dtype=np.float32)[self.ids(table)[:, 0]]

    def ids(self, table: Table) -> NDArray[np.int32]:
        """`(n, 1)`: the place of each cell's name, the last one for cells that are empty or hold no known name."""
        places = {name: place for place, name in enumerate(self.names)}
        found = [places.get(cell, len(places)) for cell in table.cells(self.name)]
        return np.array(found, dtype=np.int32).reshape(-1, 1)

    @property
    def where_missing(self) -> str:
        """What a row takes where its cell is missing."""
        return "the place of names that no training row has"

    def unknown_in(self, table: Table) -> int:
        """How many rows have a name that no training row has."""
        known = frozenset(self.names)
        return len(rows_where(table.cells(self.name), lambda cell: not is_missing(cell) and cell not in known))


@attrs.frozen(eq=False, repr=False)
class TableInputs(Record):
    """How the columns of a table become the network's inputs. Depends on the training rows and on nothing else.

    `columns` are side by side in one input, `looked_up` are inputs of their own, by their names, each of ids."""

    columns: tuple[NumberColumn | NameColumn, ...]
    looked_up: Mapping[str, NameColumn] = attrs.field(factory=dict, hash=False)

    @classmethod
    def fit(
        cls,
        table: Table,
        training: NDArray[np.int64],
        inputs: Sequence[str],
        categories: Sequence[str] = (),
        looked_up: Mapping[str, str] = {},
    ) -> TableInputs:
        """Fitted to the rows with these numbers; `categories` are names even where they look like numbers, and so are
        those columns of `inputs` that are `looked_up`, which has their names by those of the network's inputs.

        Raises MTL603 for a column that is not there, MTL602 for one that is neither of numbers nor of few names.
        """
        apart = set(looked_up.values())
        columns = (_fitted(table, name, training, name in categories) for name in inputs if name not in apart)
        ids = {given: NameColumn(name, _names(table, name, training)) for given, name in looked_up.items()}
        return cls(tuple(columns), ids)

    @classmethod
    def unfit(
        cls,
        table: Table,
        training: NDArray[np.int64],
        inputs: Sequence[str],
        categories: Sequence[str] = (),
        looked_up: Mapping[str, str] = {},
    ) -> dict[int, str]:
        """What is wrong with the cells that are no numbers in columns which are fitted as numbers, by their rows.
        Raises MtlError as `fit` does for whole columns."""
        names = (*looked_up.values(), *categories)
        fitted = (name for name in inputs if name not in names and are_numbers(_known(table, name, training)))
        return _no_numbers(table, fitted)

    @classmethod
    def of_record(cls, record: Sequence[Mapping[str, Any]]) -> TableInputs:
        """What was fitted, from its `record`."""
        columns = [
            NameColumn(each["column"], tuple(each["names"]))
            if "names" in each
            else NumberColumn(each["column"], each["mean"], each["deviation"])
            for each in record
        ]
        ids = {
            each["input"]: column
            for each, column in zip(record, columns, strict=True)
            if "input" in each and isinstance(column, NameColumn)
        }
        return cls(tuple(column for column in columns if column not in ids.values()), ids)

    @property
    def width(self) -> int:
        """The numbers of a row of the input."""
        return sum(column.width for column in self.columns)

    def record(self) -> list[dict[str, Any]]:
        """What was fitted, in plain data."""
        ids = ({**column.record(), "input": name} for name, column in self.looked_up.items())
        return [*(column.record() for column in self.columns), *ids]

    def apply(self, table: Table) -> Numbers:
        """The input of each row, `(n, width)`. Raises MTL602 for a cell that does not fit its column."""
        return np.concatenate([column.apply(table) for column in self.columns], axis=1)

    def unfit_in(self, table: Table) -> dict[int, str]:
        """What is wrong with the cells that do not fit, by their rows. Raises MtlError as `apply` does for whole
        columns."""
        return _no_numbers(table, [column.name for column in self.columns if isinstance(column, NumberColumn)])

    def ids_in(self, table: Table) -> dict[str, NDArray[np.int32]]:
        """The ids `(n, 1)` of each row, by the names of the inputs."""
        return {name: column.ids(table) for name, column in self.looked_up.items()}

    def remarks(self, table: Table) -> tuple[str, ...]:
        """What a person should know of these rows: the values that are missing, and the names that are not known."""
        every = (*self.columns, *self.looked_up.values())
        missing = {column: len(rows_where(table.cells(column.name), is_missing)) for column in every}
        unknown = {each: each.unknown_in(table) for each in every if isinstance(each, NameColumn)}
        return (
            *_remark_on_missing(table, {column: count for column, count in missing.items() if count}),
            *(
                f"`{column.name}` of `{table.path}` holds in {count} of {len(table)} rows a name that no training row "
                "has, and of which nothing is learned"
                for column, count in unknown.items()
                if count
            ),
        )


def _remark_on_missing(table: Table, counts: Mapping[NumberColumn | NameColumn, int]) -> Iterator[str]:
    """In one line the columns of which cells are missing, in how many rows, and what these rows take."""
    taken = list(dict.fromkeys(column.where_missing for column in counts))
    if len(counts) == 1:
        ((column, count),) = counts.items()
        yield f"`{column.name}` of `{table.path}` is missing in {count} of {len(table)} rows, which take {taken[0]}"
    elif counts:
        listed = shown([f"`{column.name}` in {count}" for column, count in counts.items()], ", ")
        takes = " or ".join(taken)
        cells = f"cells of {len(counts)} columns of `{table.path}` are missing"
        yield f"{cells}, whose rows take {takes}: {listed}; of {len(table)} rows"


def _no_numbers(table: Table, names: Iterable[str]) -> dict[int, str]:
    """What is wrong with the cells of these columns that are no numbers, by their rows."""
    found: dict[int, str] = {}
    for name in names:
        try:
            _numbers(table, name)
        except MtlError:
            for row in range(len(table)):
                try:
                    _numbers(table.cell(name, row), name)
                except MtlError as error:
                    found.setdefault(row, error.diagnostics[0].cause)
    return found


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    return table.numbers(name, f'or write `categories = ["{name}"]` where the column holds names')


def _known(table: Table, name: str, training: NDArray[np.int64]) -> list[str]:
    """The cells of training rows that have a value."""
    cells = table.cells(name)
    known = [cells[row] for row in training if not is_missing(cells[row])]
    if not known:
        cause = f"no training row of `{table.path}` has a value in the column `{name}`"
        raise MtlError.of("MTL602", cause, "take it out of `inputs`")
    return known


def _names(table: Table, name: str, training: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(sorted(set(_known(table, name, training))))


def word_of(column: str) -> str:
    """What an input may be called that has the ids of a column: its name with `_` for what is no letter or digit."""
    return re.sub(r"\W+", "_", column).strip("_").lower()


def looked_up_as_ids(column: str, names: int) -> str:
    """How a column of many names is read: as ids, that `embedding` looks up."""
    word = word_of(column)
    if not word[:1].isalpha():
        return "begin its name with a letter, and have its names looked up as ids, by `embedding`"
    return f"have its names looked up as ids: `input = [row(...), {word}(1)]`, and `embedding({names + 1}, 16)` of it"


def are_numbers(known: Sequence[str]) -> bool:
    """Whether a column is one of numbers, by the cells that have a value: where few are no numbers, those few are the
    slip."""
    return 2 * sum(number_of(cell) is not None for cell in known) >= len(known)


def _fitted(table: Table, name: str, training: NDArray[np.int64], named: bool) -> NumberColumn | NameColumn:
    cells, known = table.cells(name), _known(table, name, training)
    if not named and are_numbers(known):
        return _number_column(name, _numbers(table, name)[training])
    names = sorted(set(known))
    if len(names) > MOST_NAMES:
        cause = (
            f"the column `{name}` of `{table.path}` has {len(names)} different values in {len(known)} training rows, "
            f"such as `{known[0]}` on {table.place(cells.index(known[0]))}: names of categories are at most "
            f"{MOST_NAMES}"
        )
        remedy = (
            f"{looked_up_as_ids(name, len(names))}; or take it out of `inputs`, or put a column with fewer values or "
            "with numbers in its place"
        )
        raise MtlError.of("MTL602", cause, remedy)
    return NameColumn(name, tuple(names))


def _number_column(name: str, numbers: NDArray[np.float64]) -> NumberColumn:
    known = numbers[np.isfinite(numbers)]
    mean, deviation = float(known.mean()), float(known.std())
    if known.min() == known.max():  # of which rounding leaves a deviation
        mean, deviation = float(known[0]), 0.0
    return NumberColumn(name, mean, deviation or 1.0)
