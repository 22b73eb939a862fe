"""The metrics of a task, accumulated over a whole set and read once at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Task
from mtsldsl.language.targets import TARGETS, UNCHOSEN, metric_key, metric_rule
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.objectives.metrics import Measurement, columns_of


def higher_is_better(key: str) -> bool:
    """Whether larger values of the metric reported under that key are better.

    Raises MtlError MTL107 where no metric has that name.
    """
    rule = metric_rule(key)
    if rule is None:
        known = sorted({metric.name for kind in TARGETS.values() for metric in kind.metrics})
        raise MtlError.of("MTL107", f"no metric is called `{key}`", f"use one of {', '.join(known)}")
    return rule.higher_is_better


Thresholds: TypeAlias = Mapping[str, Sequence[float]]
"""Of the metrics of a task that are taken at the best threshold this, by column of the target: a yes is a probability
above it."""


class MetricSet:
    """The metrics of one task over one set. Its state lives on the device of the first batch.

    Metrics that are taken at the best threshold have the `thresholds` that are given, 0.5 where none is; or, with None,
    those that are best for this set."""

    def __init__(self, task: Task, thresholds: Thresholds | None = MappingProxyType({})) -> None:
        self.task = task
        self._given = thresholds
        self._measurements: dict[str, Measurement] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of `compute`, in the order of the spec."""
        return tuple(metric_key(metric) for metric in self.task.metrics)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch: the head's output `(n, c[, h, w])` and the target of the task's field. Does not synchronise."""
        if not self._measurements:
            self._measurements = _build(self.task, self._given, prediction.device)
        with torch.no_grad():
            pairs = OBJECTIVES[self.task.target.kind].pairs(self.task, prediction.detach(), target)
            for measurement in self._measurements.values():
                measurement.add(pairs)

    def compute(self) -> dict[str, float]:
        """Every metric over all batches since the last reset, the mean over its columns that have a value.

        A metric that nothing valid went into is NaN. Raises MtlError MTL804 where there was no batch.
        """
        return {name: _mean_of(values) for name, values in self.columns().items()}

    def columns(self) -> dict[str, list[float]]:
        """Every metric by column of the target, read from the device at once; one column where it takes all together.

        Raises MtlError MTL804 where there was no batch."""
        if not any(measurement.state.update_called for measurement in self._measurements.values()):
            raise MtlError.of(
                "MTL804",
                f"there was no batch to measure task `{self.task.name}` on",
                "give a set with at least one image",
                self.task.span,
            )
        read = [measurement.read().reshape(-1) for measurement in self._measurements.values()]
        values = iter(torch.cat([each.to(torch.promote_types(each.dtype, torch.float32)) for each in read]).tolist())
        return {
            name: [next(values) for _ in range(len(each))] for name, each in zip(self._measurements, read, strict=True)
        }

    def thresholds(self) -> dict[str, list[float]]:
        """Those at which the metrics are taken that have some, read from the device."""
        found = self._measurements.items()
        return {name: each.curve.thresholds() for name, each in found if each.curve is not None}

    @property
    def has_columns(self) -> bool:
        """Whether the target has several columns, which are measured each by itself."""
        return columns_of(self.task) > 1

    def reset(self) -> None:
        """Forget every batch."""
        for measurement in self._measurements.values():
            measurement.state.reset()

    def higher_is_better(self, name: str) -> bool:
        """Whether larger values of the metric of that key are better."""
        return higher_is_better(name)


def _mean_of(columns: list[float]) -> float:
    valued = [value for value in columns if not math.isnan(value)]
    return fmean(valued) if valued else math.nan


def _build(task: Task, thresholds: Thresholds | None, device: torch.device) -> dict[str, Measurement]:
    builders = OBJECTIVES[task.target.kind].metrics
    found = {metric_key(metric): builders[metric.name](task, metric, device) for metric in task.metrics}
    for name, each in found.items():
        if each.curve is not None and thresholds is not None:
            each.curve.fixed = thresholds.get(name, [UNCHOSEN] * columns_of(task))
    return found
