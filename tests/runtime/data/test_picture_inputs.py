"""Pictures as bytes, and samples with others in their place; no corruption is made here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Data
from mtsldsl.runtime.data import FieldKind, Samples, batches, picture_inputs
from mtsldsl.runtime.data.array_columns import Column, ColumnReader
from mtsldsl.runtime.data.picture_inputs import Pictures, pictures_in, with_pictures
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.data.samples import Scale
from tests.laws import law

LAYOUT = {"image": FieldKind.IMAGE, "row": FieldKind.PLAIN, "kind": FieldKind.LABEL, "size": FieldKind.PLAIN}
IMAGES = arrays_of.arrays(np.uint8, st.tuples(st.integers(1, 9), st.sampled_from((1, 3)), st.just(4), st.just(5)))


def in_memory(images: np.ndarray) -> Samples:
    count = len(images)
    fields = {
        "image": torch.from_numpy(images),
        "row": torch.randn(count, 3),
        "kind": torch.arange(count, dtype=torch.uint8),
        "size": torch.arange(count, dtype=torch.float32)[:, None] + 5,
    }
    return Samples(fields, LAYOUT, {"size": Scale((2.0,), (3.0,))})


def read_as_needed(samples: Samples) -> Samples:
    columns = {name: Column(tensor.numpy(), torch.from_numpy) for name, tensor in samples.fields.items()}
    read = ReadSamples.of(ColumnReader(columns), np.arange(len(samples)), LAYOUT).take(torch.arange(len(samples)))
    return ReadSamples(read.fields, LAYOUT, samples.scales)


def all_batches(samples: Samples, size: int) -> dict[str, torch.Tensor]:
    found = list(batches(samples, size))
    return {name: torch.cat([each[name] for each in found]) for name in found[0]}


@law(120)
@given(IMAGES, st.integers(1, 4), st.booleans())
def test_samples_with_their_own_pictures_are_the_same_to_the_bit(images: np.ndarray, size: int, read: bool) -> None:
    samples = read_as_needed(in_memory(images)) if read else in_memory(images)
    again = with_pictures(samples, {"image": torch.from_numpy(images.copy())}, {})
    expected, found = all_batches(samples, size), all_batches(again, size)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@law(120)
@given(IMAGES, st.integers(1, 4), st.booleans())
def test_other_pictures_change_nothing_else_and_what_is_kept_is_what_was(
    images: np.ndarray, size: int, read: bool
) -> None:
    samples = read_as_needed(in_memory(images)) if read else in_memory(images)
    before = all_batches(samples, size)
    found = all_batches(with_pictures(samples, {"image": torch.from_numpy(255 - images)}, {"was": "image"}), size)
    assert torch.allclose(found["image"], 1 - before["image"])
    assert torch.equal(found["was"], before["image"])
    assert all(torch.equal(found[name], before[name]) for name in ("row", "kind", "size"))


@law(120)
@given(IMAGES)
def test_numbers_from_0_to_1_are_the_bytes_that_they_come_from(images: np.ndarray) -> None:
    given = Pictures.of(in_memory(images), "image", "x")
    samples = in_memory(images).changed("image", lambda bytes: bytes.float() / 255)
    rounded = Pictures.of(samples, "image", "x")
    assert (given.pixels == images).all()
    assert (rounded.pixels == images).all()
    assert (given.rounded, rounded.rounded) == (False, True)
    assert given.digest == rounded.digest
    changed = images.copy()
    changed.flat[-1] ^= 1
    assert Pictures.of(in_memory(changed), "image", "x").digest != given.digest


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan"), 255.0])
def test_other_numbers_are_refused_with_the_sample(wrong: float) -> None:
    samples = in_memory(np.zeros((20, 3, 4, 5), np.uint8)).changed("image", torch.Tensor.float)
    samples.fields["image"][17, 2, 3, 4] = wrong
    with pytest.raises(MtlError, match=r"MTL815: `image` has numbers from .* in sample 17 \(from 0\) of the test samp"):
        Pictures.of(samples, "image", "the test samples")


def test_many_pictures_lie_in_a_file_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 5), dtype=np.uint8)
    expected = Pictures.of(in_memory(images), "image", "x")
    monkeypatch.setattr(picture_inputs, "LARGE", 100)
    found = Pictures.of(in_memory(images), "image", "x")
    assert isinstance(found.pixels, np.memmap)
    assert not isinstance(expected.pixels, np.memmap)
    assert (found.digest, bytes(found.pixels)) == (expected.digest, images.tobytes())


def data(*inputs: str) -> Data:
    written = ", ".join(inputs)
    given = f"[{written}]" if len(inputs) > 1 else written
    reads = "concat(meta) | linear(2)" if len(inputs) > 1 else "flatten | linear(2)"
    return loads(
        f'mtl 1\ndata arrays {{\n  path = "x.npz"\n  input = {given}\n}}\n'
        f"task size {{\n  target = values(2)\n  head = {reads}\n}}\n"
        "backbone {\n  hidden = flatten | linear(4)\n}\ntrain {\n  epochs = 1\n}\n"
    ).data


def test_pictures_are_inputs_of_one_or_three_channels() -> None:
    assert pictures_in(data("image(3, 8, 9)")) == ("image",)
    assert pictures_in(data("image(1, 8, 9)")) == ("image",)
    assert pictures_in(data("image(3, 8, 9)", "meta(4)")) == ("image",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("row(6)", "`row(6)` is no picture"),
        ("tokens(6, 4)", "`tokens(6, 4)` is no picture"),
        ("image(4, 8, 8)", "`image(4, 8, 8)` has 4 channels"),
        ("image(2, 8, 8)", "`image(2, 8, 8)` has 2 channels"),
    ],
)
def test_what_is_no_picture_is_refused(given: str, said: str) -> None:
    with pytest.raises(MtlError, match="MTL815") as caught:
        pictures_in(data(given))
    (found,) = caught.value.diagnostics
    assert found.cause.startswith(said)
    assert found.span is not None


def test_a_person_is_told_how_small_gray_and_rounded_pictures_were_corrupted() -> None:
    small = Pictures.of(in_memory(np.zeros((2, 1, 4, 40), np.uint8)).changed("image", torch.Tensor.float), "image", "x")
    told = list(small.notes("image"))
    assert len(told) == 3
    assert "4 x 40" in told[0]
    assert "mirrored at their borders to 32 x 40" in told[0]
    large = Pictures.of(in_memory(np.zeros((2, 3, 32, 32), np.uint8)), "image", "x")
    assert list(large.notes("image")) == []
