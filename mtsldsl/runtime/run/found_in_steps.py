"""What was noted in the steps of an epoch, as events: what the balance weighed, and how large gradients were."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run import events


def found_in_steps(training: Training) -> Iterator[events.Weighed | events.Gradients]:
    """The events of the epoch that has just ended; what they are made of is forgotten."""
    balance, steps, norms = training.balance, training.weighed.steps, training.norms
    weights = {task: [_short(step.get(task)) for step in steps.values()] for task in balance.tasks}
    if steps:
        yield events.Weighed(epoch=training.epoch, steps=list(steps), weights=weights)
    if norms.norms:
        first = {task: next((each for each in found if each is not None), None) for task, found in weights.items()}
        yield events.Gradients(
            epoch=training.epoch,
            norms={task: float(f"{norm:.6g}") for task, norm in norms.norms.items()},
            weights={task: balance.weights[task] if balance.constant else first[task] for task in norms.norms},
            together=norms.together,
        )
    steps.clear()
    norms.forget()


def _short(weight: Tensor | None) -> float | None:
    """A weight in six digits, which is about what float32 has."""
    return None if weight is None else float(f"{float(weight):.6g}")
