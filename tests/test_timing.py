"""The bounds on time that the tests use can fail: what is quadratic does."""

from __future__ import annotations

import pytest

from tests.timing import clocked, held_in_proportion, held_within


def passes(count: int) -> None:
    for _ in range(count):
        pass


def test_what_is_in_proportion_is_held() -> None:
    held_in_proportion(lambda size: clocked(lambda: passes(1000 * size)), 1000)


def test_what_is_quadratic_is_not() -> None:
    with pytest.raises(AssertionError, match=r"not 6\.25"):
        held_in_proportion(lambda size: clocked(lambda: passes(size * size)), 2000)


def test_what_takes_longer_than_its_share_is_not() -> None:
    with pytest.raises(AssertionError, match="not 2"):
        held_within(2, clocked(lambda: passes(3_000_000)), clocked(lambda: passes(300_000)))
