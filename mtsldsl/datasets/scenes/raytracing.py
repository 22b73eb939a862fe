"""Rendered rooms: image, labels, depth, normals and edges that agree, with nothing to download.

Each image is the inside of a room with textured floor, ceiling and walls, in which boxes and balls stand, under a lamp,
cast ray by ray. An image depends on the seed, its split and its number alone.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.scenes.raycast import Floats, Integers, face_normals, inside_room, turned, upon_box, upon_sphere
from mtsldsl.datasets.scenes.textures import TEXTURE_PARAMETERS, Texture, texture_of
from mtsldsl.runtime.data.boundaries import boundaries
from mtsldsl.runtime.data.geometry import Camera

CLASSES = ("floor", "ceiling", "wall", "box", "sphere")
"""The class of each label."""

BOXES, SPHERES = 3, 3
"""At most so many of each in a room."""

_FLOOR_FACE, _CEILING_FACE = 3, 2
_SURFACES = 3 + BOXES + SPHERES
_SHAPE_PARAMETERS = 16 + 8 * (BOXES + SPHERES)
_CHUNK = 32
_NOISE = 0.012
FOCAL_LENGTH = 0.8
"""Of the camera, in image widths: about 64 degrees across."""


def camera_of(height: int, width: int) -> Camera:
    """The camera of every scene: square pixels, the principal point in the middle."""
    focal = FOCAL_LENGTH * width
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2)


def render(seed: int, split: int, count: int, height: int, width: int) -> dict[str, NDArray[np.generic]]:
    """`count` scenes of one split.

    `image` uint8 `(n, 3, h, w)`, `label` uint8 `(n, h, w)` with the index into `CLASSES`, `depth` float32
    `(n, 1, h, w)` in metres along the optical axis, `normal` float32 `(n, 3, h, w)` in the camera's frame (x right, y
    down, z forward), pointing at the camera, `edge` bool `(n, 1, h, w)`: where surfaces meet, at creases and at
    outlines.
    """
    parts = [
        _render_chunk(seed, split, range(start, min(start + _CHUNK, count)), height, width)
        for start in range(0, count, _CHUNK)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@attrs.frozen(eq=False)
class _Hits:
    """What the rays of `n` images of `p` pixels meet first."""

    depth: Floats  # (n, p)
    label: Integers  # (n, p)
    region: Integers  # (n, p): a number for each smooth surface
    surface: Integers  # (n, p): which texture
    normal: Floats  # (n, p, 3), in the room's frame
    place: Floats  # (n, p, 2): metres along the surface


def _render_chunk(seed: int, split: int, numbers: range, height: int, width: int) -> dict[str, NDArray[np.generic]]:
    generators = [np.random.Generator(np.random.PCG64([seed, split, number])) for number in numbers]
    drawn = _SHAPE_PARAMETERS + _SURFACES * TEXTURE_PARAMETERS
    uniform = np.stack([generator.random(drawn, dtype=np.float32) for generator in generators])
    noise = np.stack([generator.standard_normal((height * width, 3), dtype=np.float32) for generator in generators])
    shape, texture = uniform[:, :_SHAPE_PARAMETERS], uniform[:, _SHAPE_PARAMETERS:]

    rays = camera_of(height, width).rays(height, width).reshape(-1, 3).astype(np.float32)
    to_room = _orientation(shape[:, 0:3])
    room_rays = np.einsum("nij,pj->npi", to_room, rays)
    low, high = _room(shape[:, 3:9])
    hits = _cast(room_rays, low, high, shape[:, 16:])
    towards = np.where(np.einsum("npi,npi->np", hits.normal, room_rays)[..., None] > 0, -hits.normal, hits.normal)
    hits = attrs.evolve(hits, normal=towards)

    count = len(numbers)
    albedo = texture_of(Texture.drawn(_tinted(texture.reshape(count, _SURFACES, -1))), hits.surface, hits.place)
    image = _light(hits, room_rays, _lamp(low, high, shape[:, 9:12]), shape[:, 12], albedo) + _NOISE * noise
    normal = np.einsum("nji,npj->npi", to_room, hits.normal)
    regions = hits.region.reshape(count, height, width)
    return {
        "image": _planes((image.clip(0, 1) * 255).round().astype(np.uint8), height, width),
        "label": hits.label.reshape(count, height, width).astype(np.uint8),
        "depth": hits.depth.reshape(count, 1, height, width),
        "normal": _planes(normal.astype(np.float32), height, width),
        "edge": boundaries(regions)[:, None],
    }


def _cast(rays: Floats, low: Floats, high: Floats, shape: Floats) -> _Hits:
    depth, face = inside_room(rays, low, high)
    point = rays * depth[..., None]
    wall = (face != _FLOOR_FACE) & (face != _CEILING_FACE)
    label = np.where(wall, 2, np.where(face == _FLOOR_FACE, 0, 1))
    across = np.where(face >= 4, point[..., 0], point[..., 2])
    place = np.where(
        wall[..., None], np.stack([across, point[..., 1]], axis=-1), np.stack([point[..., 0], point[..., 2]], axis=-1)
    )
    hits = _Hits(depth, label, face, label, face_normals(face), place)
    objects = shape.reshape(len(shape), BOXES + SPHERES, 8)
    for index in range(BOXES):
        hits = _nearest(hits, *_box(rays, low, high, objects[:, index], index))
    for index in range(SPHERES):
        hits = _nearest(hits, *_sphere(rays, low, high, objects[:, BOXES + index], index))
    return hits


def _nearest(hits: _Hits, other: _Hits, there: NDArray[np.bool_]) -> _Hits:
    """The hits of both, where `other` is `there` at all, `(n,)`."""
    nearer = (other.depth < hits.depth) & there[:, None]
    return _Hits(
        depth=np.where(nearer, other.depth, hits.depth),
        label=np.where(nearer, other.label, hits.label),
        region=np.where(nearer, other.region, hits.region),
        surface=np.where(nearer, other.surface, hits.surface),
        normal=np.where(nearer[..., None], other.normal, hits.normal),
        place=np.where(nearer[..., None], other.place, hits.place),
    )


def _box(rays: Floats, low: Floats, high: Floats, shape: Floats, index: int) -> tuple[_Hits, NDArray[np.bool_]]:
    half = np.stack(
        [_between(shape[:, 0], 0.2, 0.7), _between(shape[:, 1], 0.2, 0.8), _between(shape[:, 2], 0.2, 0.7)], axis=-1
    )
    reach = np.hypot(half[:, 0], half[:, 2])
    centre = _standing(low, high, shape[:, 3:5], reach, half[:, 1])
    angle = shape[:, 5] * np.float32(np.pi)
    depth, face = upon_box(rays, centre, half, angle)
    normal = turned(face_normals(face), angle)
    point = turned(rays * np.where(np.isfinite(depth), depth, 1)[..., None] - centre[:, None, :], -angle)
    across = np.where(face < 2, point[..., 2], point[..., 0])
    down = np.where((face == 2) | (face == 3), point[..., 2], point[..., 1])
    place = np.stack([across, down], axis=-1)
    hits = _Hits(depth, np.full_like(face, 3), 6 + 6 * index + face, np.full_like(face, 3 + index), normal, place)
    return hits, shape[:, 6] < 0.8


def _sphere(rays: Floats, low: Floats, high: Floats, shape: Floats, index: int) -> tuple[_Hits, NDArray[np.bool_]]:
    radius = _between(shape[:, 0], 0.18, 0.6)
    lifted = np.where(shape[:, 1] < 0.3, shape[:, 2], 0).astype(np.float32)
    centre = _standing(low, high, shape[:, 3:5], radius, radius + lifted)
    depth = upon_sphere(rays, centre, radius)
    normal = rays * np.where(np.isfinite(depth), depth, 1)[..., None] - centre[:, None, :]
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    place = np.stack([np.arctan2(normal[..., 2], normal[..., 0]), normal[..., 1] * 1.5], axis=-1)
    place = place * radius[:, None, None]
    number = np.zeros(depth.shape, dtype=np.int64)
    hits = _Hits(depth, number + 4, number + 6 + 6 * BOXES + index, number + 3 + BOXES + index, normal, place)
    return hits, shape[:, 6] < 0.7


def _standing(low: Floats, high: Floats, shape: Floats, reach: Floats, above: Floats) -> Floats:
    """The centre of an object on the floor in front of the camera, `above` the floor and `reach` from the walls."""
    depth = _between(shape[:, 0], 1.5, 5.0)
    x = (shape[:, 1] - 0.5) * depth * 1.1
    return np.stack(
        [
            np.clip(x, low[:, 0] + reach, high[:, 0] - reach),
            high[:, 1] - above,
            np.clip(depth, 0.9 + reach, high[:, 2] - reach),
        ],
        axis=-1,
    ).astype(np.float32)


def _room(shape: Floats) -> tuple[Floats, Floats]:
    """The corners of the room, the camera being at the origin, low and then high coordinates, each `(n, 3)`."""
    width, tall = _between(shape[:, 0], 3.0, 6.0), _between(shape[:, 1], 2.4, 3.2)
    left = width * _between(shape[:, 2], 0.3, 0.7)
    eye = _between(shape[:, 3], 1.2, 1.8)
    ahead, behind = _between(shape[:, 4], 3.0, 7.0), _between(shape[:, 5], 0.3, 1.5)
    return np.stack([-left, eye - tall, -behind], axis=-1), np.stack([width - left, eye, ahead], axis=-1)


def _orientation(shape: Floats) -> Floats:
    """Rotations from the camera's frame to the room's, `(n, 3, 3)`: turned, looking a little down, hardly tilted."""
    yaw, pitch, roll = (
        _between(shape[:, 0], -0.7, 0.7),
        _between(shape[:, 1], -0.05, 0.3),
        _between(shape[:, 2], -0.05, 0.05),
    )
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def rows(*entries: Floats) -> Floats:
        matrices: Floats = np.stack(entries, axis=-1).reshape(-1, 3, 3)
        return matrices

    about_y = rows(np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw))
    about_x = rows(one, zero, zero, zero, np.cos(pitch), np.sin(pitch), zero, -np.sin(pitch), np.cos(pitch))
    about_z = rows(np.cos(roll), -np.sin(roll), zero, np.sin(roll), np.cos(roll), zero, zero, zero, one)
    rotation: Floats = about_y @ about_x @ about_z
    return rotation


def _lamp(low: Floats, high: Floats, shape: Floats) -> Floats:
    """Where the lamp hangs, `(n, 3)`: below the ceiling, somewhere over the middle of the room."""
    part = np.stack([_between(shape[:, 0], 0.25, 0.75), np.full(len(shape), 0.08), _between(shape[:, 2], 0.3, 0.7)], -1)
    lamp: Floats = (low + (high - low) * part).astype(np.float32)
    return lamp


def _light(hits: _Hits, rays: Floats, lamp: Floats, strength: Floats, albedo: Floats) -> Floats:
    """Lambert's law with a lamp that falls off with distance, and light from all sides, `(n, p, 3)`."""
    to_lamp = lamp[:, None, :] - rays * hits.depth[..., None]
    distance = np.linalg.norm(to_lamp, axis=-1)
    facing = np.einsum("npi,npi->np", to_lamp, hits.normal) / np.maximum(distance, 1e-6)
    direct = np.maximum(facing, 0) * _between(strength, 0.8, 1.2)[:, None] / (1 + (distance / 3.5) ** 2)
    lit: Floats = albedo * (0.3 + direct)[..., None]
    return lit


def _tinted(texture: Floats) -> Floats:
    """Brightness drawn from a range of its own for floors, ceilings and walls, so that colour tells something."""
    ranges = {0: (0.15, 0.6), 1: (0.7, 1.0), 2: (0.4, 0.95)}
    tinted = texture.copy()
    for surface, (least, most) in ranges.items():
        tinted[:, surface, :6] = _between(texture[:, surface, :6], least, most)
    return tinted


def _between(uniform: Floats, least: float, most: float) -> Floats:
    return (least + (most - least) * uniform).astype(np.float32)


def _planes(pixels: NDArray[np.generic], height: int, width: int) -> NDArray[np.generic]:
    return np.ascontiguousarray(pixels.reshape(len(pixels), height, width, 3).transpose(0, 3, 1, 2))
