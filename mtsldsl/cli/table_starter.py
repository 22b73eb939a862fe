"""The spec that `mtsldsl new --from table --data` writes: of a table what was found in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import click
import numpy as np

from mtsldsl.cli.starter_text import (
    METRICS,
    STRUCTURE,
    described,
    header,
    options_of,
    path_from,
    plain,
    require_learned,
    share_missing,
    shares_of,
    target_of,
    task_name,
    training_block,
)
from mtsldsl.diagnostics import MtlError, Source, suggestion
from mtsldsl.diagnostics.bounded import shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.language.written import quoted
from mtsldsl.syntax.files import is_file
from mtsldsl.syntax.format import format_text
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_columns import Learnable, as_input, as_target, missing_in
from mtsldsl.tables.table_files import read_table
from mtsldsl.tables.table_inputs import NameColumn, NumberColumn
from mtsldsl.tables.table_parts import parted_rows

LAYERS = ("hidden1", "hidden2")

_OPTIONS = options_of("table")


@attrs.frozen
class _Goal:
    """A column that is learned, with the name of its task."""

    column: str
    task: str
    learned: Learnable


def spec_of_table(spec: Path, data: Path, targets: Sequence[str], excluded: Sequence[str]) -> str:
    """The text of a spec at `spec` whose tasks learn columns of a table from its other ones.

    Raises click.UsageError without a target, with what each column could be; MTL601 for a table that is not there,
    MTL603 for a column that is not, MTL602 for one that cannot be learned, or for a table of which nothing is left to
    learn from, MTL804 for one with too few rows.
    """
    if not is_file(data) and not data.is_dir():
        what = "is neither a file nor a folder" if data.exists() else "is not there"
        raise MtlError.of("MTL601", f"the table `{data}` {what}", "give the path of a CSV or Parquet file")
    table = read_table(data)
    for name in (*targets, *excluded):
        if name not in table.columns:
            cause = f"`{data}` has no column `{name}`"
            raise MtlError.of("MTL603", cause, suggestion(name, table.columns, "columns"))
    require_learned(targets, excluded)
    if not targets:
        raise click.UsageError(_choice(table, excluded))
    goals = _goals(table, tuple(dict.fromkeys(targets)))
    training = parted_rows(table, shares_of(_OPTIONS), split=None, group=None, stratify=None)["train"]
    others = [name for name in table.columns if name not in targets]
    found = {name: "excluded" if name in excluded else as_input(table, name, training) for name in others}
    if all(isinstance(each, str) for each in found.values()):
        reasons = shown([f"`{plain(name)}`: {why}" for name, why in found.items()], "; ") or "all are learned"
        raise MtlError.of("MTL602", f"`{data}` has no column left to learn from ({reasons})", "add one to the table")
    width = sum(each.width for each in found.values() if not isinstance(each, str))
    lines = [
        *header(spec, f"{counted(len(table), 'row')} of a table", _ABOUT),
        *_data(spec, table, found, _input_name(goals), len(training)),
        *(line for goal in goals for line in _task(table, goal)),
        *_network(width, goals),
    ]
    return format_text(Source(str(spec), "\n".join(lines) + "\n"))


def _choice(table: Table, excluded: Collection[str]) -> str:
    """What each column could be as a target."""
    lines = []
    for name in table.columns:
        if name not in excluded:
            try:
                kind = described(as_target(table, name))
            except MtlError as error:
                kind = f"no target: {error.diagnostics[0].cause}"
            lines.append(f"  {plain(name)}: {plain(kind)}")
    first = f"say with --target which column of {table.path} is to be learned, several times for several:"
    return "\n".join([first, *lines])


# Names ----------------------------------------------------------------------------------------------------------------


def _goals(table: Table, targets: Sequence[str]) -> list[_Goal]:
    goals: list[_Goal] = []
    for name in targets:
        goals.append(_Goal(name, task_name(name, {*LAYERS, *(goal.task for goal in goals)}), as_target(table, name)))
    return goals


def _input_name(goals: Iterable[_Goal]) -> str:
    """`row`, or another name where a target has it: a field of the input's name would be the input itself."""
    taken = {name for goal in goals for name in (goal.column, goal.task)}
    return next(
        each for each in ("row", "cells", *(f"row{number}" for number in range(len(taken)))) if each not in taken
    )


# Text -----------------------------------------------------------------------------------------------------------------


def _remark(table: Table, name: str, said: str) -> str:
    """A comment on a column: what is said of it, and how many of its cells are missing where any is."""
    missing = 0 if name in table.repeated else missing_in(table, name)
    return f"# {share_missing(missing, len(table))}{plain(said)}"


def _line_of_input(table: Table, name: str, found: NumberColumn | NameColumn | str) -> str:
    """A column in the list of inputs, or the comment that says why it is none."""
    if isinstance(found, str):
        return f"# {plain(quoted(name))}: {_remark(table, name, found).removeprefix('# ')}"
    if isinstance(found, NumberColumn):
        said = "numbers"
    else:
        said = f"{len(found.names)} {'name' if len(found.names) == 1 else 'names'}: {', '.join(found.names)}"
    return f"{quoted(name)}, {_remark(table, name, said)}"


_ABOUT = "The comments on columns say what was found in them. Where no share is said to be missing, no cell is."


def _data(
    spec: Path, table: Table, found: Mapping[str, NumberColumn | NameColumn | str], input_name: str, rows: int
) -> Iterator[str]:
    inputs = [column for column in found.values() if not isinstance(column, str)]
    named = [column for column in inputs if isinstance(column, NameColumn)]
    numbers = len(inputs) - len(named)
    each = "the column of numbers" if numbers == 1 else f"each of {numbers} columns of numbers"
    parts = [f"1 for {each}"] if numbers else []
    parts += [plain(column.comes_about) for column in named]
    yield "data table {"
    yield "# looked for from the working folder, then from the folder of this file"
    yield f"path = {quoted(path_from(spec, table.path))}"
    yield f"# as many numbers as the columns give: {shown(parts, ', ')}"
    if named:
        yield "# Names are those of the training rows: with another `seed`, `test` or `validation` it may be another"
        yield "# number, and training says which one to write."
    yield f"input = {input_name}({sum(column.width for column in inputs)})"
    yield "# A column in a comment is left out, for the reason given there. Where numbers are names, as those of"
    yield "# districts, list the column in `categories` too."
    yield "inputs = ["
    yield from (_line_of_input(table, *item) for item in found.items())
    yield "]"
    yield f"batch = {_batch(rows)}"
    yield f"validation = {_OPTIONS['validation']} # the part of the training rows that chooses the best epoch"
    yield f"test = {_OPTIONS['test']} # the part of all rows kept for the test; or `split` names a column that says it"
    yield f"seed = {_OPTIONS['seed']} # of these parts"
    yield "}"
    yield ""


def _batch(rows: int) -> int:
    return min(rows, 32 if rows < 5_000 else 256)


def _task(table: Table, goal: _Goal) -> Iterator[str]:
    kind, names = goal.learned.kind, goal.learned.names
    if kind == "classes":
        said = f"the classes, from 0: {', '.join(names)}"
    elif kind == "binary":
        said = "yes or no"
    else:
        numbers = table.numbers(goal.column)
        said = f"numbers from {np.nanmin(numbers):.6g} to {np.nanmax(numbers):.6g}; metrics are in their unit"
    yield f"task {goal.task} {{"
    yield _remark(table, goal.column, said)
    yield f"target = {target_of(goal.learned)}"
    if goal.task != goal.column:
        yield f"field = {quoted(goal.column)}"
    yield f"head = linear({len(names) or 1})"
    yield f"metrics = [{METRICS[kind]}]"
    yield "}"
    yield ""


def _network(width: int, goals: Sequence[_Goal]) -> Iterator[str]:
    features = max(32 if width <= 8 else 64 if width <= 64 else 128, *(len(goal.learned.names) for goal in goals), 0)
    yield "# The layers, in order. A layer is what tasks share, or do not."
    yield "backbone {"
    yield from (f"{layer} = linear({features}) | relu | dropout(0.1)" for layer in LAYERS)
    yield "}"
    yield training_block(epochs=60, patience=20)
    if len(goals) > 1:
        yield STRUCTURE
