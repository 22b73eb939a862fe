"""The common corruptions of Hendrycks and Dietterich (ICLR 2019), as the library imagecorruptions makes them.

What is drawn at random depends on the seed, the corruption, its severity and the number of the sample alone, whatever
else is corrupted, and by however many processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.records import Record
from mtsldsl.runtime.data.drawing_apart import draw_from, drawing_apart
from mtsldsl.seeds import torch_seed_of

LEAST = 32
"""Pixels that either side of a picture has at least in the library."""

CHANNELS = (1, 3)
"""Those of pictures that are corrupted: gray, or red, green and blue."""

_WITH_A_SEED = ("impulse_noise", "glass_blur")
"""Those that draw from random numbers of their own, of a seed that is given."""

_GREEN = 1


@attrs.frozen(repr=False)
class Corruption(Record):
    """One of the library's corruptions at a severity of 1 to 5, drawn by a seed."""

    name: str
    severity: int
    seed: int

    def seed_for(self, number: int) -> int:
        """What the random numbers for the sample of that number begin with."""
        return torch_seed_of("corruption", self.seed, self.name, self.severity, number)


def corrupted(pictures: NDArray[np.uint8], corruption: Corruption, numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Pictures `(m, c, h, w)` of the samples of these numbers, corrupted, in memory of their own.

    One of less than `LEAST` pixels a side is mirrored at its borders up to that size, and cut back. A gray one is
    corrupted as three equal channels, of which the green is kept: their mean would have less noise.
    """
    from imagecorruptions import corrupt

    found = np.empty_like(pictures)
    with drawing_apart(), _without_threads():
        for place, number in enumerate(numbers):
            seed = corruption.seed_for(number)
            draw_from(seed)
            own = {"seed": seed & 0xFFFF_FFFF} if corruption.name in _WITH_A_SEED else {}
            given = np.ascontiguousarray(_enlarged(pictures[place]).transpose(1, 2, 0))
            made = corrupt(given, severity=corruption.severity, corruption_name=corruption.name, **own)
            found[place] = _cut_back(made.transpose(2, 0, 1), pictures.shape[1:])
    return found


def _margins(size: int) -> tuple[int, int]:
    """The pixels that a side lacks, before and behind."""
    lacking = max(0, LEAST - size)
    return lacking // 2, lacking - lacking // 2


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(picture, ((0, 0), *map(_margins, picture.shape[1:])), mode="symmetric")


def _cut_back(picture: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    channels, height, width = shape
    (row, _), (column, _) = _margins(height), _margins(width)
    chosen = slice(None) if channels > 1 else slice(_GREEN, _GREEN + 1)
    return picture[chosen, row : row + height, column : column + width]


@contextmanager
def _without_threads() -> Iterator[None]:
    """OpenCV computes in the thread that calls it: those that it starts are missing in a process that forks later."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
