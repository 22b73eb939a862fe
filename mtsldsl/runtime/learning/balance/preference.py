"""In which proportion the losses of the tasks are to stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.sharing.component import helping_task

Preference: TypeAlias = Mapping[str, float]
"""A number for each task, all above 0: the direction in which the vector of the losses is to lie."""


def preference_of(weights: Mapping[str, float], balance: Named) -> Preference:
    """The preference of a balance over tasks in the order of the spec, and helpers after them: its own, or the same
    number for all. A helper has the number of the task that it is a head of."""
    given = balance.arguments["preference"]
    tasks = dict.fromkeys(map(helping_task, weights))
    numbers = given if isinstance(given, tuple) else (1.0,) * len(tasks)
    of_tasks = {task: number({task: each}, task) for task, each in zip(tasks, numbers, strict=True)}
    return {name: of_tasks[helping_task(name)] for name in weights}
