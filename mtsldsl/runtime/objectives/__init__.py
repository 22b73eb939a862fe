"""Losses and metrics: every name of `mtsldsl.spec.targets.TARGETS`, on dense and on plain predictions."""

from __future__ import annotations

from mtsldsl.runtime.objectives.losses import Loss, make_loss
from mtsldsl.runtime.objectives.metrics import MetricSet, higher_is_better, make_metrics
from mtsldsl.runtime.objectives.totals import BatchLosses, LossTotals, task_losses
from mtsldsl.spec.targets import metric_key

__all__ = [
    "BatchLosses",
    "Loss",
    "LossTotals",
    "MetricSet",
    "higher_is_better",
    "make_loss",
    "make_metrics",
    "metric_key",
    "task_losses",
]
