"""The best partition of the tasks into at most s groups, by dynamic programming over subsets.

With v(G) the sum of the scores of group G, the best sum for a set M of tasks in at most s groups is
`best[s](M) = max over G of v(G) + best[s - 1](M - G)`, where G are the subsets of M that hold its lowest task, so that
every partition is looked at once: about 3^T / 6 sums for each s. Similarities are integers here, scaled so that the
mean over any number of members is one too and no sum leaves 63 bits: the order of a sum cannot decide.
"""

from __future__ import annotations

from math import frexp, lcm
from typing import TypeAlias

import attrs
import numpy as np

Groups: TypeAlias = tuple[tuple[int, ...], ...]
"""A partition of the tasks' indices: sorted groups in sorted order."""

Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Integers: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class SubsetSearch:
    """The exact search over the partitions of T >= 2 tasks, given their (T, T) finite similarities, zero diagonal.

    A set of tasks is a number with bit i for task i. The tables of best sums are for the sets without task 0, and
    indexed by half their number; they are built as far as they are asked for.
    """

    def __init__(self, similarity: Matrix) -> None:
        self._everyone = (1 << len(similarity)) - 1
        self._values = _group_values(similarity)
        self._tables = [np.ascontiguousarray(self._values[0::2])]  # in one group: the set itself
        self._layers: list[_Layer] = []
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
        candidates = _subsets_with_lowest(np.array([members], dtype=np.int64))[0]
        return candidates, self._values[candidates] + self._table(groups - 1)[(members ^ candidates) >> 1]

    def _table(self, groups: int) -> Integers:
        if groups > 1 and not self._layers:
            self._layers = _layers(self._values)
        while len(self._tables) < groups:
            previous = self._tables[-1]
            current = previous.copy()
            # A set of fewer tasks than groups gains nothing from one group more.
            for layer in self._layers[len(self._tables) :]:
                sums = previous[layer.rests]
                sums += layer.values
                current[layer.sets] = sums.max(axis=1)
            self._tables.append(current)
        return self._tables[groups - 1]


@attrs.frozen(eq=False)
class _Layer:
    """All sets of k tasks without task 0: `sets` (n,), and for each way to take the group of its lowest task the value
    of that group and what it leaves: `values` and `rests` (n, 2^(k - 1)). Sets are halved, as indices of a table."""

    sets: Integers
    rests: Integers
    values: Integers


def _layers(values: Integers) -> list[_Layer]:
    """The sets of 1, 2, ... T - 1 tasks."""
    sets = np.arange(len(values) // 2, dtype=np.int64)
    sizes = _sizes(len(sets))
    found = []
    for size in range(1, int(sizes[-1]) + 1):
        chosen = sets[sizes == size]
        groups = _subsets_with_lowest(chosen)
        found.append(_Layer(chosen, chosen[:, None] ^ groups, values[groups << 1]))
    return found


def _subsets_with_lowest(sets: Integers) -> Integers:
    """For (n,) sets of k members each the subsets that hold the lowest member: (n, 2^(k - 1)), rising in each row."""
    lowest = sets & -sets
    found, rest = lowest[:, None], sets ^ lowest
    while rest[0]:
        lowest = rest & -rest
        found, rest = np.concatenate([found, found | lowest[:, None]], axis=1), rest ^ lowest
    return found


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

    With 16 tasks it is at most 2^-38 of the largest similarity, with up to 6 no more than the rounding of that one.
    """
    largest = float(np.abs(similarity).max())
    if largest == 0.0:
        return np.zeros(similarity.shape, dtype=np.int64)
    # A pair is below 2^(exponent + 1), and the scores of T tasks add up to at most T / 2 pairs.
    bits = 62 - frexp(largest)[1] - (factor * len(similarity)).bit_length()
    units: Integers = np.rint(np.ldexp(similarity, bits)).astype(np.int64)
    return units + units.T


def _as_groups(sets: list[int]) -> Groups:
    return tuple(tuple(task for task in range(members.bit_length()) if members >> task & 1) for members in sets)
