"""Inputs without labels: a network is given the numbers that it was trained on, or it is said why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data, Spec
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Shape
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.data.new_inputs import NewInputs, new_inputs
from tests.given import DATA, needs_data
from tests.records import data_of
from tests.runtime.data.factories import dense_tasks, spec, task
from tests.runtime.data.test_nyuv2 import image_files, write_folder
from tests.runtime.data.test_omniglot import BLACKFOOT, TINY, reading, write_folders

CPU = torch.device("cpu")
ROOT = data_of("arrays", "image", (3, 4, 6), 2)


def block(*shape: int, batch: int = 2) -> Data:
    return data_of("arrays", "image", shape, batch)


def given(inputs: NewInputs) -> torch.Tensor:
    """What a network is given, all batches together."""
    parts = list(inputs.batches(CPU))
    assert [number for samples, _ in parts for number in samples] == list(range(inputs.count))
    return torch.cat([batch[inputs.data.input] for _, batch in parts])


def trained_on(spec: Spec) -> torch.Tensor:
    """What it is given of the test samples where it is evaluated."""
    every = batches(load_data(spec, cache=False).test, 2)
    return torch.cat([batch[spec.data.input] for batch in every])


def refused(path: Path, data: Data = ROOT, **words: Any) -> str:
    with pytest.raises(MtlError) as caught:
        given(new_inputs(path, data, **words))
    return str(caught.value)


def array_of(dtype: str, count: int, shape: Shape) -> NDArray[Any]:
    random = np.random.default_rng(0)
    if dtype == "bool":
        return random.random((count, *shape)) > 0.5
    if dtype.startswith("uint"):
        return random.integers(0, np.iinfo(dtype).max, (count, *shape), endpoint=True).astype(dtype)
    return random.random((count, *shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 4, 6), (1, 4, 6), (5,), (4, 3)], ids=str)
def test_arrays_are_the_numbers_of_training(dtype: str, shape: Shape, tmp_path: Path) -> None:
    array = array_of(dtype, 9, shape)
    truth = np.zeros((9, 1), np.float32)
    splits = {"train": slice(0, 4), "test": slice(4, 9)}
    held = {
        f"{split}/{name}": each[part]
        for split, part in splits.items()
        for name, each in (("image", array), ("age", truth))
    }
    np.savez(tmp_path / "mine.npz", **held)  # type: ignore[arg-type]
    age = task("age", Target("values", 1), dense=False)
    expected = trained_on(spec("arrays", (age,), shape, path=str(tmp_path / "mine.npz")))
    np.save(tmp_path / "new.npy", array[4:])
    np.savez(tmp_path / "only.npz", other=array[4:])
    np.savez(tmp_path / "named.npz", other=array, image=array[4:])
    for name, called in (("new.npy", None), ("only.npz", None), ("named.npz", None), ("mine.npz", "test/image")):
        found = given(new_inputs(tmp_path / name, block(*shape), array=called))
        assert found.dtype == torch.float32
        assert found.stride() == expected.stride()
        assert torch.equal(found, expected)


def test_an_image_of_one_channel_may_be_without_it(tmp_path: Path) -> None:
    array = array_of("uint8", 5, (4, 6))
    np.save(tmp_path / "flat.npy", array)
    found = given(new_inputs(tmp_path / "flat.npy", block(1, 4, 6)))
    assert torch.equal(found, torch.from_numpy(array)[:, None] / 255)


def test_pictures_of_rooms_are_the_numbers_of_training(tmp_path: Path) -> None:
    rooms = spec("scenes", (dense_tasks(5)[1],), (3, 16, 24), images=40)
    images = load_data(rooms, cache=False).test.fields["image"].numpy()
    for number, image in enumerate(images):
        Image.fromarray(np.moveaxis(image, 0, -1)).save(tmp_path / f"{number}.png")
    assert torch.equal(given(new_inputs(tmp_path, rooms.data)), trained_on(rooms))


def test_photographs_at_another_size_are_the_numbers_of_training(tmp_path: Path) -> None:
    root = write_folder(tmp_path, image_files())
    photographs = spec("nyuv2", (dense_tasks(13)[1],), (3, 20, 28), root=str(root))
    found = new_inputs(root / "val" / "image", photographs.data, resize=True)
    expected = trained_on(photographs)
    assert found.count == len(expected) > 1
    assert torch.equal(given(found), expected)


@pytest.mark.parametrize("side", [28, 14])
def test_drawings_of_ink_are_the_numbers_of_training(side: int, tmp_path: Path) -> None:
    """The published pictures are black on white, and networks see ink as large numbers."""
    random = np.random.default_rng(0)
    write_folders(tmp_path, random.integers(0, 256, (14 * 20, 28, 28)).astype(np.uint8))
    drawings = spec("omniglot", (reading(TINY[0]),), (1, side, side), root=str(tmp_path))
    pictures = sorted((tmp_path / "images_background" / BLACKFOOT).glob("*/*.png"))
    every = torch.cat([given(new_inputs(path, drawings.data, resize=True)) for path in pictures[:40]])
    loaded = {image.numpy().tobytes() for _, split in load_data(drawings).named() for image in split.fields["image"]}
    assert every.shape == (40, 1, side, side)
    assert {(image * 255).round().to(torch.uint8).numpy().tobytes() for image in every} <= loaded


@needs_data
def test_real_digits_as_pictures_are_the_numbers_of_training(tmp_path: Path) -> None:
    digits = spec("mnist", (task("digit", Target("classes", 10), dense=False),), (1, 20, 20), root=str(DATA / "mnist"))
    with np.load(DATA / "mnist" / "mnist_12k_2k.npz") as file:
        for number, image in enumerate(file["x_test"][:30]):
            Image.fromarray(image.reshape(28, 28)).save(tmp_path / f"{number:02}.png")
    found = given(new_inputs(tmp_path, digits.data, resize=True))
    images = load_data(digits, cache=False).test.fields["image"][:30]
    assert torch.equal(found, images.float() / 255)


# Pictures -------------------------------------------------------------------------------------------------------------


def save(path: Path, *shape: int, mode: str | None = None, top: int = 256) -> NDArray[Any]:
    """A picture of random numbers, and these."""
    pixels = np.random.default_rng(1).integers(0, top, shape).astype(np.uint16 if top > 256 else np.uint8)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return pixels


def test_a_gray_picture_has_three_equal_channels(tmp_path: Path) -> None:
    pixels = save(tmp_path / "gray.png", 4, 6)
    found = given(new_inputs(tmp_path / "gray.png", block(3, 4, 6)))
    assert torch.equal(found, (torch.from_numpy(pixels) / 255).expand(1, 3, 4, 6))
    assert torch.equal(given(new_inputs(tmp_path / "gray.png", block(1, 4, 6))), found[:, :1])


def test_sixteen_bits_are_divided_by_their_largest_number(tmp_path: Path) -> None:
    pixels = save(tmp_path / "deep.png", 4, 6, top=65536)
    found = given(new_inputs(tmp_path / "deep.png", block(1, 4, 6)))
    np.testing.assert_array_equal(found[0, 0].numpy(), pixels.astype(np.float32) / np.float32(65535))
    save(tmp_path / "plain.png", 4, 6)
    both = given(new_inputs(tmp_path, block(1, 4, 6)))  # in one batch
    assert torch.equal(both[:1], found)
    assert both[1].max() > 0.5
    assert "16 bits" in refused(tmp_path / "deep.png", block(1, 2, 3), resize=True)


def test_black_and_white_is_0_and_1(tmp_path: Path) -> None:
    save(tmp_path / "page.png", 4, 6, mode="1")
    assert set(given(new_inputs(tmp_path / "page.png", block(1, 4, 6))).unique().tolist()) == {0, 1}


def test_a_picture_is_upright_as_viewers_show_it(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 5] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # held with its right side up
    Image.fromarray(pixels).save(tmp_path / "held.png", exif=exif)
    found = given(new_inputs(tmp_path / "held.png", block(3, 6, 4)))
    assert torch.equal(found[0, 0], torch.from_numpy(np.rot90(pixels[..., 0], -1) / np.float32(255)))
    assert "is 6 x 4" in refused(tmp_path / "held.png")


@pytest.mark.parametrize(
    ("channels", "pixels", "said"),
    [
        (1, (4, 6, 3), "RGB, which does not say what 1 channel"),
        (4, (4, 6, 3), "RGB, which does not say what 4 channels"),
        (3, (4, 6, 4), "transparent in parts"),
        (2, (4, 6), "the input has 2 channels"),
        (3, (5, 6, 3), "is 5 x 6 (height x width), but the input is 4 x 6"),
    ],
)
def test_a_picture_that_says_not_what_the_network_is_to_see_is_refused(
    channels: int, pixels: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    save(tmp_path / "odd.png", *pixels)
    told = refused(tmp_path, block(channels, 4, 6))
    assert "MTL602" in told
    assert "odd.png" in told
    assert said in told


def test_one_that_is_nowhere_transparent_is_read(tmp_path: Path) -> None:
    pixels = save(tmp_path / "flat.png", 4, 6, 3, mode="RGBA")
    found = given(new_inputs(tmp_path / "flat.png", ROOT))
    assert torch.equal(found[0], torch.from_numpy(np.moveaxis(pixels, -1, 0)) / 255)
    assert given(new_inputs(tmp_path / "flat.png", block(4, 4, 6)))[0, 3].unique().tolist() == [1]


def test_files_are_sorted_by_name_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "C.JPEG", "10.png", "9.png"):
        save(folder / name, 4, 6, 3)
    (folder / "notes.txt").write_text("")
    found = new_inputs(folder, ROOT)
    assert found.names == ("10.png", "9.png", "C.JPEG", "a.jpg", "b.png")
    (remark,) = found.remarks
    assert "`more`, `notes.txt`" in remark
    (folder / "empty.png").write_bytes(b"")
    assert "empty.png` is no whole picture" in refused(folder)


def test_no_more_pictures_are_in_memory_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        save(tmp_path / f"{number}.png", 4, 6, 3)
    inputs = new_inputs(tmp_path, ROOT)
    every = inputs.batches(CPU)
    assert [len(next(every)[1][inputs.data.input]) for _ in range(2)] == [2, 2]
    (tmp_path / "4.png").unlink()  # read when its batch comes
    with pytest.raises(MtlError, match=r"4\.png"):
        next(every)


SKIPS = data_of("arrays", "image", (3, 4, 6), 2, on_error="skip")


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_that_cannot_be_used_are_left_out_where_the_block_says_so(tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = [save(folder / f"{number}.png", 4, 6, 3) for number in range(5)]
    save(folder / "3.png", 5, 5, 3)
    whole = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(whole[:-30])  # its head is sound
    found = new_inputs(folder, SKIPS, workers=workers)
    assert (found.count, found.names) == (3, ("0.png", "2.png", "4.png"))
    assert [found.name(number) for number in range(3)] == ["0.png", "2.png", "4.png"]
    (remark,) = found.remarks
    assert remark.startswith(f"2 of 5 samples of `{folder}` are left out, as `on_error = skip` says: `1.png`, `3.png`;")
    assert "1.png` is no whole picture" in remark
    wanted = torch.stack([torch.from_numpy(np.moveaxis(pixels[number], -1, 0)) for number in (0, 2, 4)]) / 255
    assert torch.equal(given(found), wanted)
    assert "1.png` is no whole picture" in refused(folder, workers=workers)
    with pytest.raises(MtlError, match=r"MTL804: no sample of `.*1.png` can be used: 1 of 1 samples? of .* left out"):
        new_inputs(folder / "1.png", SKIPS, workers=workers)


def test_rows_of_arrays_that_cannot_be_used_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((5, 3, 4, 6), dtype=np.float32)
    image[1, 0, 2, 3] = np.nan
    image[4, 2, 0, 0] = np.inf
    np.save(tmp_path / "x.npy", image)
    found = new_inputs(tmp_path / "x.npy", SKIPS)
    assert (found.count, found.names, found.numbers) == (3, None, (0, 2, 3))
    assert [found.name(number) for number in range(3)] == ["0", "2", "3"]
    assert torch.equal(given(found), torch.from_numpy(image[[0, 2, 3]]))
    (remark,) = found.remarks
    assert "2 of 5 samples" in remark
    assert "`row 1 (from 0)`, `row 4 (from 0)`; of the first:" in remark
    np.save(tmp_path / "x.npy", np.full_like(image, np.nan))
    said = refused(tmp_path / "x.npy", SKIPS)
    assert "MTL804" in said
    assert "5 of 5 samples" in said


def test_workers_that_have_no_picture_to_read_are_told_of(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4, 6), np.uint8))
    (remark,) = new_inputs(tmp_path / "x.npy", ROOT, workers=3).remarks
    assert "`--workers 3` does nothing" in remark


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 3, 5, 6), np.uint8), "resize or pad the images to 4 x 6"),
        (np.zeros((2, 4, 6, 3), np.uint8), "numpy.moveaxis(array, -1, 1)"),
        (np.zeros((3, 4, 6), np.uint8), "`array[None]`"),
        (np.array(3.0), "a single number"),
        (np.full((1, 3, 4, 6), 200, np.int64), "does not say how images are to be scaled"),
        (np.full((1, 3, 4, 6), 200, np.uint16), "does not say how images are to be scaled"),
        (np.zeros((0, 3, 4, 6), np.float32), "MTL804"),
        (np.array(["a", "b"]), "not numbers"),
    ],
)
def test_an_array_of_another_shape_or_kind_is_refused(array: NDArray[Any], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    assert said in refused(tmp_path / "x.npy")


def test_the_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    array = np.zeros((5, 3), np.float32)
    array[3, 1] = np.inf
    np.save(tmp_path / "x.npy", array)
    assert "row 3 (from 0) of" in refused(tmp_path / "x.npy", block(3))


def test_a_folder_of_arrays_is_read_as_a_file_of_them_is(tmp_path: Path) -> None:
    arrays = {"image": array_of("uint8", 3, (3, 4, 6)), "other": array_of("uint8", 5, (3, 4, 6))}
    np.savez(tmp_path / "x.npz", **arrays)
    (tmp_path / "parts" / "test").mkdir(parents=True)
    for name, array in arrays.items():
        np.save(tmp_path / "parts" / f"{name}.npy", array)
    np.save(tmp_path / "parts" / "test" / "image.npy", arrays["other"])
    for words in ({}, {"array": "other"}):
        found, wanted = (new_inputs(tmp_path / place, block(3, 4, 6), **words) for place in ("parts", "x.npz"))
        assert torch.equal(given(found), given(wanted))
    assert new_inputs(tmp_path / "parts", block(3, 4, 6), array="test/image").count == 5
    assert "has no array `imag`; did you mean" not in (told := refused(tmp_path / "parts", array="imag"))
    assert "MTL603" in told
    assert "did you mean `image`" in told


def test_what_is_no_file_of_inputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"no array")
    assert "no array of numbers" in refused(tmp_path / "x.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "no array of numbers: it holds objects, as samples of several lengths" in refused(tmp_path / "objects.npy")
    (tmp_path / "x.npz").write_bytes(b"no archive")
    assert "no whole .npz file" in refused(tmp_path / "x.npz")
    np.savez(tmp_path / "two.npz", imag=np.zeros(2), row=np.zeros(2))
    told = refused(tmp_path / "two.npz")
    assert "MTL603" in told
    assert "did you mean `imag`" in told
    assert "`nothing`" in refused(tmp_path / "two.npz", array="nothing")
    (tmp_path / "x.txt").write_text("")
    assert ".npz" in refused(tmp_path / "x.txt")
    assert "MTL703" in refused(tmp_path / "gone.npz")
    (tmp_path / "none").mkdir()
    assert "not entered" not in (told := refused(tmp_path / "none"))
    assert "holds no picture" in told
    (tmp_path / "none" / "cats").mkdir()
    assert "folders in it are not entered: give one of `cats/` itself" in refused(tmp_path / "none")
    save(tmp_path / "x.png", 4, 6, 3)
    assert "give an .npz or .npy file" in refused(tmp_path / "x.png", block(3))


@pytest.mark.parametrize("trained", [(-2.1, 2.6), (0.0, 255.0)])
def test_whole_numbers_are_refused_where_training_was_on_another_scale(
    trained: tuple[float, float], tmp_path: Path
) -> None:
    save(tmp_path / "x.png", 4, 6, 3)
    np.save(tmp_path / "x.npy", array_of("uint8", 2, (3, 4, 6)))
    for name in ("x.png", "x.npy"):
        assert f"from {trained[0]:.3g} to {trained[1]:.3g}" in refused(tmp_path / name, trained={"image": trained})
        assert not new_inputs(tmp_path / name, ROOT, trained={"image": (0.0, 1.0)}).remarks
    np.save(tmp_path / "row.npy", array_of("uint8", 2, (3,)))
    assert not new_inputs(
        tmp_path / "row.npy", block(3), trained={"image": (0.0, 255.0)}
    ).remarks  # only images have a scale


def test_floats_far_outside_of_training_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array_of("float32", 2, (3, 4, 6)) * 5 - 2)
    (remark,) = new_inputs(tmp_path / "x.npy", ROOT, trained={"image": (0.0, 1.0)}).remarks
    assert "scale them as those were" in remark
    np.save(tmp_path / "x.npy", array_of("float32", 2, (3, 4, 6)) * 1.2 - 0.1)
    assert not new_inputs(tmp_path / "x.npy", ROOT, trained={"image": (0.0, 1.0)}).remarks
