"""`data folder`: pictures below a folder as samples, each held against an independent reading of its files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mtsldsl.diagnostics import MtlError
from mtsldsl.folders.file_patterns import Pattern
from mtsldsl.folders.picture_fit import Fit
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import Samples, Splits, batches, describe, folder_samples, load_data, parallel_reading
from mtsldsl.runtime.data.new_inputs import new_inputs
from mtsldsl.runtime.data.overview import overview
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.run.data_record import record_of_data
from tests.laws import law
from tests.runtime.data.factories import spec, task
from tests.runtime.data.test_arrays_on_disk import same

SIZE = (6, 8)
KIND = task("kind", Target("classes", 3), dense=False)
AGE = task("age", Target("values", 1), dense=False)
SOLD = task("sold", Target("binary", 1), dense=False)
SEGMENT = task("segment", Target("classes", 4, 255), "label/*.png", size=SIZE)
DEPTH = task("depth", Target("values", 1, None, "positive"), "depth/*.png", size=SIZE)
MASK = task("mask", Target("binary", 1), "mask/*.png", size=SIZE)
OPTIONS: dict[str, Constant] = {
    "images": "image/*.png", "table": None, "file": None, "resize": "none", "crop": "none", "unit": 1.0, "split": None,
    "group": None, "validation": 0.1, "test": 0.2, "train_samples": None, "seed": 0, "on_error": "raise",
}  # fmt: skip


def loaded(
    place: Path, *tasks: Task, shape: tuple[int, ...] = (3, *SIZE), cache: bool = False, **options: Constant
) -> Splits[Any]:
    return load_data(spec("folder", tasks, shape, path=str(place), **{**OPTIONS, **options}), cache=cache)


def refused(place: Path, *tasks: Task, **options: Any) -> str:
    with pytest.raises(MtlError) as caught:
        loaded(place, *tasks, **options)
    return str(caught.value)


def drawn(path: Path, pixels: NDArray[Any], **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


def colours(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def rooms(place: Path, count: int = 20, size: tuple[int, int] = SIZE) -> Path:
    """Pictures with labels, depths of 16 bits and masks of black and white, under the same names."""
    for number in range(count):
        chance = np.random.default_rng((number, 1))
        drawn(place / "image" / f"{number:02}.png", colours(number, size))
        drawn(place / "label" / f"{number:02}.png", chance.choice([0, 1, 2, 3, 255], size).astype(np.uint8))
        drawn(place / "depth" / f"{number:02}.png", chance.integers(0, 60_000, size).astype(np.uint16))
        drawn(place / "mask" / f"{number:02}.png", (chance.integers(0, 2, size) * 255).astype(np.uint8))
    return place


def rows(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def pets(place: Path, count: int = 18) -> Path:
    for number in range(count):
        kind = ("cat", "dog", "ape")[number % 3]
        drawn(place / kind / f"{number:02}.png", colours(number))
    return place


def by_image(splits: Splits[Any], field: str, count: int = 20) -> dict[int, torch.Tensor]:
    """A field of each sample, by the number of the picture that its input is."""
    known = {colours(number).tobytes(): number for number in range(count)}
    return {
        known[np.moveaxis(image.numpy(), 0, -1).tobytes()]: samples.fields[field][row]
        for _, samples in splits.named()
        for row, image in enumerate(samples.fields["image"])
    }


# Where labels are -----------------------------------------------------------------------------------------------------


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    splits = loaded(pets(tmp_path), KIND, images="{kind}/*.png")
    found = by_image(splits, "kind", 18)
    assert {number: int(label) for number, label in found.items()} == {n: (1, 2, 0)[n % 3] for n in range(18)}
    assert splits.fitted == {"folder": {"classes": {"kind": ["ape", "cat", "dog"]}}}
    assert splits.train.fields["image"].dtype == torch.uint8
    assert splits.remarks == ()


@pytest.mark.parametrize("names", [("1", "2", "01"), ("0", "1", "00")])
def test_folders_whose_names_are_one_number_are_one_class_and_that_is_told(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    for number in range(18):
        drawn(tmp_path / names[number % 3] / f"{number:02}.png", colours(number))
    splits = loaded(tmp_path, task("kind", Target("classes", 2), dense=False), images="{kind}/*.png")
    (remark,) = splits.remarks
    one, other = sorted((names[0], names[2]))
    assert f"`{one}`, `{other}` of the column `kind`" in remark
    assert "one class, as they are the same number" in remark


@pytest.mark.parametrize(
    "called", ["image/{:02}.png", "{:02}.png", "{:02}", "image/{:02}", "./image/{:02}.png", "image\\{:02}.png"]
)
def test_rows_name_images_by_paths_or_names(called: str, tmp_path: Path) -> None:
    rooms(tmp_path)
    order = [*range(7, 20), *range(7)]
    table: dict[str, list[object]] = {
        "age": [number if number % 4 else None for number in order],
        "file": [called.format(number) for number in order],
        "sold": ["yes" if number > 9 else "no" for number in order],
    }
    rows(tmp_path / "known.csv", table)
    splits = loaded(tmp_path, AGE, SOLD, table="known.csv", file="file")
    ages, sold = by_image(splits, "age"), by_image(splits, "sold")
    assert {number: age.item() for number, age in ages.items() if not age.isnan()} == {
        number: number for number in range(20) if number % 4
    }
    assert {number: answer.item() for number, answer in sold.items()} == {number: number > 9 for number in range(20)}


def test_rows_and_images_that_lack_each_other_are_told(tmp_path: Path) -> None:
    rooms(tmp_path)
    rows(tmp_path / "known.csv", {"file": [f"{number:02}.png" for number in range(5, 25)], "age": list(range(5, 25))})
    splits = loaded(tmp_path, AGE, table="known.csv")
    assert {number for number, age in by_image(splits, "age").items() if age.isnan()} == set(range(5))
    without, strangers = splits.remarks
    assert without.startswith("5 of 20 images have no row in")
    assert "`image/00.png`" in without
    assert strangers.startswith("5 of 20 rows of")
    assert "`20.png`" in strangers


def test_files_of_targets_are_joined_by_their_names(tmp_path: Path) -> None:
    rooms(tmp_path)
    (tmp_path / "depth" / "03.png").unlink()
    (tmp_path / "label" / "04.png").unlink()
    (tmp_path / "mask" / "05.png").unlink()
    splits = loaded(tmp_path, SEGMENT, DEPTH, MASK, unit=0.001)
    label, depth, mask = (by_image(splits, each.field or "") for each in (SEGMENT, DEPTH, MASK))
    for number in range(20):
        chance = np.random.default_rng((number, 1))
        expected = chance.choice([0, 1, 2, 3, 255], SIZE), chance.integers(0, 60_000, SIZE), chance.integers(0, 2, SIZE)
        if number != 4:
            assert label[number].tolist() == expected[0].tolist()
        if number != 3:
            np.testing.assert_allclose(depth[number][0].numpy(), expected[1] * 0.001, rtol=1e-6)
        if number != 5:
            assert mask[number][0].tolist() == expected[2].tolist()
    assert bool((label[4] == 255).all())
    assert bool(depth[3].isnan().all())
    assert bool(mask[5].isnan().all())
    assert splits.train.fields["label/*.png"].dtype == torch.uint8
    assert sum("of 20 images has no file" in remark for remark in splits.remarks) == 3
    whole = spec("folder", (SEGMENT, DEPTH, MASK), (3, *SIZE), path=str(tmp_path), **OPTIONS)
    labelled = [part["labels"] for part in describe(whole, splits).values()]
    assert {name: sum(part[name]["samples"] for part in labelled) for name in labelled[0]} == {
        "segment": 19, "depth": 19, "mask": 19,
    }  # fmt: skip


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_file_of_0_bytes_is_a_missing_label(on_error: str, tmp_path: Path) -> None:
    rooms(tmp_path)
    for number in (3, 7):
        (tmp_path / "label" / f"{number:02}.png").write_bytes(b"")
    (tmp_path / "label" / "11.png").unlink()
    splits = loaded(tmp_path, SEGMENT, DEPTH, on_error=on_error)
    labels = by_image(splits, "label/*.png")
    assert {number for number, label in labels.items() if bool((label == 255).all())} == {3, 7, 11}
    assert set(by_image(splits, "depth/*.png")) == set(range(20))
    assert splits.remarks == (
        "1 of 20 images has no file that matches `label/*.png`: a label that is missing",
        "2 files have 0 bytes, which is a label that is missing: `label/03.png`, `label/07.png`",
    )


def test_arrays_are_targets_of_any_shape(tmp_path: Path) -> None:
    rooms(tmp_path)
    for folder in ("normal", "points"):
        (tmp_path / folder).mkdir()
    ways, points = {}, {}
    for number in range(20):
        chance = np.random.default_rng((number, 2))
        way = chance.standard_normal((3, *SIZE))
        ways[number], points[number] = way / np.linalg.norm(way, axis=0), chance.standard_normal(4).astype(np.float32)
        np.save(tmp_path / "normal" / f"{number:02}.npy", way)
        np.save(tmp_path / "points" / f"{number:02}.npy", points[number])
    normal = task("normal", Target("unit_vectors", 3), "normal/*.npy", size=SIZE)
    where = task("where", Target("values", 4), "points/*.npy", dense=False)
    splits = loaded(tmp_path, normal, where)
    for number, way in by_image(splits, "normal/*.npy").items():
        np.testing.assert_allclose(way.numpy(), ways[number], atol=1e-6)
    for number, point in by_image(splits, "points/*.npy").items():
        assert point.tolist() == points[number].tolist()


def test_a_palette_has_the_classes_of_its_places(tmp_path: Path) -> None:
    rooms(tmp_path)
    for path in (tmp_path / "label").iterdir():
        picture = Image.fromarray(np.full(SIZE, 3, np.uint8), "P")
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        picture.save(path)
    assert set(loaded(tmp_path, SEGMENT).train.fields["label/*.png"].flatten().tolist()) == {3}


@pytest.mark.parametrize("largest", [200, 60_000])
def test_numbers_of_16_bits_are_never_taken_for_8(largest: int, tmp_path: Path) -> None:
    rooms(tmp_path)
    for path in (tmp_path / "depth").iterdir():
        drawn(path, np.full(SIZE, largest, np.uint16))
    assert set(loaded(tmp_path, DEPTH).train.fields["depth/*.png"].flatten().tolist()) == {float(largest)}


# Splits ---------------------------------------------------------------------------------------------------------------


def test_folders_say_the_splits(tmp_path: Path) -> None:
    for number in range(12):
        part = ("train", "val", "test")[number % 3]
        drawn(tmp_path / part / ("cat", "dog", "ape")[number // 4] / f"{number}.png", colours(number))
    splits = loaded(tmp_path, KIND, images="{part}/{kind}/*.png", split="part")
    for place, (_, samples) in enumerate(splits.named()):
        found = sorted(by_image(Splits(samples, samples, samples), "kind", 12))
        assert found == list(range(place, 12, 3))


def test_a_person_stays_in_one_part(tmp_path: Path) -> None:
    for number in range(40):
        drawn(tmp_path / f"person{number % 8}" / "image" / f"{number:02}.png", colours(number))
    rows(tmp_path / "ages.csv", {"file": [f"{number:02}.png" for number in range(40)], "age": list(range(40))})
    splits = loaded(tmp_path, AGE, images="{person}/image/*.png", table="ages.csv", group="person")
    persons = [{int(age) % 8 for age in samples.fields["age"].flatten()} for _, samples in splits.named()]
    assert sorted(person for part in persons for person in part) == list(range(8))


def test_every_part_has_its_share_of_each_class(tmp_path: Path) -> None:
    splits = loaded(pets(tmp_path, 60), KIND, images="{kind}/*.png", stratify="kind")
    train, validation, test = (torch.bincount(each.fields["kind"].long()) for _, each in splits.named())
    assert (len(splits.train), len(splits.validation)) == (43, 5)
    assert int(train.max() - train.min()) == 1
    assert int(validation.max() - validation.min()) == 1
    assert test.tolist() == [4, 4, 4]
    few = loaded(pets(tmp_path, 60), KIND, images="{kind}/*.png", stratify="kind", train_samples=9)
    assert torch.bincount(few.train.fields["kind"].long()).tolist() == [3, 3, 3]
    assert (len(few.validation), len(few.test)) == (5, 12)


# Sizes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", ["stretch", "cover"])
def test_labels_move_as_their_image_does(resize: str, tmp_path: Path) -> None:
    """Pictures of blocks, whose pixels say their label: after any change they still do, away from the borders."""
    for number in range(20):
        size = (20 + number, 44 - number)
        label = np.kron(np.random.default_rng(number).integers(0, 4, (2, 2)), np.ones((30, 30)))[: size[0], : size[1]]
        drawn(tmp_path / "image" / f"{number:02}.png", np.repeat(label[..., None] * 60, 3, axis=-1).astype(np.uint8))
        drawn(tmp_path / "label" / f"{number:02}.png", label.astype(np.uint8))
    splits = loaded(tmp_path, SEGMENT, resize=resize, crop="center")
    same = torch.cat(
        [each.fields["image"][:, 0] == each.fields["label/*.png"] * 60 for _, each in splits.named()]
    ).float()
    assert same.shape == (20, *SIZE)
    assert same.mean() > 0.6


def test_a_crop_takes_the_middle_and_no_other_pixel(tmp_path: Path) -> None:
    rooms(tmp_path, size=(9, 13))
    found = loaded(tmp_path, SEGMENT, crop="center").train.fields
    middles = {colours(number, (9, 13))[1:7, 2:10].tobytes() for number in range(20)}
    assert {np.moveaxis(image.numpy(), 0, -1).tobytes() for image in found["image"]} < middles


def test_a_picture_as_large_as_the_input_is_never_changed(tmp_path: Path) -> None:
    rooms(tmp_path)
    plain = loaded(tmp_path, SEGMENT, DEPTH).train.fields
    for resize in ("stretch", "cover"):
        found = loaded(tmp_path, SEGMENT, DEPTH, resize=resize, crop="center").train.fields
        assert all(torch.equal(plain[name], found[name]) for name in plain)


SIDES = st.integers(1, 400)


@law(150)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_cover_is_the_smallest_that_is_nowhere_smaller(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    found = Fit("cover").resized(size, wanted)
    assert all(one >= other for one, other in zip(found, wanted, strict=True))
    assert any(one == other for one, other in zip(found, wanted, strict=True))
    factor = max(wanted[0] / size[0], wanted[1] / size[1])
    assert all(
        abs(one - other * factor) <= 0.5 + 1e-6 or one == least
        for one, other, least in zip(found, size, wanted, strict=True)
    )
    assert Fit("cover", "center").fits(size, wanted)


def test_gray_pictures_are_one_channel_or_three_equal_ones(tmp_path: Path) -> None:
    for number in range(18):
        drawn(tmp_path / ("cat", "dog", "ape")[number % 3] / f"{number}.png", colours(number)[..., 0])
    one = loaded(tmp_path, KIND, shape=(1, *SIZE), images="{kind}/*.png").train.fields["image"]
    three = loaded(tmp_path, KIND, images="{kind}/*.png").train.fields["image"]
    assert torch.equal(one.expand(-1, 3, -1, -1), three)


def test_pictures_stand_as_the_camera_was_held(tmp_path: Path) -> None:
    rooms(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise makes it upright
    lying = np.rot90(colours(0))
    drawn(tmp_path / "image" / "00.png", np.ascontiguousarray(lying), exif=exif)
    splits = loaded(tmp_path, SEGMENT)
    assert 0 in by_image(splits, "label/*.png")
    (remark,) = splits.remarks
    assert "`label/00.png`" in remark


def test_new_pictures_come_to_the_size_as_those_of_training(tmp_path: Path) -> None:
    rooms(tmp_path, size=(17, 31))
    options: dict[str, Constant] = {**OPTIONS, "resize": "cover", "crop": "center", "path": str(tmp_path)}
    whole = spec("folder", (SEGMENT,), (3, *SIZE), **options)
    trained = torch.cat([each.fields["image"] for _, each in load_data(whole, cache=False).named()])
    inputs = new_inputs(tmp_path / "image", whole.data)
    found = {row.numpy().tobytes() for row in inputs.read(range(20))["image"]}
    assert found == {row.numpy().tobytes() for row in trained.float() / 255}


# What does not fit ----------------------------------------------------------------------------------------------------


def test_a_picture_of_another_size_is_refused_with_what_to_write(tmp_path: Path) -> None:
    rooms(tmp_path)
    drawn(tmp_path / "image" / "07.png", colours(7, (12, 16)))
    said = refused(tmp_path, SEGMENT)
    assert "07.png` is 12 x 16 (height x width), but the input is 6 x 8" in said
    assert "`crop = center`" in said
    drawn(tmp_path / "image" / "07.png", colours(7, (3, 16)))
    assert "`resize = cover` and `crop = center`" in refused(tmp_path, SEGMENT, crop="center")


@pytest.mark.parametrize(
    ("folder", "pixels", "said"),
    [
        ("label", np.full(SIZE, 9, np.uint8), "holds the label 9, but the task has the classes 0 to 3"),
        ("label", np.zeros((5, 5), np.uint8), "is 5 x 5, and its image 6 x 8"),
        ("label", np.zeros((*SIZE, 3), np.uint8), "is of the kind RGB"),
        ("mask", np.arange(48, dtype=np.uint8).reshape(SIZE), "where a binary target has 0 and 1"),
        ("image", np.zeros((*SIZE, 4), np.uint8), "is transparent in parts"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_task_or_left_out(
    folder: str, pixels: NDArray[np.uint8], said: str, tmp_path: Path
) -> None:
    rooms(tmp_path)
    tasks = (SEGMENT, DEPTH, MASK)
    before = {split: len(samples) for split, samples in loaded(tmp_path, *tasks).named()}
    drawn(tmp_path / folder / "07.png", pixels)
    found = refused(tmp_path, *tasks)
    assert said in found
    assert f"{tmp_path / folder / '07.png'}`" in found
    splits = loaded(tmp_path, *tasks, on_error="skip")
    assert set(by_image(splits, "label/*.png")) == set(range(20)) - {7}
    (remark,) = splits.remarks
    assert remark.startswith(f"1 of 20 samples of `{tmp_path}` is left out, as `on_error = skip` says: `image/07.png`;")
    assert said in remark
    after = {split: len(samples) for split, samples in splits.named()}
    assert sorted(before[split] - after[split] for split in before) == [0, 0, 1]


def test_an_image_whose_row_is_broken_is_left_out(tmp_path: Path) -> None:
    rooms(tmp_path)
    parts = ["train", "validation", "test"]
    lines = [f"{number:02}.png,{number},{parts[number % 3]}" for number in range(20)]
    lines[4] = "04.png,4"
    (tmp_path / "known.csv").write_text("\n".join(["file,age,part", *lines, "05.png,1", "nobody"]), encoding="utf-8")
    assert "line 6 of" in refused(tmp_path, AGE, table="known.csv", split="part")
    splits = loaded(tmp_path, AGE, table="known.csv", split="part", on_error="skip")
    assert {number: int(each) for number, each in by_image(splits, "age").items()} == {
        number: number for number in range(20) if number != 4
    }
    rows, images = [remark for remark in splits.remarks if "left out" in remark]
    assert rows.startswith(f"2 of 22 samples of `{tmp_path / 'known.csv'}` are left out, as `on_error = skip` says: ")
    assert "`line 22`, `line 23`; of the first: line 22 of" in rows
    assert images.startswith(f"1 of 20 samples of `{tmp_path}` is left out, as `on_error = skip` says: `image/04.png`;")
    assert "line 6 of" in images
    assert not [remark for remark in splits.remarks if "no row" in remark]


def test_an_image_whose_label_is_no_class_is_left_out(tmp_path: Path) -> None:
    rooms(tmp_path)
    grades: list[object] = [number % 3 for number in range(20)]
    grades[7] = 9
    rows(tmp_path / "known.csv", {"file": [f"{number:02}.png" for number in range(20)], "grade": grades})
    grade = task("grade", Target("classes", 3), dense=False)
    assert "4 different classes" in refused(tmp_path, grade, table="known.csv")
    splits = loaded(tmp_path, grade, table="known.csv", on_error="skip")
    assert {number: int(each) for number, each in by_image(splits, "grade").items()} == {
        number: number % 3 for number in range(20) if number != 7
    }
    assert "has `9` in the column `grade`, which is no class from 0 to 2" in splits.remarks[0]


def test_broken_files_and_cells_are_left_out_together(tmp_path: Path) -> None:
    rooms(tmp_path)
    (tmp_path / "image" / "03.png").write_bytes(b"no picture")
    np.save(tmp_path / "image" / "junk.npy", np.zeros(3))
    age: list[object] = list(range(20))
    age[4] = "old"
    rows(tmp_path / "known.csv", {"file": [f"{number:02}.png" for number in range(20)], "age": age})
    said = refused(tmp_path, AGE, table="known.csv")
    assert "image image/04.png of" in said
    assert "has `old` in the column `age`, which is no number" in said
    splits = loaded(tmp_path, AGE, table="known.csv", on_error="skip")
    assert {number: int(each) for number, each in by_image(splits, "age").items()} == {
        number: number for number in range(20) if number not in (3, 4)
    }
    (remark,) = splits.remarks
    assert "2 of 20 samples" in remark
    assert "`image/03.png`, `image/04.png`; of the first:" in remark
    assert "is no whole picture" in remark


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"images": "image"}, "MTL604", "neither `*` nor `{name}`"),
        ({"images": "../*.png"}, "MTL604", "no path below the folder"),
        ({"images": "**/*.png"}, "MTL604", "write a `*` or a `{name}` for each folder"),
        ({"images": "{part/*.png"}, "MTL604", "not closed"),
        ({"images": "{a}/{a}.png"}, "MTL604", "twice"),
        ({"images": "{a b}/*.png"}, "MTL604", "no name"),
        ({"images": "photo/*.png"}, "MTL601", "no picture of"),
        ({"images": "*/*.png"}, "MTL604", "write `{name}` in place of a `*`"),
        ({"images": "{what}/*.png"}, "MTL605", "would both go with the file"),
        ({"images": "image/{number}.png"}, "MTL604", "has 1 `*`"),
        ({"table": "none.csv"}, "MTL601", "is not there"),
        ({"split": "part"}, "MTL603", "no column `part`"),
    ],
)
def test_what_cannot_be_found_is_told(options: dict[str, Constant], code: str, said: str, tmp_path: Path) -> None:
    found = refused(rooms(tmp_path), SEGMENT, **options)
    assert found.startswith(code) or code in found
    assert said in found


def test_a_row_that_may_mean_two_images_is_refused(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        drawn(tmp_path / folder / "1.png", colours(0))
    rows(tmp_path / "known.csv", {"file": ["1.png"], "age": [1]})
    said = refused(tmp_path, AGE, images="{kind}/*.png", table="known.csv")
    assert "which may be `cat/1.png`, `dog/1.png`" in said
    rows(tmp_path / "known.csv", {"file": ["cat/1.png", "cat/1"], "age": [1, 2]})
    assert "as line 2 is" in refused(tmp_path, AGE, images="{kind}/*.png", table="known.csv")


def test_a_head_of_another_size_and_files_that_cannot_hold_a_target_are_told(tmp_path: Path) -> None:
    rooms(tmp_path)
    small = task("segment", Target("classes", 4, 255), "label/*.png", size=(3, 4))
    assert "end the head with `resize_as`" in refused(tmp_path, small)
    one = task("segment", Target("classes", 4, 255), "label/*.png", dense=False)
    assert "which a picture does not hold" in refused(tmp_path, one)
    normal = task("normal", Target("unit_vectors", 3), "label/*.png", size=SIZE)
    assert "which a picture does not hold" in refused(tmp_path, normal)


def test_images_of_8_and_of_16_bits_are_not_mixed(tmp_path: Path) -> None:
    for number in range(12):
        dtype = np.uint16 if number == 6 else np.uint8
        drawn(tmp_path / f"{number % 3}" / f"{number:02}.png", np.full(SIZE, number, dtype))
    assert "bits" in refused(tmp_path, KIND, shape=(1, *SIZE), images="{kind}/*.png")


# Patterns -------------------------------------------------------------------------------------------------------------

NAMES = st.text("abcXYZ019 _-.é", min_size=1, max_size=6).filter(lambda name: not name.startswith(".") and name.strip())


@law(150)
@given(kind=NAMES, stem=NAMES, number=st.integers(0, 99))
def test_a_path_that_is_made_by_a_pattern_is_read_back(
    kind: str, stem: str, number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("pattern")
    path = place / kind / f"{stem}+{number}.JPG"
    path.parent.mkdir()
    path.touch()
    (place / ".hidden").mkdir()
    (place / ".hidden" / "1+1.jpg").touch()
    (found,) = Pattern.of("{kind}/*+{number}.jpg", "images").files(place)
    assert (found.path, dict(found.parts)) == (f"{kind}/{path.name}", {"kind": kind, "number": str(number)})
    assert found.stars == (stem,)


# What is kept ---------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_the_same_to_the_bit_and_counts_for_these_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MTSLDSL_NO_CACHE", raising=False)
    place = rooms(tmp_path / "rooms")
    (place / "label" / "05.png").write_bytes(b"no picture")
    (place / "depth" / "06.png").unlink()
    options: dict[str, Any] = {"cache": True, "on_error": "skip"}
    first = loaded(place, SEGMENT, DEPTH, **options)
    assert list((tmp_path / "cache").rglob("data-*"))
    monkeypatch.setattr("mtsldsl.runtime.data.folder_samples.picture", None)
    again = loaded(place, SEGMENT, DEPTH, **options)
    assert again.remarks == first.remarks
    for (_, one), (_, other) in zip(first.named(), again.named(), strict=True):
        assert list(one.fields) == list(other.fields)
        for name, tensor in one.fields.items():
            assert tensor.dtype == other.fields[name].dtype
            assert tensor.numpy().tobytes() == other.fields[name].numpy().tobytes()
    drawn(place / "label" / "05.png", np.zeros(SIZE, np.uint8))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert set(by_image(loaded(place, SEGMENT, DEPTH, **options), "depth/*.png")) == set(range(20))


# What is larger than memory -------------------------------------------------------------------------------------------


def scenery(place: Path) -> Path:
    """Rooms with depths of which some are 0, vectors, points and ages; some without a file, one that is broken."""
    rooms(place)
    for number in range(20):
        chance = np.random.default_rng((number, 3))
        for folder, array in (("way", np.abs(chance.standard_normal((3, *SIZE)))), ("points", chance.random(4))):
            (place / folder).mkdir(exist_ok=True)
            np.save(place / folder / f"{number:02}.npy", array)
    rows(
        place / "known.csv",
        {"file": [f"{n:02}.png" for n in range(20)], "age": [n if n % 4 else "" for n in range(20)]},
    )
    for path in ("label/04.png", "depth/03.png", "points/05.npy"):
        (place / path).unlink()
    (place / "image" / "11.png").write_bytes(b"no picture")
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn(place / "image" / "00.png", np.ascontiguousarray(np.rot90(colours(0))), exif=exif)
    return place


UNLABELLED = task("segment", Target("classes", 4, 300), "label/*.png", size=SIZE)  # a label that bytes do not hold
WAY = task("way", Target("unit_vectors", 3), "way/*.npy", size=SIZE)
POINTS = task("points", Target("values", 4, None, "finite", "standard"), "points/*.npy", dense=False)
FAR = task("depth", Target("values", 1), "depth/*.png", size=SIZE)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_are_read_when_their_batch_comes_are_the_same_to_the_bit(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (scenery(tmp_path) / "label").iterdir():
        if path.stem != "07":
            drawn(path, np.minimum(np.asarray(Image.open(path)), 3))
    drawn(tmp_path / "label" / "07.png", np.where(np.indices(SIZE)[0] > 2, 300, 1).astype(np.uint16))
    tasks = (UNLABELLED, FAR, MASK, WAY, POINTS, AGE)
    options = OPTIONS | {"path": str(tmp_path), "table": "known.csv", "on_error": "skip", "batch": 4}
    job = spec("folder", tasks, (3, *SIZE), **options)
    monkeypatch.setattr(parallel_reading, "QUICK", 0)
    memory = load_data(job, cache=False, workers=workers)
    monkeypatch.setattr(folder_samples, "LARGE", 0)
    monkeypatch.setattr(folder_samples, "SMALL", 4)
    times = 1 if workers else 2  # the second time from what was kept
    read = [load_data(job, cache=not workers, workers=workers) for _ in range(times)]
    assert type(memory.train) is Samples
    for disk in read:
        assert isinstance(disk.train, ReadSamples)
        assert set(disk.train.fields.known) == {"points/*.npy", "age"}
        for (_, own), (_, other) in zip(memory.named(), disk.named(), strict=True):
            assert len(own) == len(other)
            for more in ({}, {"seed": 3, "epoch": 2, "shuffle": True}):
                pairs = list(zip(batches(own, 4, **more), batches(other, 4, **more), strict=True))
                assert pairs
                assert all(same(*pair) for pair in pairs)
            assert same(own.fields, other.fields)
        assert disk.remarks == memory.remarks
        assert (disk.train.scales, disk.fitted) == (memory.train.scales, memory.fitted)
        assert describe(job, disk) == describe(job, memory)
        assert overview(job, disk) == overview(job, memory)
        assert record_of_data(job, disk) == record_of_data(job, memory)
    labels = {samples.fields["label/*.png"].dtype for _, samples in memory.named()}
    assert labels == {torch.uint8, torch.int16}
    said = " ".join(memory.remarks)
    assert "--workers" not in said
    assert "image/11.png" in said
    assert "`label/00.png`" in said
    assert "no component of the vectors" in said
    monkeypatch.setattr(parallel_reading, "QUICK", 1e9)
    others = set(active_children())
    quick = load_data(job, cache=False, workers=workers)
    assert set(active_children()) <= others
    assert all(
        same(own.fields, other.fields) for (_, own), (_, other) in zip(memory.named(), quick.named(), strict=True)
    )
    assert sum("`--workers 2` does nothing" in remark for remark in quick.remarks) == bool(workers)


def test_a_file_that_is_another_when_its_batch_comes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_samples, "LARGE", 0)
    monkeypatch.setattr(folder_samples, "SMALL", 4)
    for path in (rooms(tmp_path) / "label").iterdir():
        drawn(path, np.full(SIZE, 3, np.uint8))
    train = loaded(tmp_path, UNLABELLED).train
    assert len(list(batches(train, 4))) == 4
    for path in (tmp_path / "label").iterdir():
        drawn(path, np.full(SIZE, 300, np.uint16))
    with pytest.raises(MtlError, match="was written to since all were looked at"):
        next(batches(train, 4))
    for path in (tmp_path / "image").iterdir():
        path.unlink()
    with pytest.raises(MtlError, match=r"(?s)is no whole picture.*`on_error = skip`"):
        next(batches(train, 4))
