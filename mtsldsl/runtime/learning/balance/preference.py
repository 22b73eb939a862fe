"""In which proportion the losses of the tasks are to stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number

Preference: TypeAlias = Mapping[str, float]
"""A number for each task, all above 0: the direction in which the vector of the losses is to lie."""


def preference_of(weights: Mapping[str, float], balance: Named) -> Preference:
    """The preference of a balance over tasks in the order of the spec: its own, or the same number for all."""
    given = balance.arguments["preference"]
    numbers = given if isinstance(given, tuple) else (1.0,) * len(weights)
    return {task: number({task: each}, task) for task, each in zip(weights, numbers, strict=True)}
