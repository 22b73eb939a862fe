"""The linear assignment problem: which one for which, so that the sum is the largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assignment(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row of a square matrix (n, n) of finite numbers a column, each once, so that the sum of the entries is
    the largest there is: by shortest augmenting paths in O(n^3) (Jonker and Volgenant, 1987), as
    `scipy.optimize.linear_sum_assignment` does, which would be a dependency for this alone. Raises ValueError for other
    matrices."""
    if gain.ndim != 2 or gain.shape[0] != gain.shape[1] or not np.isfinite(gain).all():
        raise ValueError(f"a square matrix of finite numbers is assigned, not {gain.shape}")
    count = len(gain)
    rows, columns = np.zeros(count), np.zeros(count + 1)  # the prices; the last column is where a path begins
    row_of = np.full(count + 1, -1)
    for row in range(count):
        row_of[count], here = row, count
        least, before = np.full(count, np.inf), np.full(count, count)
        done = np.zeros(count + 1, dtype=bool)
        while row_of[here] >= 0:
            done[here] = True
            at = row_of[here]
            left = ~done[:count]
            reduced = -gain[at] - rows[at] - columns[:count]
            nearer = left & (reduced < least)
            least[nearer], before[nearer] = reduced[nearer], here
            free = np.flatnonzero(left)
            there = int(free[least[free].argmin()])
            step = least[there]
            rows[row_of[done]] += step
            columns[done] -= step
            least[free] -= step
            here = there
        while here != count:
            row_of[here] = row_of[before[here]]
            here = int(before[here])
    found = np.empty(count, dtype=np.int64)
    found[row_of[:count]] = np.arange(count)
    return found
