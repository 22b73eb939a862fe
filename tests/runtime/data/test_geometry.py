from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.datasets.nyuv2.load import derived_normals, open_recording
from mtsldsl.datasets.nyuv2.recordings import CAMERA, CROP
from mtsldsl.runtime.data.geometry import Camera, normals_from_depth
from mtsldsl.runtime.data.pictures import nearest
from tests.given import DATA, needs_data

SMALL = Camera(60.0, 62.0, 21.0, 14.0)
SAMPLES = DATA / "nyuv2" / "full_size_samples"
NAMES = ("0061", "0295", "0774", "1314")


def plane(normal: np.ndarray, distance: float, camera: Camera = SMALL) -> torch.Tensor:
    """Depth of the plane `normal . p = -distance`, 30 x 40."""
    return torch.from_numpy((-distance / (camera.rays(30, 40) @ normal)).astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(x=st.floats(-1, 1), y=st.floats(-1, 1), distance=st.floats(0.5, 5))
def test_a_plane_has_its_normal_everywhere(x: float, y: float, distance: float) -> None:
    normal = np.array([x, y, -1.0]) / np.linalg.norm([x, y, 1.0])
    depth = plane(normal, distance)
    assume(bool(((depth > 0.3) & (depth < 20)).all()))
    derived = normals_from_depth(depth, SMALL, tolerance=0.2)
    assert np.allclose(derived.permute(1, 2, 0).numpy(), normal, atol=5e-3)


def test_invalid_depth_has_no_normal_and_disturbs_no_other() -> None:
    normal = np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, 0.2, 1.0])
    depth = plane(normal, 2.0)
    depth[10:14, 5:30] = 0.0
    derived = normals_from_depth(depth, SMALL)
    assert not derived[:, 10:14, 5:30].any()
    valid = depth > 0
    assert np.allclose(derived[:, valid].T.numpy(), normal, atol=5e-3)


def test_a_pixel_alone_has_no_normal() -> None:
    depth = torch.zeros(9, 9)
    depth[4, 4] = 1.0
    assert not normals_from_depth(depth, SMALL).any()


def test_the_two_sides_of_an_occlusion_do_not_mix() -> None:
    front = np.array([0.0, 0.0, -1.0])
    slanted = np.array([0.6, 0.0, -0.8])
    depth = plane(slanted, 6.0)
    depth[:, :20] = 1.5
    derived = normals_from_depth(depth, SMALL).permute(1, 2, 0).numpy()
    assert np.allclose(derived[:, :20], front, atol=1e-3)
    assert np.allclose(derived[:, 20:], slanted, atol=1e-2)


def test_a_cropped_and_resized_camera_sees_the_same_points() -> None:
    full = CAMERA.rays(480, 640)
    cropped = CAMERA.cropped(40, 80).rays(400, 500)
    assert np.allclose(cropped, full[40:440, 80:580])
    halved = CAMERA.resized(0.5, 0.5).rays(240, 320)
    assert np.allclose(halved, full.reshape(240, 2, 320, 2, 3).mean(axis=(1, 3)))


def picture(name: str) -> np.ndarray:
    from PIL import Image

    with Image.open(SAMPLES / name) as image:
        return np.asarray(image)


def reference(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Reference normals in the frame x right, y down, z forward, `(3, 480, 640)`, and where they are valid."""
    coded = picture(f"{name}_normal_mask.png").astype(np.float32)
    valid = ~((coded >= 250).all(axis=-1) | (coded == 0).all(axis=-1))
    x, z, minus_y = np.moveaxis(coded / 127.5 - 1, -1, 0)
    normal = torch.nn.functional.normalize(torch.from_numpy(np.stack([x, -minus_y, z])), dim=0)
    # the reference stores (x, z, -y)
    return normal, torch.from_numpy(valid)


def median_angle(derived: torch.Tensor, name: str) -> float:
    normal, valid = reference(name)
    if derived.shape[1:] != normal.shape[1:]:
        size = (derived.shape[1], derived.shape[2])
        normal, valid = nearest(normal[:, CROP[0], CROP[1]], size), nearest(valid[CROP], size)
    cosine = (derived * normal).sum(dim=0).clamp(-1, 1)[valid & (derived != 0).any(dim=0)]
    return float(torch.rad2deg(torch.acos(cosine)).median())


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_derived_normals_are_close_to_the_reference_at_full_size(name: str) -> None:
    depth = torch.from_numpy(picture(f"{name}_depth_mm.png").astype(np.float32) / 1000)
    assert median_angle(normals_from_depth(depth, CAMERA), name) < 5


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_normals_derived_from_eight_bit_depth_are_close_to_the_reference(name: str) -> None:
    with open_recording(DATA / "nyuv2") as recording:
        depth = torch.from_numpy(recording.read(f"val/{name}", "depth", 0))
        assert median_angle(derived_normals(depth, (96, 128), recording.depth_step), name) < 10


@needs_data
def test_normals_of_a_cropped_full_image_are_close_to_the_reference_at_a_smaller_size() -> None:
    depth = torch.from_numpy(picture("0295_depth_mm.png").astype(np.float32) / 1000)
    assert median_angle(derived_normals(depth[CROP], (96, 128)), "0295") < 6
