"""Which tasks are alike enough to share a layer: the exact grouping of a structural phase.

The rule is that of multi-task structural learning (Gurulingan, Arani and Zonooz, ICML 2023), over true set partitions.
The score of a task in a group is its mean similarity to the other members, of a task alone 0, or another number that is
asked for; the value of a partition is the mean score over the tasks. For s = 1, 2, ... T - 1 the best partition into at
most s groups is taken, until its value reaches the threshold; where none does, the last one stays. Of that partition
the groups of more than one task whose mean score is above the threshold are accepted.

Up to `EXACT_TASKS` tasks, or another number that is asked for, the best partition is found by dynamic programming over
subsets, in integers, so that the order of a sum cannot decide and the order of the tasks does not matter. Where
partitions tie, the one with the fewest groups is taken, then the one that comes first by the indices of the tasks
(`SubsetSearch.best`). No rule by index is the same for every order of the tasks, so callers pass the tasks sorted by
name. Beyond, a local search with restarts takes its place (`LinkageSearch`).
"""

from __future__ import annotations

from fractions import Fraction

import attrs
import numpy as np
from numpy.typing import ArrayLike

from mtsldsl.records import Record
from mtsldsl.sharing.exact import EXACT_TASKS, LEAST_EXACT_TASKS, MOST_EXACT_TASKS
from mtsldsl.sharing.linkage import LinkageSearch
from mtsldsl.sharing.subsets import Groups, Matrix, SubsetSearch


@attrs.frozen(eq=False, repr=False)
class GroupingDecision(Record):
    """How the tasks of one frontier set are grouped, and how near the decision was.

    Tasks are indices into the similarity matrix; groups and partitions are sorted. `runner_up` is the best other
    partition into at most max(s, 2) groups, s being the last entry of `trace` (for one or no task there is none);
    stopping at the first s that reaches the threshold, the decision can have a runner-up of higher value.
    `trace` lists every (s, value, partition) looked at. Where `exact` is False the partitions are the best that a
    local search found, not proven.
    """

    partition: Groups
    value: float
    accepted: Groups
    runner_up: Groups | None
    runner_up_value: float | None
    trace: tuple[tuple[int, float, Groups], ...]
    exact: bool


def group_tasks(
    similarity: ArrayLike, threshold: float, *, exact_tasks: int = EXACT_TASKS, alone: float = 0.0
) -> list[tuple[int, ...]]:
    """The accepted groups alone, each sorted, in sorted order.

    `similarity` is (T, T), its diagonal is not looked at, and of [i, j] and [j, i] the mean counts. Up to `exact_tasks`
    tasks, a number of 2 to 20, the grouping is proven to be the best; beyond, it is what a local search finds. `alone`
    is the score of a task alone: where it is 0, as in the paper, tasks that are like no other hold back a pair beside
    them, of three tasks one that is no more alike than the two other pairs together; where it is the threshold they do
    not. Raises ValueError where the similarity is not square, an entry off the diagonal, the threshold or `alone` is
    not a finite number, or `exact_tasks` is out of its range.
    """
    return list(decide_grouping(similarity, threshold, exact_tasks=exact_tasks, alone=alone).accepted)


def decide_grouping(
    similarity: ArrayLike, threshold: float, *, exact_tasks: int = EXACT_TASKS, alone: float = 0.0
) -> GroupingDecision:
    """The whole decision behind `group_tasks`; same arguments, same errors."""
    if not LEAST_EXACT_TASKS <= exact_tasks <= MOST_EXACT_TASKS:
        raise ValueError(
            f"exact_tasks must be a whole number of {LEAST_EXACT_TASKS} to {MOST_EXACT_TASKS}, not {exact_tasks}"
        )
    matrix = _checked(similarity)
    limit, single = Fraction(_finite(threshold)), Fraction(_finite(alone))
    tasks = len(matrix)
    if tasks < 2:
        return GroupingDecision(
            partition=tuple((task,) for task in range(tasks)),
            value=float(single),
            accepted=(),
            runner_up=None,
            runner_up_value=None,
            trace=(),
            exact=True,
        )
    exact = tasks <= exact_tasks
    above = _above(matrix, alone)
    search = SubsetSearch(above) if exact else LinkageSearch(above)
    scores = _Scores(matrix, single)
    trace: list[tuple[int, float, Groups]] = []
    for groups in range(1, tasks):
        partition = search.best(groups)
        value = scores.value(partition)
        trace.append((groups, float(value), partition))
        if value >= limit:
            break
    runner_up = search.second(partition, max(groups, 2))
    return GroupingDecision(
        partition=partition,
        value=float(value),
        accepted=tuple(group for group in partition if len(group) > 1 and scores.mean(group) > limit),
        runner_up=runner_up,
        runner_up_value=float(scores.value(runner_up)),
        trace=tuple(trace),
        exact=exact,
    )


def best_partition(similarity: ArrayLike, groups: int) -> Groups:
    """The partition of the highest value into at most `groups` groups, whatever its value; of equal ones that with the
    fewest. Up to `EXACT_TASKS` tasks it is proven to be the best. Same errors."""
    matrix = _checked(similarity)
    if len(matrix) < 2:
        return tuple((task,) for task in range(len(matrix)))
    search = SubsetSearch(matrix) if len(matrix) <= EXACT_TASKS else LinkageSearch(matrix)
    return search.best(min(groups, len(matrix)))


class _Scores:
    """Exact scores of groups of the doubles in a matrix, so that no rounding decides at the threshold."""

    def __init__(self, matrix: Matrix, alone: Fraction) -> None:
        rows: list[list[float]] = matrix.tolist()
        self._rows = rows
        self._alone = alone
        self._sums: dict[tuple[int, ...], Fraction] = {}

    def sum(self, group: tuple[int, ...]) -> Fraction:
        """The sum of the members' scores."""
        if len(group) < 2:
            return self._alone
        if group not in self._sums:
            ordered = (Fraction(self._rows[one][other]) for one in group for other in group if one != other)
            self._sums[group] = sum(ordered, Fraction(0)) / (len(group) - 1)
        return self._sums[group]

    def mean(self, group: tuple[int, ...]) -> Fraction:
        """The mean of the members' scores."""
        return self.sum(group) / len(group)

    def value(self, partition: Groups) -> Fraction:
        """The mean score over all tasks."""
        return sum(map(self.sum, partition), Fraction(0)) / len(self._rows)


def _above(matrix: Matrix, alone: float) -> Matrix:
    """How much more each pair is alike than a task alone scores: so a task alone scores 0, and the best partition is
    the same."""
    above: Matrix = matrix - alone
    np.fill_diagonal(above, 0.0)
    return above


def _checked(similarity: ArrayLike) -> Matrix:
    matrix = np.asarray(similarity).astype(np.float64)  # a copy; a torch tensor comes in by its own protocol
    if matrix.size == 0 and matrix.ndim <= 2 and (matrix.ndim < 2 or matrix.shape == (0, 0)):
        return np.zeros((0, 0))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"the similarity must be a square matrix, one row a task; its shape is {matrix.shape}")
    np.fill_diagonal(matrix, 0.0)
    if not np.isfinite(matrix).all():
        one, other = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise ValueError(f"the similarity of tasks {one} and {other} is {matrix[one, other]}, not a finite number")
    square: Matrix = matrix.reshape(len(matrix), len(matrix))
    return square


def _finite(threshold: float) -> float:
    number = float(threshold)
    if not np.isfinite(number):
        raise ValueError(f"the threshold, and the score of a task alone, must be finite numbers, not {threshold}")
    return number
