"""What takes how long, compared with something measured beside it: no number of seconds holds on every machine.

Processor time is meant throughout, so that other processes count as little as can be.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeAlias

Measure: TypeAlias = Callable[[], float]
"""Does something once, and gives the seconds of processor time that it took."""

GROWTH = 2.5
"""How much longer twice as much may take: 2 is in proportion, 4 is quadratic."""

TRIES = 6

SOON = 0.01
"""Seconds below which once says little."""


def clocked(act: Callable[[], object]) -> Measure:
    """Measures this process. What is done in no time is done again, and the least counts.

    As in a short command, nobody looks for garbage meanwhile; here that would mean all that the tests have loaded.
    """

    def measure() -> float:
        taken: list[float] = []
        gc.disable()
        try:
            while sum(taken) < SOON:
                start = time.process_time()
                act()
                taken.append(time.process_time() - start)
        finally:
            gc.enable()
        return min(taken)

    return measure


def held_within(share: float, measured: Measure, reference: Measure) -> None:
    """Assert that something takes at most `share` times as long as its reference, the best of six tries of each."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(TRIES):
        theirs.append(reference())
        ours.append(measured())
        if min(ours) <= share * min(theirs):
            return
    raise AssertionError(f"{min(ours):.4f} s is {min(ours) / min(theirs):.2f} times {min(theirs):.4f} s, not {share:g}")


def held_in_proportion(make: Callable[[int], Measure], size: int) -> None:
    """Assert that what `make(size)` measures is at most 2.5 times what `make(size // 2)` does.

    A step lies between the two now and then, where a cache ends or where memory begins to be given back to the system
    each time; so it will also do if two doublings take at most 2.5 times each on average. What is quadratic takes four.
    """
    measured = make(size)
    try:
        held_within(GROWTH, measured, make(size // 2))
    except AssertionError:
        held_within(GROWTH**2, measured, make(size // 4))
