"""Differences of pairs: their mean, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, stdev

import attrs

LEVEL = 0.95
"""Of the intervals."""

FEWEST = 3
"""Pairs from which on anything is claimed of their mean."""


@attrs.frozen
class Paired:
    """The mean of so many numbers, its standard error, and the ends of the interval that holds the true mean with a
    probability of `LEVEL`, by Student's t. Of one number there are no more than that."""

    count: int
    mean: float
    error: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Paired | None:
        """That of some numbers; None where there are none."""
        if not numbers:
            return None
        count, mean = len(numbers), fmean(numbers)
        if count == 1:
            return cls(count, mean)
        error = stdev(numbers) / math.sqrt(count)
        reach = student_t(LEVEL, count - 1) * error
        return cls(count, mean, error, mean - reach, mean + reach)

    @property
    def above(self) -> bool:
        """Whether enough numbers show that the mean is above 0."""
        return self.count >= FEWEST and self.low is not None and self.low > 0

    @property
    def below(self) -> bool:
        """Whether they show that it is below."""
        return self.count >= FEWEST and self.high is not None and self.high < 0

    def told(self) -> str:
        """A difference in points, and how sure it is, where that is known."""
        count = f"{self.count} seed{'' if self.count == 1 else 's'}"
        if self.low is None or self.high is None:
            return f"{_signed(self.mean)} points ({count})"
        reach = f"{100 * LEVEL:.0f} % interval {_signed(self.low)} to {_signed(self.high)}"
        return f"{_signed(self.mean)} points ({reach}, {count})"


def _signed(number: float) -> str:
    return f"{round(number, 2) + 0.0:+.2f}"  # which has no -0.00


@cache
def student_t(level: float, freedom: int) -> float:
    """The t beyond which, on either side, a number of Student's distribution with so many degrees of freedom lies with
    a probability of `1 - level`; found by halves, for the probability grows with it."""
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """The probability that |t| is below sqrt(freedom) * tan(angle) (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for place in range(2 if odd else 1, freedom, 2):
        total += term
        term *= cosine**2 * place / (place + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
