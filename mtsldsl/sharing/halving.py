"""How many of some candidates go on after each halving, when, and what that costs; and which of some sizes is at the
knee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, isfinite

LAST = Fraction(1, 2)
"""When the last two of more are compared, and the latest that any are: what is left goes on for as long as it has
learned."""


def halvings(count: int) -> tuple[int, ...]:
    """How many of so many shapes go on after each rung, until one is left: the better half, rounded down, but two until
    the last rung. Of three there is no other rung."""
    found = []
    while count > 3:
        count = max(2, count // 2)
        found.append(count)
    if count == 3 and found:
        found.append(2)
    return (*found, 1) if count > 1 else ()


def _ends(count: int, first: Fraction) -> list[Fraction]:
    """The parts of the epochs after which there are rungs: the part `first`, each further one after twice as much, and
    the last of several at `LAST`."""
    steps = len(halvings(count))
    return [first * 2**place if place < steps - 1 or steps == 1 else LAST for place in range(steps)]


def cost(count: int, first: Fraction) -> Fraction:
    """How many whole trainings of a shape it takes until one of so many has had its own, with a first rung after the
    part `first` of the epochs."""
    spent, before = Fraction(0), Fraction(0)
    for training, end in zip((count, *halvings(count)), _ends(count, first), strict=False):
        spent += training * (end - before)
        before = end
    return spent + 1 - before


def latest(count: int) -> Fraction:
    """The part of the epochs after which so many shapes are halved for the first time, where that is to be as late as
    it can be without costing more than two whole trainings of a shape."""
    without = cost(count, Fraction(0))
    more = cost(count, Fraction(1)) - without  # the cost is linear in it
    return min(LAST, (2 - without) / more) if more else LAST


def rungs(count: int, first: Fraction, epochs: int) -> tuple[int, ...]:
    """The epochs at whose end the worse half of so many shapes is dropped.

    The first is at the part `first` of all epochs, or earlier where that would be later than the `latest`; each further
    one after twice as many, the last of several at half of them. Rounded down, but to different epochs.
    """
    ends: list[int] = []
    for part in _ends(count, min(first, latest(count))):
        ends.append(max(int(part * epochs), ends[-1] + 1 if ends else 1))
    return tuple(ends)


def looks(end: int) -> range:
    """The epochs by which shapes are compared at a rung: the last quarter of those until then, one at least."""
    return range(end + 1 - max(1, end // 4), end + 1)


def chosen_after(hard: Fraction, epochs: int) -> int:
    """The epoch at whose end that part of the steps has been made."""
    return max(ceil(hard * epochs), 1)


def end_of_search(ends: Sequence[int], hard: Fraction, epochs: int) -> int:
    """The epoch at whose end all is chosen."""
    return max((*ends, chosen_after(hard, epochs)))


def best_within(own: Sequence[str], gains: Mapping[str, float]) -> list[str]:
    """What each of some budgets, from the smallest to the largest, takes: its `own` best, or that of a smaller budget,
    which fits it too, where it gains no less. What gains no number gains the least."""
    found: list[str] = []
    for name in own:
        gain = gains[name]
        better = not found or (isfinite(gain) and not gain <= gains[found[-1]])
        found.append(name if better else found[-1])
    return found


def knee(sizes: Sequence[int], gains: Sequence[float]) -> int:
    """Which of some networks, from the smallest to the largest, is at the knee of the curve: where what is gained, as a
    part of the most that any gains, exceeds by the most what is spent, as a part of what lies between the smallest and
    the largest (Satopää, Albrecht, Irwin and Raghavan, Finding a "Kneedle" in a Haystack, ICDCSW 2011). Of equal ones
    it is the smallest."""
    spread, size = max(gains) - min(gains), max(sizes) - min(sizes)
    gained = [(gain - min(gains)) / spread if spread else 0.0 for gain in gains]
    spent = [(each - min(sizes)) / size if size else 0.0 for each in sizes]
    return max(range(len(sizes)), key=lambda place: (gained[place] - spent[place], -place))
