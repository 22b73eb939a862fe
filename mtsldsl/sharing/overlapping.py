"""Which tasks to train together, from how much each helps each other: groups that may overlap, every task served by the
best of its own.

The score of a task in a group is its mean affinity with the other members (Fifty et al., 2021, section 3.2). At most so
many groups are chosen that the mean over the tasks of the best score that a chosen group gives them is the highest. A
member of a group that another serves better is there to help.

Up to `EXACT_TASKS` tasks the choice is proven: the tasks that a group serves are a part of a partition of all tasks, so
that dynamic programming over subsets finds it, in integers, which no order of a sum can round otherwise. Where several
choices have the same value, the one of the fewest groups is taken, then smaller groups, then what comes first by the
names of the tasks. Beyond, hill climbing from several starts takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

import attrs

from mtsldsl.records import Record
from mtsldsl.sharing.groups import Group, Groups
from mtsldsl.sharing.partition import Component

Affinity: TypeAlias = Mapping[str, Mapping[str, float]]
"""For each task how much every other one helps it: `affinity[recipient][donor]`."""

Singles: TypeAlias = Literal["never", "allowed"]

EXACT_TASKS = 13
"""Up to so many tasks the best choice is proven, in seconds."""


@attrs.frozen(eq=False, repr=False)
class Selection(Record):
    """Chosen groups, sorted, and what each serves: a task is served by one group of which it is a member."""

    groups: tuple[Component, ...]
    served: tuple[Component, ...]
    value: float
    """The mean score over the tasks, each where it is served."""
    exact: bool
    """Whether no other choice has a higher value; else it is the best that was found."""
    affinities: tuple[float, ...] = ()
    """Of each group the mean score of those that it serves."""

    def row(self, tasks: Sequence[str]) -> Groups:
        """The groups as a line of `sharing` has them: those that a group trains and does not serve help in it."""
        pairs = zip(self.groups, self.served, strict=True)
        rank = {task: place for place, task in enumerate(tasks)}
        return Groups(tuple(Group(served, members - served) for members, served in pairs)).reordered(rank)


def select_groups(affinity: Affinity, groups: int, singles: Singles = "never") -> tuple[frozenset[str], ...]:
    """The chosen groups, sorted; each serves some task.

    `affinity[recipient][donor]` is a finite number for every two tasks. At most `groups` are chosen. A task alone is no
    group, unless `singles` are "allowed": its score is then its affinity with itself, 0 where that is not given. Raises
    ValueError where a number is missing or is none, or where there are no such groups.
    """
    return decide_groups(affinity, groups, singles).groups


def decide_groups(affinity: Affinity, groups: int, singles: Singles = "never") -> Selection:
    """The whole decision behind `select_groups`; same arguments, same errors."""
    if singles not in ("never", "allowed"):
        raise ValueError(f'singles is "never" or "allowed", not {singles!r}')
    if not isinstance(groups, int) or groups < 1:
        raise ValueError(f"the number of groups is a whole number of 1 or more, not {groups!r}")
    tasks = tuple(sorted(affinity))
    if not tasks:
        return Selection((), (), 0.0, True)
    scores = _Scores(tasks, affinity, alone=singles == "allowed" or len(tasks) == 1)
    exact = len(tasks) <= EXACT_TASKS
    chosen = _best(scores, groups) if exact else _found(scores, groups)
    chosen.sort(key=lambda each: (sorted(_named(each[0], tasks)), sorted(_named(each[1], tasks))))
    named = [(_named(members, tasks), _named(served, tasks)) for members, served in chosen]
    total = sum(scores.of(members, served) for members, served in chosen)
    return Selection(
        tuple(frozenset(members) for members, _ in named),
        tuple(frozenset(served) for _, served in named),
        float(Fraction(total, scores.unit * len(tasks))),
        exact,
        tuple(scores.mean(members, served) for members, served in chosen),
    )


class _Scores:
    """The scores of tasks in groups, which are sets of bits, as whole numbers of 1/`unit`."""

    def __init__(self, tasks: Sequence[str], affinity: Affinity, *, alone: bool) -> None:
        self.tasks = len(tasks)
        self.alone = alone
        numbers = [[_number(affinity, one, other) for other in tasks] for one in tasks]
        size = math.lcm(*range(1, max(self.tasks, 2)))
        denominator = math.lcm(*(each.denominator for row in numbers for each in row))
        self.unit = size * denominator
        self._rows = [[int(each * denominator) for each in row] for row in numbers]
        self._size = size

    def numbers(self) -> list[list[float]]:
        """What a task gains by another, each task a row."""
        return [[float(Fraction(each * self._size, self.unit)) for each in row] for row in self._rows]

    def in_group(self, members: int) -> dict[int, int]:
        """The score of every member, by its bit."""
        places = [place for place in range(self.tasks) if members >> place & 1]
        if len(places) == 1:
            return {members: self._rows[places[0]][places[0]] * self._size}
        factor = self._size // (len(places) - 1)
        return {
            1 << place: factor * (sum(map(self._rows[place].__getitem__, places)) - self._rows[place][place])
            for place in places
        }

    def of(self, members: int, served: int) -> int:
        """The sum of the scores of those that a group serves."""
        return sum(score for bit, score in self.in_group(members).items() if bit & served)

    def mean(self, members: int, served: int) -> float:
        """The mean score of those that a group serves."""
        return float(Fraction(self.of(members, served), self.unit * served.bit_count()))

    def groups(self) -> Iterator[int]:
        """All that may be chosen: the small ones first, then by their members."""
        order = sorted(range(1, 1 << self.tasks), key=lambda mask: (mask.bit_count(), _places(mask)))
        return (mask for mask in order if self.alone or mask & (mask - 1))


def _number(affinity: Affinity, one: str, other: str) -> Fraction:
    value = affinity[one].get(other, 0.0 if one == other else None)
    if value is None:
        raise ValueError(f"nothing says how much {other} helps {one}")
    if not math.isfinite(value):
        raise ValueError(f"how much {other} helps {one} is {value}, not a finite number")
    return Fraction(value)


def _places(mask: int) -> tuple[int, ...]:
    return tuple(place for place in range(mask.bit_length()) if mask >> place & 1)


def _named(mask: int, tasks: Sequence[str]) -> tuple[str, ...]:
    return tuple(tasks[place] for place in _places(mask))


def _parts(mask: int) -> Iterator[int]:
    """The parts of a set that are not empty."""
    part = mask
    while part:
        yield part
        part = (part - 1) & mask


def _best(scores: _Scores, groups: int) -> list[tuple[int, int]]:
    """The best choice: for each group its members and those that it serves."""
    whole = (1 << scores.tasks) - 1
    value: dict[int, int] = {}
    by: dict[int, int] = {}
    for members in scores.groups():
        of_bit = scores.in_group(members)
        sums = {0: 0}
        for served in sorted(_parts(members)):
            low = served & -served
            sums[served] = found = sums[served ^ low] + of_bit[low]
            if served not in value or found > value[served]:
                value[served], by[served] = found, members
    best = [dict(value)]  # by how many groups, less one: the value of serving a set
    cuts: list[dict[int, int]] = [{}]
    for count in range(1, min(groups, scores.tasks)):
        before, now, cut = best[-1], dict(best[-1]), dict[int, int]()
        for tasks in [whole] if count + 1 == min(groups, scores.tasks) else range(1, whole + 1):
            low = tasks & -tasks
            for more in (*_parts(tasks ^ low), 0):
                first = more | low
                rest = tasks ^ first
                if rest and first in value and rest in before:
                    found = value[first] + before[rest]
                    if tasks not in now or found > now[tasks]:
                        now[tasks], cut[tasks] = found, first
        best.append(now)
        cuts.append(cut)
    left, chosen = whole, []
    for cut in reversed(cuts):
        first = cut.get(left, 0)
        if first:
            chosen.append((by[first], first))
            left ^= first
    return [*chosen, (by[left], left)]


def _found(scores: _Scores, groups: int) -> list[tuple[int, int]]:
    """A good choice: for each group its members and those that it serves best."""
    import numpy as np

    from mtsldsl.sharing.climbing import climb

    members = climb(np.array(scores.numbers()), groups, alone=scores.alone)
    masks = sorted({sum(1 << place for place in np.flatnonzero(row).tolist()) for row in members})
    served: dict[int, int] = {}
    for place in range(scores.tasks):
        bit = 1 << place
        serving = (mask for mask in masks if mask & bit and (scores.alone or mask != bit))
        best = max(serving, key=lambda mask: scores.in_group(mask)[bit])
        served[best] = served.get(best, 0) | bit
    return list(served.items())
