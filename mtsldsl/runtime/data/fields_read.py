"""Which field of the samples a task reads, and which task reads a field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Diagnostic, MtlError
from mtsldsl.ir.model import Data
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.demand import Demand


def field_of_task(data: Data, task: Task) -> str:
    """The field of a block's samples that holds a task's target."""
    if task.field is not None:
        return task.field_name
    if task.target.kind == "reconstruct":
        return data.input
    field = data_kind(data.kind).field_for(task.target.kind, task.name)
    return field.name if field else task.name


def columns_of_task(data: Data, task: Task) -> tuple[str, ...]:
    """The columns of a table that hold a task's target: one for each of its numbers, or the one that has all."""
    return task.columns or (field_of_task(data, task),)


def readers(demand: Demand) -> dict[str, Task]:
    """The first task that reads each field which is no input."""
    tasks = {field_of_task(demand.data, task): task for task in reversed(demand.tasks)}
    return {name: task for name, task in tasks.items() if name not in demand.data.inputs}


@contextmanager
def target_of(task: Task | None) -> Iterator[None]:
    """What is found wrong inside is said of the target of this task, with its place in the spec; but what has a place
    already. None for what is no target."""
    try:
        yield
    except MtlError as error:
        if task is None:
            raise
        raise MtlError(of_target(each, task) for each in error.diagnostics) from error


def of_target(found: Diagnostic, task: Task) -> Diagnostic:
    """The same, said of the target of a task with its place, but where it has one."""
    if found.span is not None:
        return found
    return attrs.evolve(found, cause=f"the target of `{task.name}`: {found.cause}", span=task.span)


def at_odds(name: str, task: Task) -> MtlError:
    """The error that two tasks read one field in two ways."""
    cause = f"`{task.name}` reads `{name}` otherwise than an earlier task"
    return MtlError.of("MTL603", cause, "give both tasks the same target, or a field each", task.span)
