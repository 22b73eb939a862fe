"""Numbers of places as colours that a person can look at: an input, a target, or what is predicted of it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtsldsl.ir.task_record import Target
from mtsldsl.runtime.run.drawing import COLOURS

Numbers: TypeAlias = NDArray[np.float64]
Pixels: TypeAlias = NDArray[np.uint8]
"""(height, width, 3)."""

Ends: TypeAlias = tuple[float, float]
"""The least number and the largest."""

_MISSING = 0.6
"""The gray of what does not count."""


def pixels_of_input(numbers: Numbers) -> Pixels:
    """An input (channels, height, width): the first three channels as red, green and blue, or else the first as gray;
    0 to 1 is black to white, or what is wider."""
    low, high = min(0.0, float(numbers.min())), max(1.0, float(numbers.max()))
    channels = numbers[:3] if len(numbers) in (3, 4) else numbers[[0, 0, 0]]
    return _in_bytes((np.moveaxis(channels, 0, -1) - low) / (high - low))


def ends_of(target: Target, numbers: Numbers) -> Ends | None:
    """Between which numbers the colours of a target of values lie, by those of it that are no NaN; None where there is
    none, or the colours have a meaning of their own."""
    if target.kind != "values":
        return None
    known = numbers[np.isfinite(numbers)]
    return (float(known.min()), float(known.max())) if known.size else None


def pixels_of_target(target: Target, numbers: Numbers, ends: Ends | None) -> Pixels:
    """Numbers (height, width) or (channels, height, width), of which the first channel is drawn, or all of vectors; NaN
    is gray. `ends` are those of `ends_of`, of values."""
    from matplotlib import colormaps

    if target.kind == "unit_vectors":
        return _in_bytes(np.moveaxis(np.nan_to_num(numbers / 2 + 0.5, nan=_MISSING), 0, -1))
    if target.kind == "reconstruct":
        return pixels_of_input(numbers)
    plane = numbers if numbers.ndim == 2 else numbers[0]
    missing = ~np.isfinite(plane)
    known = np.where(missing, 0.0, plane)
    if target.kind == "classes":
        table = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in COLOURS])
        pixels = table[known.astype(np.int64) % len(COLOURS)].astype(np.uint8)
    else:
        low, high = ends or (0.0, 1.0)
        colours = colormaps["gray" if target.kind == "binary" else "viridis"]
        pixels = colours((known - low) / ((high - low) or 1.0), bytes=True)[..., :3]
    pixels[missing] = round(255 * _MISSING)
    return np.asarray(pixels, dtype=np.uint8)


def _in_bytes(colours: Numbers) -> Pixels:
    return np.asarray((colours * 255.0).round().clip(0, 255), dtype=np.uint8)
