"""Losses that are not of one scale: the largest alone decides what tasks share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mtsldsl.diagnostics.bounded import named
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import together, wired

APART = 100.0
"""How many times another a loss counts, of tasks that share weights, so that it is said."""


def remark_on_scales(spec: Spec, losses: Mapping[str, float]) -> str | None:
    """What a person should know of the mean losses of an epoch, at the beginning of what the tasks share, under a
    balance that counts each as it is."""
    if spec.train.balance.name != "equal":
        return None
    counted = {task.name: task.weight * losses.get(task.name, math.nan) for task in spec.tasks}
    known = [task for task, loss in counted.items() if math.isfinite(loss) and loss > 0]
    for tasks in together(wired(spec), known):
        most = max(tasks, key=lambda task: counted[task])
        small = [task for task in tasks if counted[task] * APART <= counted[most]]
        if small:
            times = counted[most] / min(counted[task] for task in small)
            return (
                f"the loss of `{most}` counts up to {times:,.0f} times as much as that of {named(small)}, and "
                "decides alone what they share: take `balance = relative`, `uncertainty` or `famo`, or give a `weight`"
            )
    return None
