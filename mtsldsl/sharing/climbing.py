"""Groups of tasks that may overlap, found by hill climbing, for more tasks than can be proven."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Members: TypeAlias = NDArray[np.bool_]
"""(groups, tasks): who is in which group."""

_STARTS = 60
_LOST = -1e6
"""The score of a task that no group serves, in units of the largest affinity."""


def climb(affinity: Floats, groups: int, *, alone: bool) -> Members:
    """The best of several choices that no change of one task's membership of one group betters.

    `affinity` is (T, T), that of a recipient in its row; its diagonal is the score of a task alone, if that may be a
    group. The starts are the same every time.
    """
    tasks = len(affinity)
    scaled = affinity / max(float(np.abs(affinity).max()), np.finfo(np.float64).tiny)
    chance = np.random.default_rng(tasks)
    best, highest = np.ones((1, tasks), dtype=bool), -np.inf
    for start in range(_STARTS):
        members = chance.random((groups, tasks)) < (start % 4 + 1) / 5
        members[0] |= ~members.any(0)
        found, total = _climbed(scaled, members, alone)
        if total > highest:
            best, highest = found, total
    return best


def _climbed(affinity: Floats, members: Members, alone: bool) -> tuple[Members, float]:
    total = float(_scores(affinity, members, alone).max(0).sum())
    while True:
        changed = members[:, None, :] ^ np.eye(len(affinity), dtype=bool)  # of each group and task: the group after it
        after = _scores(affinity, changed.reshape(-1, len(affinity)), alone).reshape(changed.shape)
        now = _scores(affinity, members, alone)
        others = np.stack([np.delete(now, group, 0).max(0, initial=_LOST) for group in range(len(members))])
        totals = np.maximum(after, others[:, None, :]).sum(2)
        group, task = divmod(int(totals.argmax()), len(affinity))
        if totals[group, task] <= total + 1e-12:
            return members, total
        members = members.copy()
        members[group, task] ^= True
        total = float(totals[group, task])


def _scores(affinity: Floats, members: Members, alone: bool) -> Floats:
    """(groups, tasks): the mean affinity of each member with the others, what is lost for who is none."""
    own = np.diagonal(affinity)
    sizes = members.sum(1, keepdims=True)
    found = (members @ affinity.T - members * own) / np.maximum(sizes - 1, 1)
    found = np.where(sizes == 1, own if alone else _LOST, found)
    scores: Floats = np.where(members, found, _LOST)
    return scores
