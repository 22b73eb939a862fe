"""Edges between regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def boundaries(regions: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where regions meet, `(..., h, w)` integers to the same shape of booleans, one pixel wide.

    Of two adjacent pixels (above, below, left, right) in different regions, the one with the greater number is on the
    edge. Hence the edges of a mirrored image are the mirrored edges.
    """
    edges = np.zeros(regions.shape, dtype=bool)
    below, right = np.diff(regions.astype(np.int32), axis=-2), np.diff(regions.astype(np.int32), axis=-1)
    edges[..., 1:, :] |= below > 0
    edges[..., :-1, :] |= below < 0
    edges[..., :, 1:] |= right > 0
    edges[..., :, :-1] |= right < 0
    return edges
