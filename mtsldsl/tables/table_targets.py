"""Columns of a table as what tasks learn, with the names of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.ir.task_record import Task
from mtsldsl.language.targets import TARGETS
from mtsldsl.tables.table_cells import Floats, Table, is_missing, number_of

_ANSWERS = {**dict.fromkeys(("true", "yes"), 1.0), **dict.fromkeys(("false", "no"), 0.0)}
"""What may be written for 1 and 0, in any letters."""


@attrs.frozen(eq=False)
class TargetColumn:
    """The numbers of a target, one a row, NaN without a label, the names of its classes where it has names, and what a
    person should know."""

    numbers: Floats
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def require_columns(names: Sequence[str], task: Task) -> None:
    """Hold that these columns can be the target of a task. Raises MTL603 where it asks for what they do not have."""
    target = task.target
    if target.kind != "classes" and (not TARGETS[target.kind].by_column or target.channels != len(names)):
        cause = f"a column holds one number in a row, and `{task.name}` learns `{target.kind}({target.channels})`"
        if TARGETS[target.kind].by_column:
            remedy = f"name {target.channels} columns: `field = [...]`; or write `{target.kind}(1)` and a head of 1"
        else:
            remedy = "write a task with `values(1)`, `binary(1)` or `classes(k)` for each column"
        raise MtlError.of("MTL603", cause, remedy, task.span)
    if len(task.head.shape) > 1:
        cause = f"a row of a table has one answer, but the head of `{task.name}` gives an image"
        raise MtlError.of("MTL603", cause, f"end the head with `flatten | linear({target.channels})`", task.span)


def target_column(table: Table, name: str, task: Task) -> TargetColumn:
    """The column of that name as the target of a task, or as one of its numbers. Raises MTL603 where there is none,
    MTL602 for a cell that is no label."""
    target = task.target
    if target.kind == "classes":
        return _classes(table, name, task)
    if target.kind == "binary":
        return TargetColumn(_answers(table, name, target.ignore))
    return TargetColumn(table.numbers(name))


def _answers(table: Table, name: str, ignore: int | None) -> Floats:
    """0 and 1."""
    found = [_answer(cell, ignore) for cell in table.cells(name)]
    wrong = [row for row, answer in enumerate(found) if answer is None or not (math.isnan(answer) or answer in (0, 1))]
    if wrong:
        remedy = "write 1 and 0, true and false, or yes and no, and leave the cell empty without an answer"
        raise table.misread(name, wrong, "which is neither yes nor no", remedy)
    return np.array(found, dtype=np.float64)


def _answer(cell: str, ignore: int | None) -> float | None:
    return _label(cell, ignore, _ANSWERS.get(cell.lower(), number_of(cell)))


def holds_answers(table: Table, name: str) -> bool:
    """Whether the cells of a column that have a value say yes and no, and nothing else."""
    return {_answer(cell, None) for cell in table.cells(name) if not is_missing(cell)} == {0, 1}


def _label(cell: str, ignore: int | None, label: float | None) -> float | None:
    """The label, NaN where the cell has no value or the one that is ignored."""
    return math.nan if is_missing(cell) or (ignore is not None and number_of(cell) == ignore) else label


def _classes(table: Table, name: str, task: Task) -> TargetColumn:
    """The numbers of classes: those that the column holds, where all are from 0 to k - 1, or else the places of its
    k different values, sorted, of which it may hold any."""
    classes = task.target.channels
    numbers = [_label(cell, task.target.ignore, number_of(cell)) for cell in table.cells(name)]
    labelled = [row for row, number in enumerate(numbers) if number is None or not math.isnan(number)]
    known = [numbers[row] for row in labelled]
    if all(number is not None and number.is_integer() and 0 <= number < classes for number in known):
        return TargetColumn(
            np.array(numbers, dtype=np.float64), remarks=_remarks_on_alike(table, name, numbers, labelled)
        )
    written, names = _named(table.cells(name), numbers, labelled)
    if len(names) != classes:
        raise _of_another_number(table, name, task, names, labelled, written)
    places = {each: place for place, each in enumerate(names)}
    found = np.full(len(table), math.nan)
    found[labelled] = [places[each] for each in written]
    return TargetColumn(found, names, _remarks_on_alike(table, name, numbers, labelled) if None not in known else ())


def unfit_classes(table: Table, name: str, task: Task) -> dict[int, MtlError]:
    """What is wrong with the rows whose label is no class, in a column that does not fit: where all labels are numbers,
    and most are from 0 to k - 1, those that are not. Nothing where nobody can say which are wrong: of names, and of
    numbers that may count from 1."""
    classes = task.target.channels
    numbers = {
        row: _label(cell, task.target.ignore, number_of(cell))
        for row, cell in enumerate(table.cells(name))
        if not is_missing(cell)
    }
    known = {row: number for row, number in numbers.items() if number is None or not math.isnan(number)}
    wrong = [row for row, number in known.items() if number not in range(classes)]
    from_one = classes in known.values() and 0 not in known.values()
    if None in known.values() or 2 * len(wrong) > len(known) or from_one:
        return {}
    what, remedy = f"which is no class from 0 to {classes - 1}", "write one, or leave the cell empty"
    return {row: table.misread(name, [row], what, remedy) for row in wrong}


def _remarks_on_alike(
    table: Table, name: str, numbers: Sequence[float | None], labelled: Sequence[int]
) -> tuple[str, ...]:
    """What to know of names that differ and are one class, as they are the same number."""
    cells = table.cells(name)
    written: dict[float | None, dict[str, None]] = {}
    for row in labelled:
        written.setdefault(numbers[row], {})[cells[row]] = None
    alike = next((sorted(each) for each in written.values() if len(each) > 1), None)
    if alike is None:
        return ()
    said = f"{named(alike)} of the column `{name}` of `{table.path}` are one class, as they are the same number"
    return (f"{said}; where they are not, give them names with a letter",)


def class_names(table: Table, name: str) -> tuple[str, ...]:
    """The different values of a column in the order of its classes, numbers as `3` whether written so or as `3.0`."""
    cells = table.cells(name)
    labelled = [row for row, cell in enumerate(cells) if not is_missing(cell)]
    return _named(cells, [number_of(cell) for cell in cells], labelled)[1]


def _named(
    cells: Sequence[str], numbers: Sequence[float | None], labelled: Sequence[int]
) -> tuple[list[str], tuple[str, ...]]:
    """The name of the class of each row that has a label, and all these names in order."""
    known = [numbers[row] for row in labelled]
    numeric = None not in known
    written = [
        _plain(number) if numeric and number is not None else cells[row]
        for row, number in zip(labelled, known, strict=True)
    ]
    return written, tuple(sorted(set(written), key=float if numeric else str))


def _plain(number: float) -> str:
    """A number as the name of a class: `3` and `3.0` are the same."""
    return str(int(number)) if number.is_integer() else repr(number)


def _of_another_number(
    table: Table, name: str, task: Task, names: Sequence[str], labelled: Sequence[int], written: Sequence[str]
) -> MtlError:
    rarest = min(names, key=written.count)
    place = table.place(labelled[written.index(rarest)])
    cause = (
        f"the column `{name}` of `{table.path}` holds {len(names)} different classes, {named(names)}, where "
        f"`{task.name}` has {task.target.channels}"
    )
    remedy = (
        f"write `classes({len(names)})` and a head of {len(names)}, or mend what is no class: the rarest, `{rarest}`, "
        f"is on {place}"
    )
    return MtlError.of("MTL602", cause, remedy, task.span)
