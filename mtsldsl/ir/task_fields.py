"""Which field of the data set each task reads, or which columns of a table, and whether that holds its target."""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.ir.blocks import BlockValues
from mtsldsl.ir.model import Data
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.spec_rules import fields_misread
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.targets import TARGETS


def field_of(name: str, alike: Task, data: Data) -> str | tuple[str, ...] | None:
    """The field that a task reads which names none, and is as another but for its name."""
    if alike.target.kind == "reconstruct":
        return alike.field
    usual = data_kind(data.kind).field_for(alike.target.kind, name)
    return usual.name if usual else name


def name_of_field(name: str, block: BlockValues) -> str:
    """The field that a task names, or else its own name."""
    given = _given_field(block)
    return given if isinstance(given, str) else name


def _given_field(block: BlockValues) -> str | tuple[str, ...] | None:
    """The field, or the columns, that a task names; None where it names none. A list of one name is that name."""
    given = block["field"]
    if given is None or given is BROKEN:
        return None
    names: tuple[str, ...] = given if isinstance(given, tuple) else (given,)
    return names[0] if len(names) == 1 else names


def field_read(
    name: str, kind: str, target: Target | Broken, data: Data, block: BlockValues, problems: Problems
) -> str | tuple[str, ...] | Broken:
    """The field of the data set that holds a target of that kind, or the columns that do."""
    given = _given_field(block)
    if kind == "reconstruct":
        if given is not None:
            if len(data.inputs) > 1 and isinstance(given, str) and given in data.inputs:
                return given
            return problems.add(
                "MTL307",
                "`reconstruct` reads the input itself, and no field",
                "leave `field` out" if len(data.inputs) == 1 else f"name an input, such as `{data.input}`",
                block.place("field"),
            )
        return data.input
    if isinstance(given, tuple):
        return _columns(given, kind, target, data, block.place("field"), problems)
    known = data_kind(data.kind)
    usual = known.field_for(kind, name)
    if usual is None and known.fields:
        kinds = " or ".join(dict.fromkeys(f"`{each.target}`" for each in known.fields))
        cause = f"`{data.kind}` has no field that holds `{kind}`"
        return problems.add("MTL307", cause, f"take a target that is {kinds}", block.place("target"))
    if usual is None:
        return name_of_field(name, block)
    field = usual if given is None else known.field(given)
    if field is None:
        names = {each.name: each for each in known.fields}
        remedy = suggestion(str(given), names, "fields")
        return problems.add("MTL307", f"`{data.kind}` has no field `{given}`", remedy, block.place("field"))
    if field.target != kind:
        return problems.add(
            "MTL307",
            f"the field `{field.name}` of `{data.kind}` holds `{field.target}`, not `{kind}`",
            f"leave `field` out to read `{usual.name}`, or take another target",
            block.place("field"),
        )
    if not isinstance(target, Broken) and field.channels not in (None, target.channels):
        channels = field.channels
        return problems.add(
            "MTL307",
            f"the field `{field.name}` of `{data.kind}` has {channels} {'channel' if channels == 1 else 'channels'}, "
            f"the target {target.channels}",
            f"write `{target.kind}({channels})`",
            block.place("target"),
        )
    return field.name


def _columns(
    names: tuple[str, ...], kind: str, target: Target | Broken, data: Data, place: Span, problems: Problems
) -> tuple[str, ...] | Broken:
    """The columns of a table that hold the numbers of a target, one each."""
    count = len(names)
    if not count:
        return problems.add("MTL202", "`field` is an empty list", "name a field, or leave `field` out", place)
    if not data_kind(data.kind).columns:
        cause = f"`field` names {count} fields, and in `{data.kind}` a target is one of them"
        return problems.add("MTL307", cause, "name the one that holds all numbers of the target", place)
    if not TARGETS[kind].by_column:
        fitting = " or ".join(f"`{each.kind}({count})`" for each in TARGETS.values() if each.by_column)
        cause = f"`field` names {count} columns, and `{kind}` is learned of one"
        return problems.add("MTL307", cause, f"take {fitting}, or write a task for each column", place)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return problems.add("MTL108", f"`field` names the column `{twice}` twice", "name it once", place)
    if isinstance(target, Broken) or target.channels == count:
        return names
    numbers = f"{target.channels} {'number' if target.channels == 1 else 'numbers'}"
    cause = f"`field` names {count} columns, and the target `{kind}({target.channels})` has {numbers}"
    columns = "one column" if target.channels == 1 else f"{target.channels} columns"
    return problems.add("MTL307", cause, f"write `{kind}({count})` and a head of {count}, or name {columns}", place)


def check_fields(tasks: Sequence[Task], data: Data, problems: Problems) -> None:
    """Report fields of a data block that two of its tasks read differently, and one that has the name of the input."""
    for task, (cause, remedy) in fields_misread(tasks, data):
        problems.add("MTL307", cause, remedy, task.span)
