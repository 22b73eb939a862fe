"""How many of some candidates go on after each halving, when, and what that costs; and which of some sizes is at the
knee."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import ceil


def halvings(count: int) -> tuple[int, ...]:
    """How many of so many shapes go on after each halving, until one is left."""
    found = []
    while count > 1:
        count //= 2
        found.append(count)
    return tuple(found)


def cost(count: int, first: Fraction) -> Fraction:
    """How many whole trainings of a shape it takes until one of so many has had its own: all train for the part `first`
    of the epochs, and after each halving for as long as before all together, so that what a shape has had doubles."""
    spent, ends = Fraction(0), Fraction(0)
    for place, training in enumerate((count, *halvings(count)[:-1]) if count > 1 else ()):
        end = first * 2**place
        spent += training * (end - ends)
        ends = end
    return spent + 1 - ends


LATEST = Fraction(1, 2)
"""The latest that a first halving is: what is left goes on for as long as it has learned."""


def latest(count: int) -> Fraction:
    """The part of the epochs after which so many shapes are halved for the first time, where that is to be as late as
    it can be without costing more than two whole trainings of a shape."""
    if count < 2:
        return LATEST
    return min(LATEST, 1 / (cost(count, Fraction(1)) - 1))  # the cost is linear in it, and 1 without any


def rungs(count: int, first: Fraction, epochs: int) -> tuple[int, ...]:
    """The epochs at whose end the worse half of so many shapes is dropped.

    The first is at the part `first` of all epochs, or earlier where that would be later than the `latest`; each further
    one after twice as many. Rounded down, but to different epochs.
    """
    steps = len(halvings(count))
    part = min(first, latest(count))
    found = accumulate((part * 2**place * epochs for place in range(steps)), max, initial=Fraction(0))
    ends: list[int] = []
    for end in list(found)[1:]:
        ends.append(max(int(end), ends[-1] + 1 if ends else 1))
    return tuple(ends)


def end_of_search(ends: Sequence[int], hard: Fraction, epochs: int) -> int:
    """The epoch at whose end all is chosen."""
    return max(*ends, ceil(hard * epochs), 1)


def knee(sizes: Sequence[int], scores: Sequence[float]) -> int:
    """Which of some networks, from the smallest to the largest, is at the knee of the curve: where what is gained, as a
    part of the most that any gains, exceeds by the most what is spent, as a part of what lies between the smallest and
    the largest (Satopää, Albrecht, Irwin and Raghavan, Finding a "Kneedle" in a Haystack, ICDCSW 2011). Less is better
    of the scores; of equal ones it is the smallest."""
    spread, size = max(scores) - min(scores), max(sizes) - min(sizes)
    gained = [(max(scores) - score) / spread if spread else 0.0 for score in scores]
    spent = [(each - min(sizes)) / size if size else 0.0 for each in sizes]
    return max(range(len(sizes)), key=lambda place: (gained[place] - spent[place], -place))
