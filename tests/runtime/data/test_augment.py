from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.datasets.scenes.raytracing import camera_of, render
from mtsldsl.diagnostics import MtlError
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import named
from mtsldsl.language.schema import AUGMENTATIONS
from mtsldsl.runtime.data.augment import augment_batch
from mtsldsl.runtime.data.geometry import normals_from_depth
from tests.language.values import wrong
from tests.runtime.data.factories import LAYOUT, numbered_pixels

FLIP = Named("hflip", {"p": 1.0})


def scale(*factors: float) -> Named:
    return Named("random_scale", {"factors": factors})


def moved(
    steps: list[Named], seed: int = 0, count: int = 4, height: int = 12, width: int = 16
) -> dict[str, torch.Tensor]:
    return augment_batch(numbered_pixels(count, height, width), LAYOUT, steps, torch.Generator().manual_seed(seed))


def test_a_flip_mirrors_every_dense_field_and_negates_x_of_normals() -> None:
    before, after = numbered_pixels(4, 12, 16), moved([FLIP])
    for name in ("image", "label", "depth", "edge", "other"):
        assert torch.equal(after[name], before[name].flip(-1)), name
    assert torch.equal(after["normal"][:, 0], -before["normal"][:, 0].flip(-1))
    assert torch.equal(after["normal"][:, 1:], before["normal"][:, 1:].flip(-1))


def test_two_flips_give_the_batch_back() -> None:
    after = moved([FLIP, FLIP])
    for name, tensor in numbered_pixels(4, 12, 16).items():
        assert torch.equal(after[name], tensor), name


def test_a_flip_with_probability_zero_changes_nothing() -> None:
    after = moved([Named("hflip", {"p": 0.0})])
    assert torch.equal(after["normal"], numbered_pixels(4, 12, 16)["normal"])


def test_a_flip_without_arguments_mirrors_about_half_of_the_samples() -> None:
    after = moved([named(AUGMENTATIONS, "hflip")], count=200)
    mirrored = after["label"][:, 0, 0] != 0
    assert 70 < int(mirrored.sum()) < 130


def test_fields_without_height_and_width_stay_as_they_are() -> None:
    after = moved([FLIP, scale(2.0)])
    before = numbered_pixels(4, 12, 16)
    assert torch.equal(after["kind"], before["kind"])
    assert torch.equal(after["vector"], before["vector"])


def test_a_flipped_scene_has_the_normals_of_its_flipped_depth() -> None:
    scene = {name: torch.from_numpy(array) for name, array in render(3, 0, 2, 64, 64).items()}
    batch = {"depth": scene["depth"], "normal": scene["normal"], "edge": scene["edge"].float()}
    after = augment_batch(batch, LAYOUT, [FLIP], torch.Generator())
    for depth, normal, edge in zip(after["depth"], after["normal"], after["edge"], strict=True):
        derived = normals_from_depth(depth[0], camera_of(64, 64))
        agree = (derived * normal).sum(0)[edge[0] == 0]
        assert float(agree.median()) > 0.9999


def test_the_factor_one_changes_nothing() -> None:
    after = moved([scale(1.0, 1.0)])
    for name, tensor in numbered_pixels(4, 12, 16).items():
        assert torch.equal(after[name], tensor), name


def test_a_sample_with_the_factor_one_beside_an_enlarged_one_changes_nothing() -> None:
    after, before = moved([scale(1.0, 1.5)], count=32), numbered_pixels(32, 12, 16)
    kept = after["depth"][:, 0, -1, -1] == before["depth"][:, 0, -1, -1]
    assert 4 < int(kept.sum()) < 28
    assert torch.equal(after["label"][kept], before["label"][kept])
    assert torch.allclose(after["image"][kept], before["image"][kept], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    factor=st.floats(1.01, 4.0),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
    height=st.integers(2, 20),
    width=st.integers(2, 20),
)
def test_all_fields_of_a_sample_move_together(factor: float, flip: bool, seed: int, height: int, width: int) -> None:
    before = numbered_pixels(3, height, width)
    after = moved([scale(factor), *([FLIP] if flip else [])], seed, 3, height, width)
    source = after["label"].reshape(3, -1)

    def at_source(name: str) -> torch.Tensor:
        flat = before[name].reshape(3, before[name].shape[1], -1)
        return flat.gather(2, source[:, None].expand(-1, flat.shape[1], -1)).reshape(before[name].shape)

    assert torch.allclose(after["depth"] * factor, at_source("depth"), rtol=1e-5)
    assert torch.equal(after["edge"], at_source("edge"))
    assert torch.equal(after["other"], at_source("other"))
    normal = at_source("normal")
    assert torch.equal(after["normal"], normal * torch.tensor([-1.0, 1, 1]).view(1, 3, 1, 1) if flip else normal)
    # interpolated between pixels, so less than a pixel away from the nearest one
    away = (after["image"] - at_source("image")).abs()
    assert float(away[:, 0].max()) <= 0.5001 / width + 1e-5
    assert float(away[:, 1].max()) <= 0.5001 / height + 1e-5


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(1.0, 4.0), seed=st.integers(0, 1000))
def test_a_scale_shows_one_connected_part_of_the_sample_at_the_right_size(factor: float, seed: int) -> None:
    source = moved([scale(factor)], seed, 2, 24, 32)["label"]
    rows, columns = source // 32, source % 32
    assert bool((rows == rows[:, :, :1]).all())
    assert bool((columns == columns[:, :1]).all())
    for line, size in ((rows[:, :, 0], 24), (columns[:, 0], 32)):
        steps = line.diff(dim=1)
        assert int(steps.min()) >= 0
        assert int(steps.max()) <= 1
        seen = line[:, -1] - line[:, 0] + 1
        assert bool(((seen - size / factor).abs() < 2).all())


def test_a_scale_mixes_no_invalid_depth_and_no_unlike_normals() -> None:
    batch = numbered_pixels(8, 12, 16)
    batch["depth"][:, :, ::2] = 0.0
    batch["normal"][:, :, :, ::2] = 0.0
    after = augment_batch(batch, LAYOUT, [scale(1.7)], torch.Generator().manual_seed(1))
    assert int((after["depth"] == 0).sum()) > 0
    assert set(after["depth"].unique().tolist()) <= set((batch["depth"] / 1.7).unique().tolist())
    length = after["normal"].norm(dim=1)
    assert bool(((length == 0) | ((length - 1).abs() < 1e-5)).all())


def test_samples_of_a_batch_are_scaled_and_placed_each_for_itself() -> None:
    after = moved([scale(1.2, 1.5, 2.0)], count=32)
    assert len({tuple(label.flatten().tolist()) for label in after["label"]}) > 20


def test_the_same_random_numbers_give_the_same_batch() -> None:
    steps = [named(AUGMENTATIONS, "hflip"), scale(1.0, 1.2, 1.5)]
    first, again, other = moved(steps, 5), moved(steps, 5), moved(steps, 6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["label"], other["label"])


@pytest.mark.parametrize("step", [each for each in wrong(AUGMENTATIONS) if isinstance(each, Named)])
def test_what_no_spec_may_have_is_an_error_where_a_script_has_it(step: Named) -> None:
    with pytest.raises(MtlError, match="MTL202"):
        moved([step])
