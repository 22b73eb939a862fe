from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.runtime.data.gray_images import area_averaged

SIDES = st.integers(1, 12)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**31))
def test_a_pixel_is_the_mean_of_the_area_that_it_covers(
    height: int, width: int, rows: int, columns: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    found = area_averaged(images, (rows, columns))
    # each pixel written as so many equal ones that both grids fall on the edges of them
    fine = images.repeat(rows, axis=1).repeat(columns, axis=2).astype(np.int64)
    sums = fine.reshape(3, rows, height, columns, width).sum(axis=(2, 4))
    assert np.array_equal(found, np.floor(sums / (height * width) + 0.5))
    assert found.dtype == np.uint8


@pytest.mark.parametrize("side", [28, 105, 300])
def test_a_flat_image_stays_what_it_is_at_any_size(side: int) -> None:
    for value in (1, 255):
        flat = np.full((2, side, side), value, dtype=np.uint8)
        assert (area_averaged(flat, (17, 32)) == value).all()
