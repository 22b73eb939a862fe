"""Delta-m: how much better than a baseline a multi-task network is, in percent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.objectives.metric_set import higher_is_better as direction
from mtsldsl.runtime.objectives.relative_gain import Results, relative_gain


@attrs.frozen
class Gain:
    """The mean relative gain over all tasks and that of each task, in percent; higher is better."""

    mean: float
    tasks: Mapping[str, float]


def delta_m(metrics: Results, baseline: Results, higher_is_better: Callable[[str], bool] = direction) -> Gain:
    """Delta-m of Maninis et al. 2019 (eq. 4), signed so that higher is better.

    A metric's gain is (value - baseline) / |baseline|, negated where lower is better; a task's gain is the mean over
    its metrics, Delta-m the mean over tasks, each in percent. `baseline` says which tasks and metrics count: what else
    `metrics` holds is left out. A baseline of 0 has no relative gain: NaN, unless the value is 0 as well.
    Raises MtlError MTL804 where a task or metric of the baseline is missing, or there is none.
    """
    if not baseline or not all(baseline.values()):
        raise MtlError.of(
            "MTL804", "the baseline has no metrics to compare with", "give each of its tasks at least one metric"
        )
    missing = [f"{task}.{key}" for task in baseline for key in baseline[task] if key not in metrics.get(task, {})]
    if missing:
        raise MtlError.of(
            "MTL804",
            f"{', '.join(missing)} of the baseline is not among the metrics compared with it",
            "compare runs of specs that have the same tasks and metrics",
        )
    tasks = {
        task: fmean(
            relative_gain(metrics[task][key], value, better_high=higher_is_better(key)) for key, value in values.items()
        )
        for task, values in baseline.items()
    }
    return Gain(fmean(tasks.values()), tasks)
