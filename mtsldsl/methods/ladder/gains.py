"""By what shapes are compared: Delta-m, over the mean of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from mtsldsl.ir import Spec
from mtsldsl.runtime.objectives.metric_set import higher_is_better
from mtsldsl.runtime.objectives.relative_gain import Results

LEAST_MEAN = 0.1
"""A metric of which 1 is the best that there is may be near 0, as `r2` of a task that has learned nothing yet: a tenth
of the way is what the smallest differences are measured by."""


def judging(spec: Spec) -> list[str]:
    """The tasks by which shapes are compared: as in a study none that reconstructs an input, whose error in a network
    of its own is so small that any other is many times as large, and none that is not learned; but where there are no
    others."""
    tasks = [task.name for task in spec.tasks if task.weight]
    return [name for name in tasks if spec.task(name).target.kind != "reconstruct"] or tasks or list(spec.sharing.tasks)


def gains_over_mean(reached: Mapping[str, Sequence[Results]], tasks: Sequence[str]) -> dict[str, float]:
    """The Delta-m of each network over the mean of all of them, in percent: the mean over tasks, and for each over its
    metrics, of the relative gain, over `LEAST_MEAN` at least where more is better. Of each there are the metrics of
    some epochs, which count by their mean. One that is not finite for a network counts for none; NaN where none is
    left."""
    means = {
        name: {
            (task, key): fmean(found[task][key] for found in results)
            for task in tasks
            for key in results[0].get(task, {})
        }
        for name, results in reached.items()
    }
    gains: dict[str, dict[str, list[float]]] = {name: {} for name in means}
    for task, key in next(iter(means.values())):
        middle = fmean(found[task, key] for found in means.values())
        if not math.isfinite(middle):
            continue
        high = higher_is_better(key)
        scale = max(abs(middle), LEAST_MEAN) if high else abs(middle)
        for name, found in means.items():
            gain = 100 * (found[task, key] - middle) / scale if scale else 0.0
            gains[name].setdefault(task, []).append(gain if high else -gain)
    return {name: fmean(map(fmean, found.values())) if found else math.nan for name, found in gains.items()}
