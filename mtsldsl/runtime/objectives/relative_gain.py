"""How much better one value of a metric is than another."""

from __future__ import annotations

import math
from collections.abc import Mapping

Results = Mapping[str, Mapping[str, float]]
"""Metrics by task and then by key."""


def relative_gain(value: float, baseline: float, *, better_high: bool) -> float:
    """(value - baseline) / |baseline| in percent, negated where lower is better; NaN over a baseline of 0, unless the
    value is 0 as well."""
    if baseline == 0:
        return 0.0 if value == 0 else math.nan
    gain = 100 * (value - baseline) / abs(baseline)
    return gain if better_high else -gain
