"""Procedural textures: plain, checks, stripes and smooth noise."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

TEXTURE_PARAMETERS = 10
"""Numbers in [0, 1) that make one texture: two colours, the pattern, its size, its angle and its place."""

Floats = NDArray[np.floating[Any]]


@attrs.frozen(eq=False)
class Texture:
    """The textures of `n` images with `s` surfaces each."""

    first: Floats  # (n, s, 3) colour
    second: Floats  # (n, s, 3)
    pattern: NDArray[np.int64]  # (n, s): 0 plain, 1 checks, 2 stripes, 3 noise
    size: Floats  # (n, s) metres
    angle: Floats  # (n, s)
    start: Floats  # (n, s)

    @classmethod
    def drawn(cls, uniform: Floats) -> Texture:
        """Textures from uniform random numbers `(n, s, TEXTURE_PARAMETERS)`."""
        first = uniform[..., 0:3]
        second = 0.45 * first + 0.55 * uniform[..., 3:6]
        return cls(
            first=first,
            second=second,
            pattern=(uniform[..., 6] * 4).astype(np.int64),
            size=0.2 + 0.4 * uniform[..., 7],
            angle=uniform[..., 8] * np.float32(np.pi),
            start=uniform[..., 9] * 64,
        )


def texture_of(texture: Texture, surface: NDArray[np.int64], place: Floats) -> Floats:
    """Colours `(n, p, 3)` at `place` (metres, `(n, p, 2)`) of the numbered surfaces `(n, p)`."""
    image = np.arange(len(surface))[:, None]
    angle, size, start = (values[image, surface] for values in (texture.angle, texture.size, texture.start))
    pattern = texture.pattern[image, surface]
    across = (np.cos(angle) * place[..., 0] + np.sin(angle) * place[..., 1]) / size + start
    down = (np.cos(angle) * place[..., 1] - np.sin(angle) * place[..., 0]) / size + start
    column, row = np.floor(across).astype(np.int64), np.floor(down).astype(np.int64)
    mix = np.select(
        [pattern == 1, pattern == 2, pattern == 3],
        [((column + row) % 2).astype(np.float32), (column % 2).astype(np.float32), _noise(across, down, column, row)],
        default=np.float32(0),
    )[..., None]
    colours: Floats = (1 - mix) * texture.first[image, surface] + mix * texture.second[image, surface]
    return colours


def _noise(across: Floats, down: Floats, column: NDArray[np.int64], row: NDArray[np.int64]) -> Floats:
    """Value noise: random numbers on a grid, interpolated smoothly."""
    x, y = _smooth(across - column), _smooth(down - row)
    upper = (1 - x) * _lattice(column, row) + x * _lattice(column + 1, row)
    lower = (1 - x) * _lattice(column, row + 1) + x * _lattice(column + 1, row + 1)
    noise: Floats = (1 - y) * upper + y * lower
    return noise


def _smooth(part: Floats) -> Floats:
    eased: Floats = (part * part * (3 - 2 * part)).astype(np.float32)
    return eased


def _lattice(column: NDArray[np.int64], row: NDArray[np.int64]) -> Floats:
    """A number in [0, 1) for each point of the grid, always the same."""
    mixed: NDArray[np.int64] = (column * 73856093) ^ (row * 19349663)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177 & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).astype(np.float32) / np.float32(65536)
