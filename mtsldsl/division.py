"""Samples divided by a seed, and what the parts are called."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")

CALLED_ELSEWHERE = {
    "training": "train",
    **dict.fromkeys(("val", "valid", "dev", "eval"), "validation"),
    "testing": "test",
}
"""What other tools call the splits."""


def divided(count: int, part: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of all but a seeded part of so many samples, and those of that part, at least one; each in order."""
    held = max(1, round(count * part))
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])
