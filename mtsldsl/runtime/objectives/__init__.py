"""Losses and metrics: every name of `mtsldsl.language.targets.TARGETS`, on dense and on plain predictions."""

from __future__ import annotations

from mtsldsl.language.targets import metric_key
from mtsldsl.runtime.objectives.by_target import make_loss
from mtsldsl.runtime.objectives.losses import Loss
from mtsldsl.runtime.objectives.metric_set import MetricSet, Thresholds, higher_is_better
from mtsldsl.runtime.objectives.totals import BatchLosses, LossTotals, task_losses, taught_losses

__all__ = [
    "BatchLosses",
    "Loss",
    "LossTotals",
    "MetricSet",
    "Thresholds",
    "higher_is_better",
    "make_loss",
    "metric_key",
    "task_losses",
    "taught_losses",
]
