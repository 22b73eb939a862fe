"""A good partition of many tasks into at most s groups: average linkage, then local search.

For more tasks than can be searched exactly. Groups are joined by their mean similarity until s are left; then, as long
as the value of the partition rises, the best of all moves of one task and swaps of two is made. The start from the
partition found for s - 1 is tried as well, so that the value never falls with s. The result is a local optimum, not
proven to be the best. Sums are of integers that doubles hold exactly, so their order cannot decide.
"""

from __future__ import annotations

from math import frexp

import numpy as np

from mtsldsl.sharing.subsets import Groups, Integers, Matrix

_GAIN = 2.0**-20
"""The least gain, in units of a similarity's integer, that counts as one: above what a division rounds off."""


class LinkageSearch:
    """The local search over the partitions of T tasks, given their (T, T) finite similarities, zero diagonal."""

    def __init__(self, similarity: Matrix) -> None:
        self._pairs = _pairs(similarity)
        self._linked = _average_linkage(self._pairs)
        self._found: list[Integers] = [np.zeros(len(similarity), dtype=np.int64)]

    def best(self, groups: int) -> Groups:
        """The best partition into at most `groups` groups that was found."""
        while len(self._found) < groups:
            count = len(self._found) + 1
            starts = (self._found[-1], self._linked[count])
            ends = [self._climb(start, count) for start in starts]
            self._found.append(max(ends, key=self._value))
        return _as_groups(self._found[groups - 1])

    def second(self, partition: Groups, groups: int) -> Groups:
        """The best partition one move or swap away from `partition`, in at most `groups` groups."""
        labels = np.zeros(len(self._pairs), dtype=np.int64)
        for label, group in enumerate(partition):
            labels[list(group)] = label
        return _as_groups(self._neighbour(labels, groups)[1])

    def _climb(self, labels: Integers, groups: int) -> Integers:
        while True:
            gain, other = self._neighbour(labels, groups)
            if gain <= _GAIN:
                return labels
            labels = other

    def _value(self, labels: Integers) -> float:
        members = np.eye(int(labels.max()) + 1)[labels]
        inside = ((self._pairs @ members) * members).sum(axis=0) / 2
        # Sorted, so that the numbering of the groups cannot decide.
        return float(np.sort(_scores(inside, members.sum(axis=0))).sum())

    def _neighbour(self, labels: Integers, groups: int) -> tuple[float, Integers]:
        """The best single move or swap: what it gains, and the labels after it."""
        tasks = np.arange(len(labels))
        members = np.eye(groups)[labels]
        sizes = members.sum(axis=0)
        links = self._pairs @ members  # (T, groups): of each task to each group
        inside = (links * members).sum(axis=0) / 2
        scores = _scores(inside, sizes)
        own = links[tasks, labels]
        # Task i from its group to group b.
        left = _scores(inside[labels] - own, sizes[labels] - 1)
        moves = (left[:, None] + _scores(inside + links, sizes + 1)) - (scores[labels][:, None] + scores)
        moves[tasks, labels] = -np.inf
        moves[np.ix_(sizes[labels] == 1, sizes == 0)] = -np.inf  # the same partition
        # Task i and task j change places.
        across = links[:, labels].T  # [i, j]: of task j to the group of task i
        entered = _scores(inside[labels][:, None] - own[:, None] + across - self._pairs, sizes[labels][:, None])
        swaps = (entered + entered.T) - (scores[labels][:, None] + scores[labels])
        swaps[labels[:, None] == labels] = -np.inf
        swaps[np.ix_(sizes[labels] == 1, sizes[labels] == 1)] = -np.inf  # the same partition
        after = labels.copy()
        if moves.max() >= swaps.max():
            task, group = np.unravel_index(int(np.argmax(moves)), moves.shape)
            after[task] = group
            return float(moves.max()), after
        one, other = np.unravel_index(int(np.argmax(swaps)), swaps.shape)
        after[one], after[other] = labels[other], labels[one]
        return float(swaps.max()), after


def _scores(inside: np.ndarray, sizes: np.ndarray) -> Matrix:
    """The sum of a group's scores from the sum over its pairs and its size; a task alone scores nothing."""
    return np.where(sizes > 1, inside / np.maximum(sizes - 1, 1), 0.0)


def _pairs(similarity: Matrix) -> Matrix:
    """[i, j] + [j, i] as integers in doubles, small enough that the sum over all pairs is exact."""
    largest = float(np.abs(similarity).max())
    if largest == 0.0:
        return np.zeros_like(similarity)
    bits = 52 - frexp(largest)[1] - 2 * len(similarity).bit_length()
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


def _as_groups(labels: Integers) -> Groups:
    groups: dict[int, list[int]] = {}
    for task, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(task)
    return tuple(map(tuple, groups.values()))
