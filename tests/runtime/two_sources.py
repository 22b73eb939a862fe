"""Real digits and garments as two files of arrays, of pictures of two sizes, for the spec of `tests/ir/data_blocks.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.given import DATA, needs_data
from tests.ir.data_blocks import TWO

SMALL, LARGE = 130, 90


def save(folder: Path, *, large_size: int = 24) -> None:
    """`small.npz` with 130 digits of 16 x 16 in bytes, `large.npz` with 90 garments in numbers from 0 to 1. Skips the
    test where the data is not there."""
    if not DATA.is_dir():
        pytest.skip(needs_data.kwargs["reason"])
    with np.load(DATA / "mnist" / "mnist_12k_2k.npz") as digits:
        image, digit = digits["x_train"][:SMALL, None, 6:22, 6:22], digits["y_train"][:SMALL]
    np.savez(folder / "small.npz", image=image, digit=digit, ink=image.mean((2, 3), dtype=np.float32) / 64)
    with np.load(DATA / "fashion_mnist" / "fashion_12k_2k.npz") as garments:
        start = (28 - large_size) // 2
        cut = slice(start, start + large_size)
        image, letter = garments["x_train"][:LARGE, None, cut, cut], garments["y_train"][:LARGE] // 2
    np.savez(folder / "large.npz", image=(image / 255).astype(np.float32), letter=letter)


def written(folder: Path, text: str = TWO, *, large_size: int = 24) -> Path:
    """The data and a spec in a folder: the spec's path."""
    save(folder, large_size=large_size)
    path = folder / "two.mtl"
    path.write_text(text, encoding="utf-8")
    return path
