"""The best partition of the tasks into at most s groups, by dynamic programming over subsets.

With v(G) the sum of the scores of group G, the best sum for a set M of tasks in at most s groups is
`best[s](M) = max over G of v(G) + best[s - 1](M - G)`, where G are the subsets of M with at most |M| / s members, the
empty one among them: of s groups the smallest has no more, and a partition into fewer is in `best[s - 1]`. So s = 2
costs about 3^T / 6 sums, and all further s together about half as many. Similarities are integers here, scaled so that
the mean over any number of members is one too and no sum leaves 63 bits: the order of a sum cannot decide.
"""

from __future__ import annotations

from math import comb, frexp, lcm
from typing import TypeAlias

import numpy as np

Groups: TypeAlias = tuple[tuple[int, ...], ...]
"""A partition of the tasks' indices: sorted groups in sorted order."""

Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Integers: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


_BLOCK = 1 << 16
"""About so many sums are made at a time, so that they stay in the processor's cache."""


class SubsetSearch:
    """The exact search over the partitions of T >= 2 tasks, given their (T, T) finite similarities, zero diagonal.

    A set of tasks is a number with bit i for task i. The tables of best sums are for the sets without task 0, and
    indexed by half their number; they are built as far as they are asked for.
    """

    def __init__(self, similarity: Matrix) -> None:
        self._everyone = (1 << len(similarity)) - 1
        self._values = _group_values(similarity)
        self._tables = [np.ascontiguousarray(self._values[0::2])]  # in one group: the set itself
        self._sets = _sets_by_size(len(similarity) - 1)
        self._optimum: dict[int, int] = {}

    def best(self, groups: int) -> Groups:
        """The best partition into at most `groups` groups.

        Of equal ones that with the fewest groups, then that whose group of task 0 is the smallest number, and so on
        with the lowest task of the rest.
        """
        fewest = groups
        while fewest > 1 and self._best_sum(fewest - 1) == self._best_sum(groups):
            fewest -= 1
        return _as_groups(self._path(self._everyone, fewest))

    def second(self, partition: Groups, groups: int) -> Groups:
        """The best partition into at most `groups` groups other than `partition`, which has no more; groups >= 2."""
        rest, prefix = self._everyone, 0
        path: list[int] = []
        found: list[tuple[int, list[int]]] = []
        # Any other partition leaves this one at some group, and from there on it can only be the best.
        for group in partition:
            taken = sum(1 << task for task in group)
            candidates, sums = self._choices(rest, groups - len(path))
            others = candidates != taken
            if others.any():
                candidates, sums = candidates[others], sums[others]
                place = int(np.argmax(sums))
                other = int(candidates[place])
                end = self._path(rest ^ other, groups - len(path) - 1)
                found.append((prefix + int(sums[place]), [*path, other, *end]))
            prefix += int(self._values[taken])
            path.append(taken)
            rest ^= taken
        return _as_groups(max(found, key=lambda entry: entry[0])[1])

    def _best_sum(self, groups: int) -> int:
        if groups not in self._optimum:
            self._optimum[groups] = int(self._choices(self._everyone, groups)[1].max())
        return self._optimum[groups]

    def _path(self, members: int, groups: int) -> list[int]:
        """The groups of the best partition of `members` into at most `groups`, by their lowest task."""
        path: list[int] = []
        while members:
            candidates, sums = self._choices(members, groups - len(path))
            path.append(int(candidates[int(np.argmax(sums))]))
            members ^= path[-1]
        return path

    def _choices(self, members: int, groups: int) -> tuple[Integers, Integers]:
        """Every group for the lowest task of `members`, in rising order, and the best sum for `members` with it."""
        if groups == 1:
            candidates = np.array([members], dtype=np.int64)
            return candidates, self._values[candidates]
        lowest = members & -members
        rest = members ^ lowest
        size = rest.bit_count()
        candidates = lowest | _subsets(np.array([rest], dtype=np.int64), size, size)[:, 0]
        return candidates, self._values[candidates] + self._table(groups - 1)[(members ^ candidates) >> 1]

    def _table(self, groups: int) -> Integers:
        while len(self._tables) < groups:
            self._tables.append(self._with_one_group_more(self._tables[-1], len(self._tables) + 1))
        return self._tables[groups - 1]

    def _with_one_group_more(self, previous: Integers, groups: int) -> Integers:
        """The table for `groups` groups from that for one group less."""
        values, current = self._tables[0], previous.copy()
        for task in range(len(self._sets) - 1):  # it alone, which is worth nothing
            before, after = (table.reshape(-1, 2, 1 << task) for table in (previous, current))
            np.maximum(after[:, 1], before[:, 0], out=after[:, 1])
        for size in range(2 * groups, len(self._sets)):  # of fewer tasks the smallest of the groups is one task
            sets, most = self._sets[size], size // groups
            rows = max(1, _BLOCK // sum(comb(size, members) for members in range(most + 1)))
            for start in range(0, len(sets), rows):
                block = sets[start : start + rows]
                taken = _subsets(block, size, most)
                sums = values.take(taken)
                sums += previous.take(block ^ taken)
                current[block] = sums.max(axis=0)
        return current


def _subsets(sets: Integers, size: int, most: int) -> Integers:
    """For (n,) sets of `size` members their subsets of at most `most`: (number of those, n).

    Where that is all subsets, they rise in each column.
    """
    found, rest = np.zeros((1, len(sets)), dtype=np.int64), sets
    for _ in range(most):  # so far none is too large
        lowest = rest & -rest
        found, rest = np.concatenate([found, found | lowest]), rest ^ lowest
    if most == size:
        return found
    counts = _sizes(len(found))
    for _ in range(most, size):
        lowest = rest & -rest
        smaller = np.flatnonzero(counts < most)
        found, rest = np.concatenate([found, found[smaller] | lowest]), rest ^ lowest
        counts = np.concatenate([counts, counts[smaller] + 1])
    return found


def _sets_by_size(tasks: int) -> list[Integers]:
    """The sets of 0, 1, ... `tasks` tasks, rising."""
    sizes = _sizes(1 << tasks)
    return [np.flatnonzero(sizes == size) for size in range(tasks + 1)]


def _sizes(count: int) -> Integers:
    """How many members each of the sets 0, 1, ... count - 1 has; `count` is a power of two."""
    sizes = np.zeros(1, dtype=np.int64)
    while len(sizes) < count:
        sizes = np.concatenate([sizes, sizes + 1])
    return sizes


def _group_values(similarity: Matrix) -> Integers:
    """For each of the 2^T sets of tasks the sum of its members' scores, in integers of a common unit."""
    tasks = len(similarity)
    factor = lcm(*range(1, tasks))  # so that a mean over any number of other members is an integer
    pairs = _pairs(similarity, factor)
    sums = np.zeros(1, dtype=np.int64)
    for task in range(tasks):
        links = np.zeros(1, dtype=np.int64)  # of this task to each set of earlier ones
        for other in range(task):
            links = np.concatenate([links, links + pairs[task, other]])
        sums = np.concatenate([sums, sums + links])
    means: Integers = sums * (factor // np.maximum(_sizes(len(sums)) - 1, 1))
    return means


def _pairs(similarity: Matrix, factor: int) -> Integers:
    """[i, j] + [j, i] as (T, T) integers, of the finest unit in which `factor` times the value of any partition fits.

    It is at most 2^-38 of the largest similarity with 16 tasks, 2^-33 with 18 and 2^-28 with 20, and with up to 6 no
    more than the rounding of that one. The value of a partition is off by half a unit at most, so that of the best one
    found is at most a unit below the best there is.
    """
    largest = float(np.abs(similarity).max())
    if largest == 0.0:
        return np.zeros(similarity.shape, dtype=np.int64)
    # A pair is at most 2^(exponent + 1), and the scores of any number of tasks up to T, in groups of any sizes, add up
    # to at most T / 2 pairs: `factor` times that is below 2^62 in the unit, for every entry of every table.
    bits = 62 - frexp(largest)[1] - (factor * len(similarity)).bit_length()
    units: Integers = np.rint(np.ldexp(similarity, bits)).astype(np.int64)
    return units + units.T


def _as_groups(sets: list[int]) -> Groups:
    return tuple(tuple(task for task in range(members.bit_length()) if members >> task & 1) for members in sets)
