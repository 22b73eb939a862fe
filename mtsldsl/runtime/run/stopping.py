"""When a run, or a task of it, has learned enough: not before it is decided who shares what."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from mtsldsl.language.operators.arguments import integer
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.events import TaskStopped
from mtsldsl.runtime.run.selection import Selection
from mtsldsl.runtime.structure.learner import Learner


def undecided(training: Training, learner: Learner) -> bool:
    """Whether the learner of sharing decides in an epoch that is still to come."""
    rest = range(training.epoch + 1, training.spec.train.epochs + 1)
    return any(learner.due(attrs.evolve(training.position, epoch=epoch)) for epoch in rest)


def tasks_out_of_patience(training: Training, learner: Learner, selection: Selection) -> Iterator[TaskStopped]:
    """Let tasks learn no more that were not better by their own gain in as many epochs as they have patience, and say
    which; a task without a label on validation has no gain, and goes on."""
    waiting = [task for task in training.spec.tasks if task.stop.name == "patience"]
    if not waiting or undecided(training, learner):
        return
    for task in waiting:
        patience, best = integer(task.stop.arguments, "epochs"), selection.own_epoch(task.name)
        if task.name not in training.stopped and training.epoch - best >= patience:
            training.stopped |= {task.name}
            yield TaskStopped(epoch=training.epoch, task=task.name, patience=patience)
