"""Which answers of a task were given for which, over a whole set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtsldsl.ir import Task
from mtsldsl.runtime.objectives.by_target import OBJECTIVES

if TYPE_CHECKING:
    from mtsldsl.runtime.objectives.accumulators import Confusion

MOST_CLASSES = 2048
"""Of more, the counts of all pairs would take more memory than most networks."""


def has_confusion(task: Task) -> bool:
    """Whether each answer of a task is one of a few: a class, or yes or no."""
    kind, channels = task.target.kind, task.target.channels
    return (kind == "classes" and channels <= MOST_CLASSES) or (kind == "binary" and channels == 1)


class ConfusionCounts:
    """How often each class, or no and yes, was answered where each was true: per sample, place or token that counts,
    as torchmetrics' `MulticlassConfusionMatrix` has it. The state lives on the device of the first batch."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.classes = task.target.channels if task.target.kind == "classes" else 2
        self._state: Confusion | None = None

    @torch.no_grad()
    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch: the head's output `(n, c[, h, w])` and the target of the task's field. Does not synchronise."""
        from mtsldsl.runtime.objectives.accumulators import Confusion

        if self._state is None:
            self._state = Confusion(self.classes, prediction.device)
        pairs = OBJECTIVES[self.task.target.kind].pairs(self.task, prediction, target)
        answered, true = pairs.prediction, pairs.target
        if self.task.target.kind == "binary":  # a logit, and what may be a probability
            answered, true = (answered > 0).long(), (true > 0.5).long()
        self._state.update(answered, torch.where(pairs.valid, true, -1))

    def counts(self) -> list[list[int]]:
        """A row for each class that is true, with how often each was answered; all 0 where nothing counted."""
        if self._state is None:
            return [[0] * self.classes for _ in range(self.classes)]
        found: list[list[int]] = self._state.compute()[: self.classes, : self.classes].tolist()
        return found
