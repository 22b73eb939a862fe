"""Rays against rooms, boxes and spheres, for many images at once, in numpy.

Rays start at the origin and are scaled so that the parameter of a hit is its depth. `rays` are `(n, p, 3)` for `n`
images of `p` pixels, parameters of a shape `(n,)` or `(n, 3)`. A result is `(n, p)`, infinite where the shape is
missed. The frame is x right, y down, z forward.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

_Number = TypeVar("_Number", bound=np.generic)

NEAR = np.float32(0.05)
_TINY = np.float32(1e-9)
_FACE_NORMALS: Floats = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
_FACE_NORMALS[::2] *= -1


def inside_room(rays: Floats, low: Floats, high: Floats) -> tuple[Floats, Integers]:
    """Depth at which rays from inside the axis-aligned room reach it, and its face: 2 * axis, + 1 for the high side."""
    rays = _away_from_zero(rays)
    upward = rays > 0
    depths = np.where(upward, high[:, None, :], low[:, None, :]) / rays
    axis = depths.argmin(axis=-1)
    return _pick(depths, axis), 2 * axis + _pick(upward, axis)


def upon_box(rays: Floats, centre: Floats, half: Floats, angle: Floats) -> tuple[Floats, Integers]:
    """Depth of the first hit of a box turned by `angle` about the vertical, and its face, numbered as a room's."""
    directions = _away_from_zero(turned(rays, -angle))
    origin = -turned(centre[:, None, :], -angle)
    first = (-half[:, None, :] - origin) / directions
    second = (half[:, None, :] - origin) / directions
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    axis = enter.argmax(axis=-1)
    depth = _pick(enter, axis)
    hit = (depth < leave.min(axis=-1)) & (depth > NEAR)
    return np.where(hit, depth, np.float32(np.inf)), 2 * axis + _pick(directions < 0, axis)


def upon_sphere(rays: Floats, centre: Floats, radius: Floats) -> Floats:
    """Depth of the first hit of a sphere."""
    along = np.einsum("npi,ni->np", rays, centre)
    square = np.einsum("npi,npi->np", rays, rays)
    distance = (np.einsum("ni,ni->n", centre, centre) - radius**2)[:, None]
    discriminant = along**2 - square * distance
    depth = (along - np.sqrt(np.maximum(discriminant, 0))) / square
    return np.where((discriminant > 0) & (depth > NEAR), depth, np.float32(np.inf))


def turned(vectors: Floats, angle: Floats) -> Floats:
    """Vectors `(n, p, 3)` turned by `angle` `(n,)` about the vertical axis."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)


def face_normals(faces: Integers) -> Floats:
    """The outward unit normals of the numbered faces of a box, in its own frame."""
    return _FACE_NORMALS[faces]


def _away_from_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _pick(values: NDArray[_Number], axis: Integers) -> NDArray[_Number]:
    picked: NDArray[_Number] = np.take_along_axis(values, axis[..., None], axis=-1)[..., 0]
    return picked
