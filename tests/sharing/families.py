"""Random similarities of several kinds, on which the local search is held against the exact one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def uniform(rng: np.random.Generator, tasks: int) -> Matrix:
    """Every number from 0 to 1, and another one in each direction."""
    return rng.uniform(0, 1, (tasks, tasks))


def signed(rng: np.random.Generator, tasks: int) -> Matrix:
    """Every number from -1 to 1."""
    return rng.uniform(-1, 1, (tasks, tasks))


def latent(rng: np.random.Generator, tasks: int) -> Matrix:
    """Cosines of random directions in four dimensions, brought to 0 to 1, with a little noise."""
    factors = rng.normal(size=(tasks, 4))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    found: Matrix = np.clip((1 + factors @ factors.T) / 2 + rng.normal(0, 0.03, (tasks, tasks)), 0, 1)
    return found


def near(rng: np.random.Generator, tasks: int) -> Matrix:
    """Cosines of random directions in an octant of three dimensions: most are large, as those of real features."""
    factors = np.abs(rng.normal(size=(tasks, 3)))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    found: Matrix = factors @ factors.T
    return found


def blocks(rng: np.random.Generator, tasks: int) -> Matrix:
    """Two to five groups of alike tasks, with noise."""
    block = rng.integers(0, rng.integers(2, 6), tasks)
    found: Matrix = np.where(block[:, None] == block, 0.85, 0.4) + rng.normal(0, 0.12, (tasks, tasks))
    return found


FAMILIES: dict[str, Callable[[np.random.Generator, int], Matrix]] = {
    "uniform": uniform,
    "signed": signed,
    "latent": latent,
    "near": near,
    "blocks": blocks,
}
