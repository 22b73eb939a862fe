"""Answers for each token: a head gives channels last, and losses, metrics and samples have them first."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.samples import Scale


def channels_first(task: Task, output: Tensor) -> Tensor:
    """The output of a task's head, `(n, length, c)` as `(n, c, length)`; that of other heads as it is."""
    return output.movedim(-1, 1) if task.by_token else output


def as_given(task: Task, answers: Tensor) -> Tensor:
    """The way back, of what may have lost its channels, as classes have."""
    return answers.movedim(1, -1) if task.by_token and answers.dim() == 3 else answers


def in_units(task: Task, scale: Scale) -> Callable[[Tensor], Tensor]:
    """What brings the output of a task's head from the scale that is learned into the unit of the data."""
    return lambda output: as_given(task, scale.undo(channels_first(task, output)))
