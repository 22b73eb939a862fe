"""Samples divided by a seed, and what the parts are called."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError

SPLITS = ("train", "validation", "test")

CALLED_ELSEWHERE = {
    "training": "train",
    **dict.fromkeys(("val", "valid", "dev", "eval"), "validation"),
    "testing": "test",
}
"""What other tools call the splits."""


@attrs.frozen
class Shares:
    """How samples are divided where nothing says it of each: the part of all for the test, the part of the others for
    validation, and how many of what is left are trained on, None for all; drawn by the seed."""

    validation: float
    test: float
    train_samples: int | None
    seed: int


def divided(
    count: int, part: float, seed: int, strata: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of all but a seeded part of so many samples, and those of that part, at least one; each in order.

    With `strata`, the number of each sample's class, the part has of each class as near to its share as whole samples
    allow: the whole number below the share or the one above it, that one for the classes with the largest rests.
    """
    held = max(1, round(count * part))
    order = np.random.default_rng(seed).permutation(count)
    if strata is not None:
        order = _evenly(order, strata, held)
    return np.sort(order[held:]), np.sort(order[:held])


def trained_on(
    count: int, wanted: int | None, seed: int, whole: str, strata: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The numbers of those of so many training samples that are used, in order: all, or as many as are wanted. Without
    `strata` those of a smaller number are among those of a larger one; with them each class has its share, as in
    `divided`. Raises MTL804 where `whole` has fewer.
    """
    if wanted is None:
        return np.arange(count)
    if wanted > count:
        cause = f"{whole} has {count} samples to train on, fewer than `train_samples = {wanted}`"
        raise MtlError.of("MTL804", cause, f"write at most {count}, or leave `train_samples` out")
    order = np.random.default_rng((seed, count)).permutation(count)
    return np.sort((order if strata is None else _evenly(order, strata, wanted))[:wanted])


def _evenly(order: NDArray[np.int64], strata: NDArray[np.int64], held: int) -> NDArray[np.int64]:
    """The samples of an order with those before the others whose classes have, in the first `held`, their shares."""
    _, first, of_class, counts = np.unique(strata[order], return_index=True, return_inverse=True, return_counts=True)
    wanted, rest = np.divmod(counts * held, len(order))
    largest = np.lexsort((first, -rest))  # of equal rests that of the class which comes first
    wanted[largest[: held - wanted.sum()]] += 1
    by_class = np.argsort(of_class, kind="stable")
    place = np.empty_like(order)
    place[by_class] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = place < wanted[of_class]
    return np.concatenate((order[taken], order[~taken]))
