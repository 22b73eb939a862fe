"""Means of paired differences, against tables and another way to compute them."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.runtime.studies.baselines.paired import FEWEST, LEVEL, Paired, student_t

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 10: 2.228, 15: 2.131, 30: 2.042, 100: 1.984}
"""Of Student's t at 0.975, as any book has them (Fisher and Yates 1963, table III)."""


def within(reach: float, freedom: int) -> float:
    """The part of Student's distribution in `[-reach, reach]`, by summing its density."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    places = np.linspace(0, reach, 20_001)
    density = scale * (1 + places**2 / freedom) ** (-(freedom + 1) / 2)
    return float(2 * np.trapezoid(density, places))


@pytest.mark.parametrize(("freedom", "known"), TABLE.items())
def test_the_table_of_students_t(freedom: int, known: float) -> None:
    assert round(student_t(0.95, freedom), 3) == known


@given(st.integers(1, 60), st.floats(0.5, 0.99))
def test_so_much_of_the_distribution_is_within(freedom: int, level: float) -> None:
    assert within(student_t(level, freedom), freedom) == pytest.approx(level, abs=1e-5)


def test_of_many_numbers_it_is_the_normal_one() -> None:
    assert student_t(LEVEL, 5000) == pytest.approx(NormalDist().inv_cdf((1 + LEVEL) / 2), abs=1e-3)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_the_interval_is_about_the_mean(numbers: list[float]) -> None:
    found = Paired.of(numbers)
    assert found is not None
    assert found.error is not None
    assert found.low is not None
    assert found.high is not None
    error = np.std(numbers, ddof=1) / np.sqrt(len(numbers))
    assert (found.count, found.mean) == (len(numbers), pytest.approx(np.mean(numbers), abs=1e-9))
    assert found.error == pytest.approx(error, abs=1e-9)
    assert found.high - found.mean == pytest.approx(found.mean - found.low, abs=1e-9)
    assert found.high - found.mean == pytest.approx(student_t(LEVEL, len(numbers) - 1) * error, abs=1e-6)
    assert found.above == (len(numbers) >= FEWEST and found.low > 0)
    assert found.below == (len(numbers) >= FEWEST and found.high < 0)


def test_darwins_plants() -> None:
    """Crossed against self-fertilised, in eighths of an inch: Fisher (1935, section 17) has a mean of 20.93 with t = 2.148,
    just beyond the 2.145 of 14 degrees of freedom."""
    found = Paired.of([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert found is not None
    assert found.error is not None
    assert found.low is not None
    assert found.mean == pytest.approx(20.933, abs=1e-3)
    assert found.mean / found.error == pytest.approx(2.148, abs=1e-3)
    assert 0 < found.low < 0.1
    assert found.above


def test_of_too_few_numbers_nothing_is_shown() -> None:
    assert Paired.of([]) is None
    one, two = Paired.of([5.0]), Paired.of([5.0, 5.0])
    assert one == Paired(1, 5.0)
    assert two is not None
    assert (one.above, two.above, two.low) == (False, False, 5.0)  # no spread, and yet too few


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    """Of 500 samples of 4 normal numbers, 95 %, give or take three deviations of that count."""
    chance = np.random.default_rng(0)
    found = [Paired.of(list(chance.normal(1, 2, 4))) for _ in range(500)]
    held = sum(
        each is not None and each.low is not None and each.high is not None and each.low < 1 < each.high
        for each in found
    )
    assert abs(held - 475) < 3 * math.sqrt(500 * 0.95 * 0.05)
