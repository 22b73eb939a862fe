"""Which field of the samples a task reads."""

from __future__ import annotations

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data, Task


def field_of_task(data: Data, task: Task) -> str:
    """The field of a block's samples that holds a task's target."""
    if task.target.kind == "reconstruct":
        return task.field or data.input
    field = data_kind(data.kind).field_for(task.target.kind, task.name)
    return task.field or (field.name if field else task.name)


def at_odds(name: str, task: Task) -> MtlError:
    """The error that two tasks read one field in two ways."""
    cause = f"`{task.name}` reads `{name}` otherwise than an earlier task"
    return MtlError.of("MTL603", cause, "give both tasks the same target, or a field each", task.span)
