"""A good partition of many tasks into at most s groups: local search from many starts.

For more tasks than are searched exactly. As long as the value of the partition rises, the best move of one task to
another group is made, or where no move raises it the best swap of two. The starts are the partition found for s - 1,
so that the value never falls with s; that of average linkage, which joins groups by their mean similarity until s are
left; random partitions; and the one for s - 1 with some tasks moved at random. The random numbers come from the number
of tasks and s alone, and the tasks are taken in an order by what is in the matrix, so that their own order does not
matter where no two rows hold the same numbers. The result is a local optimum, not proven to be the best.

Sums are of integers that doubles hold exactly, so their order cannot decide.
"""

from __future__ import annotations

from math import frexp
from typing import TypeAlias

import numpy as np

from mtsldsl.sharing.subsets import Groups, Integers, Matrix

Doubles: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_GAIN = 1.0
"""The least gain that counts as one, in units of `_pairs`: more than twice what roundings make of a gain of nothing."""

_MOVED = 0.3
"""The share of the tasks that get a random group, in the starts near the partition for one group less."""


class LinkageSearch:
    """The local search over the partitions of T tasks, given their (T, T) finite similarities, zero diagonal."""

    def __init__(self, similarity: Matrix) -> None:
        pairs = _pairs(similarity)
        self._order = np.lexsort(np.sort(pairs, axis=1).T)
        self._pairs = pairs[np.ix_(self._order, self._order)]
        self._linked = _average_linkage(self._pairs)
        self._found: list[Integers] = [np.zeros(len(similarity), dtype=np.int64)]

    def best(self, groups: int) -> Groups:
        """The best partition into at most `groups` groups that was found."""
        while len(self._found) < groups:
            ends = self._climb(self._starts(len(self._found) + 1), len(self._found) + 1)
            self._found.append(ends[int(np.argmax(self._values(ends)))])
        return self._as_groups(self._found[groups - 1])

    def second(self, partition: Groups, groups: int) -> Groups:
        """The best partition one move or swap away from `partition`, in at most `groups` groups.

        `partition` is what `best` gave for so many groups, or a single group where there may be two.
        """
        labels = np.zeros(len(self._pairs), dtype=np.int64)
        for label, group in enumerate(partition):
            labels[list(group)] = label
        return self._as_groups(self._neighbours(labels[self._order][None], groups)[1][0])

    def _starts(self, groups: int) -> Integers:
        """Where to climb from: (number of starts, T) labels."""
        count = len(self._pairs)
        rng = np.random.default_rng([count, groups])
        near = far = _restarts(count) // 2
        random = rng.integers(0, groups, (far + near, count))
        kept = rng.random((far + near, count)) >= _MOVED
        kept[:far] = False
        return np.concatenate([[self._found[-1], self._linked[groups]], np.where(kept, self._found[-1], random)])

    def _climb(self, labels: Integers, groups: int) -> Integers:
        """The local optimum that each row of labels leads to."""
        rising = np.arange(len(labels))
        while len(rising):
            gains, after = self._neighbours(labels[rising], groups)
            gained = gains > _GAIN
            rising = rising[gained]
            labels[rising] = after[gained]
        return labels

    def _values(self, labels: Integers) -> Doubles:
        """The sum of the scores of each row of labels."""
        members = np.eye(int(labels.max()) + 1)[labels]
        inside = ((self._pairs @ members) * members).sum(axis=1) / 2
        # Sorted, so that the numbering of the groups cannot decide.
        values: Doubles = np.sort(_scores(inside, members.sum(axis=1)), axis=1).sum(axis=1)
        return values

    def _neighbours(self, labels: Integers, groups: int) -> tuple[Doubles, Integers]:
        """For each of n rows of labels the best move, or the best swap where no move gains and that swap is better:
        what it gains, and the labels after it."""
        state = _State(self._pairs, labels, groups)
        rows = np.arange(len(labels))
        moves = state.moves().reshape(len(labels), -1)
        chosen = moves.argmax(axis=1)
        gains = moves[rows, chosen]
        after = labels.copy()
        after[rows, chosen // groups] = chosen % groups
        rows = np.flatnonzero(gains <= _GAIN)
        if len(rows):
            swaps = state.swaps(rows).reshape(len(rows), -1)
            chosen = swaps.argmax(axis=1)
            swapped = swaps[np.arange(len(rows)), chosen]
            better = swapped > gains[rows]
            rows, chosen = rows[better], chosen[better]
            one, other = chosen // len(self._pairs), chosen % len(self._pairs)
            gains[rows] = swapped[better]
            after[rows] = labels[rows]
            after[rows, one], after[rows, other] = labels[rows, other], labels[rows, one]
        return gains, after

    def _as_groups(self, labels: Integers) -> Groups:
        groups: dict[int, list[int]] = {}
        for task, label in sorted(zip(self._order.tolist(), labels.tolist(), strict=True)):
            groups.setdefault(label, []).append(task)
        return tuple(map(tuple, groups.values()))


class _State:
    """What moves and swaps of n partitions gain: (n, T) labels below `groups`, over (T, T) pairs."""

    def __init__(self, pairs: Matrix, labels: Integers, groups: int) -> None:
        members = np.eye(groups)[labels]
        self._pairs, self._labels = pairs, labels
        self._links = pairs @ members  # (n, T, groups): of each task to each group
        self._sizes = members.sum(axis=1)
        self._inside = (self._links * members).sum(axis=1) / 2
        self._scores = _scores(self._inside, self._sizes)
        # Of each task: the size and the score of its group, and the sum over the group's pairs without it.
        self._own_sizes = np.take_along_axis(self._sizes, labels, axis=1)
        self._own_scores = np.take_along_axis(self._scores, labels, axis=1)
        links = np.take_along_axis(self._links, labels[:, :, None], axis=2)[:, :, 0]
        self._without = np.take_along_axis(self._inside, labels, axis=1) - links

    def moves(self) -> Doubles:
        """[n, i, b]: task i from its group to group b; minus infinity where that is the same partition."""
        left = _scores(self._without, self._own_sizes - 1) - self._own_scores
        joined = _scores(self._inside[:, None] + self._links, self._sizes[:, None] + 1) - self._scores[:, None]
        gains: Doubles = left[:, :, None] + joined
        np.put_along_axis(gains, self._labels[:, :, None], -np.inf, axis=2)
        gains[(self._own_sizes == 1)[:, :, None] & (self._sizes == 0)[:, None]] = -np.inf
        return gains

    def swaps(self, rows: Integers) -> Doubles:
        """[n, i, j]: tasks i and j change places, in those rows; minus infinity where that is the same partition."""
        labels, sizes = self._labels[rows], self._own_sizes[rows][:, :, None]
        # [n, i, j]: of task j to the group of task i.
        across = np.take_along_axis(self._links[rows].transpose(0, 2, 1), labels[:, :, None], axis=1)
        entered = _scores(self._without[rows][:, :, None] + across - self._pairs, sizes)
        half = entered - self._own_scores[rows][:, :, None]
        gains: Doubles = half + half.transpose(0, 2, 1)
        gains[labels[:, :, None] == labels[:, None]] = -np.inf
        gains[(sizes == 1) & (sizes == 1).transpose(0, 2, 1)] = -np.inf
        return gains


def _restarts(tasks: int) -> int:
    """How many random starts there are for each number of groups; fewer from 20 tasks on, where each takes longer."""
    return max(4, min(64, 1280 // tasks))


def _scores(inside: Doubles, sizes: Doubles) -> Doubles:
    """The sum of a group's scores from the sum over its pairs and its size; a task alone scores nothing."""
    scores: Doubles = np.where(sizes > 1, inside / np.maximum(sizes - 1, 1), 0.0)
    return scores


def _pairs(similarity: Matrix) -> Matrix:
    """[i, j] + [j, i] as integers in doubles, small enough that sums over pairs are exact and gains nearly so.

    With T < 2^b a pair is at most 2^(51 - 2b), so a sum over all is below 2^50 and the sum of a group's scores below
    2^(50 - b). A gain is made of four of those: rounding four quotients and three sums changes it by less than
    2^-b, which is at most a quarter of a unit.
    """
    largest = float(np.abs(similarity).max())
    if largest == 0.0:
        return np.zeros_like(similarity)
    bits = 50 - frexp(largest)[1] - 2 * len(similarity).bit_length()
    units = np.rint(np.ldexp(similarity, bits))
    return units + units.T


def _average_linkage(pairs: Matrix) -> dict[int, Integers]:
    """For every number of groups the labels of the tasks, from all alone to all together."""
    count = len(pairs)
    sums = pairs.copy()
    sizes = np.ones(count)
    labels: Integers = np.arange(count, dtype=np.int64)
    found: dict[int, Integers] = {count: labels.copy()}
    alive = np.ones(count, dtype=bool)
    for left in range(count - 1, 0, -1):
        means = sums / np.outer(sizes, sizes)
        means[~alive] = -np.inf
        means[:, ~alive] = -np.inf
        np.fill_diagonal(means, -np.inf)
        kept, gone = sorted(map(int, np.unravel_index(int(np.argmax(means)), means.shape)))
        sums[kept] += sums[gone]
        sums[:, kept] += sums[:, gone]
        sizes[kept] += sizes[gone]
        alive[gone] = False
        labels[labels == gone] = kept
        found[left] = np.unique(labels, return_inverse=True)[1].reshape(-1)
    return found
