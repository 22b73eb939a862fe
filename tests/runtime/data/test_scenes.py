from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mtsldsl.datasets.scenes.load import scenes
from mtsldsl.datasets.scenes.raytracing import CLASSES, camera_of, render
from mtsldsl.runtime.data.boundaries import boundaries
from mtsldsl.runtime.data.geometry import normals_from_depth

Scenes = dict[str, NDArray[np.generic]]
COUNT = 40


@pytest.fixture(scope="module")
def rendered() -> Scenes:
    return render(0, 0, COUNT, 64, 64)


def inner(edge: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Pixels whose four neighbours are, like themselves, on one surface."""
    grown = edge.astype(bool)
    padded = np.pad(grown, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=True)
    around = padded[..., :-2, 1:-1] | padded[..., 2:, 1:-1] | padded[..., 1:-1, :-2] | padded[..., 1:-1, 2:]
    return ~(grown | around)[:, 0]


def test_fields_have_the_documented_shapes_and_types(rendered: Scenes) -> None:
    assert {name: (array.shape, array.dtype.name) for name, array in rendered.items()} == {
        "image": ((COUNT, 3, 64, 64), "uint8"),
        "label": ((COUNT, 64, 64), "uint8"),
        "depth": ((COUNT, 1, 64, 64), "float32"),
        "normal": ((COUNT, 3, 64, 64), "float32"),
        "edge": ((COUNT, 1, 64, 64), "bool"),
    }


def test_every_class_is_seen_and_no_other(rendered: Scenes) -> None:
    shares = np.bincount(rendered["label"].ravel(), minlength=len(CLASSES)) / rendered["label"].size
    assert len(shares) == len(CLASSES)
    assert shares.min() > 0.02


def test_depth_is_that_of_a_room(rendered: Scenes) -> None:
    assert 0.3 < rendered["depth"].min() < 2
    assert 4 < rendered["depth"].max() < 12


def test_normals_are_unit_vectors_that_face_the_camera(rendered: Scenes) -> None:
    normal = rendered["normal"]
    assert np.allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    rays = camera_of(64, 64).rays(64, 64)
    assert np.einsum("nchw,hwc->nhw", normal, rays).max() < 1e-4


def test_normals_are_those_of_the_depth(rendered: Scenes) -> None:
    # by differences of neighbouring points, another way than the library's own
    points = rendered["depth"][:, 0, :, :, None] * camera_of(64, 64).rays(64, 64)
    across, down = np.gradient(points, axis=2), np.gradient(points, axis=1)
    crossed = np.cross(down, across)
    crossed /= np.linalg.norm(crossed, axis=-1, keepdims=True)
    cosine = np.einsum("nhwc,nchw->nhw", crossed, rendered["normal"])[inner(rendered["edge"])]
    angles = np.degrees(np.arccos(cosine.clip(-1, 1)))
    assert np.median(angles) < 0.5
    assert np.quantile(angles, 0.99) < 6


def test_fitted_normals_agree_with_the_rendered_ones(rendered: Scenes) -> None:
    for depth, normal, flat in zip(rendered["depth"], rendered["normal"], inner(rendered["edge"]), strict=True):
        derived = normals_from_depth(torch.from_numpy(depth[0]), camera_of(64, 64)).numpy()
        cosine = (derived * normal).sum(axis=0)[flat]
        assert np.degrees(np.arccos(np.median(cosine).clip(-1, 1))) < 1


def test_edges_are_wherever_labels_change(rendered: Scenes) -> None:
    label, edge = rendered["label"].astype(int), rendered["edge"][:, 0]
    for axis in (1, 2):
        changes = np.diff(label, axis=axis) != 0
        before = np.take(edge, range(63), axis=axis)
        after = np.take(edge, range(1, 64), axis=axis)
        assert (before | after)[changes].all()


def test_edges_are_wherever_depth_or_normals_jump_and_are_thin(rendered: Scenes) -> None:
    edge = rendered["edge"][:, 0]
    turn = (rendered["normal"][..., 1:] * rendered["normal"][..., :-1]).sum(axis=1) < 0.3
    flat = np.isin(rendered["label"], (0, 1, 2, 3))
    jumps = turn & flat[..., 1:] & flat[..., :-1]
    assert jumps.sum() > 100
    assert (edge[..., 1:] | edge[..., :-1])[jumps].all()
    assert 0.01 < edge.mean() < 0.12


def test_edges_of_a_mirrored_image_are_mirrored_edges() -> None:
    regions = np.random.default_rng(0).integers(0, 3, (5, 9, 11))
    assert np.array_equal(boundaries(regions)[..., ::-1], boundaries(regions[..., ::-1]))
    assert np.array_equal(boundaries(regions)[:, ::-1], boundaries(regions[:, ::-1]))


def test_an_edge_is_one_pixel_wide_on_the_side_of_the_greater_number() -> None:
    assert boundaries(np.array([[0, 0, 5, 5, 0]])).tolist() == [[False, False, True, True, False]]
    assert not boundaries(np.full((3, 4), 7)).any()


def test_the_image_shows_light_and_texture(rendered: Scenes) -> None:
    per_image = rendered["image"].reshape(COUNT, -1)
    assert (per_image.std(axis=1) > 8).all()
    assert ((per_image == 0) | (per_image == 255)).mean() < 0.05
    # further walls of a room are darker or lighter, never all alike: depth leaves a trace in the image
    brightness = rendered["image"].mean(axis=1)
    traces = [abs(np.corrcoef(b.ravel(), d.ravel())[0, 1]) for b, d in zip(brightness, rendered["depth"], strict=True)]
    assert np.mean(traces) > 0.2


def test_scenes_depend_on_the_seed_alone() -> None:
    first, again, other = render(1, 0, 3, 32, 32), render(1, 0, 3, 32, 32), render(2, 0, 3, 32, 32)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["depth"], other["depth"])


def test_more_scenes_begin_with_the_same_ones() -> None:
    few, many = render(1, 0, 3, 16, 16), render(1, 0, 40, 16, 16)
    assert all(np.array_equal(few[name], many[name][:3]) for name in few)


def test_no_scene_is_in_two_splits() -> None:
    splits = scenes(6, 5, 4, seed=3, height=16, width=16)
    assert [len(fields["image"]) for fields in splits.values()] == [6, 5, 4]
    images = torch.cat([fields["image"] for fields in splits.values()])
    assert len({bytes(image.numpy().tobytes()) for image in images}) == 15


def test_the_same_room_is_seen_at_every_size() -> None:
    small, large = render(4, 0, 2, 24, 32), render(4, 0, 2, 48, 64)
    assert np.median(np.abs(large["depth"][:, :, ::2, ::2] - small["depth"])) < 0.1
    assert (large["label"][:, ::2, ::2] == small["label"]).mean() > 0.9
