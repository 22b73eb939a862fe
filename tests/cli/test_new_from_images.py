"""`mtsldsl new --from images --data`: the spec that it writes is about what the folder holds, and trains as it is."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mtsldsl.cli.image_starter import spec_of_folder
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads
from mtsldsl.editing.checking import check
from mtsldsl.ir.model import Spec
from mtsldsl.runtime.data import Splits, load_data
from mtsldsl.syntax.format import format_text
from tests.cli.test_new import mtsldsl
from tests.given import DATA, needs_data

SIZE = (24, 32)


def drawn(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def colours(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def rows(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def new(folder: Path, *targets: str, excluded: Sequence[str] = ()) -> str:
    """The text, which has no problem and is as the formatter has it."""
    path = folder.parent / "first.mtl"
    text = spec_of_folder(path, folder, targets, excluded)
    report = check(Source(str(path), text), pedantic=True)
    assert [str(each) for each in report.diagnostics] == []
    assert format_text(Source(str(path), text)) == text
    return text


def read(folder: Path, *targets: str, **words: Any) -> tuple[Spec, Splits[Any], str]:
    text = new(folder, *targets, **words)
    spec = loads(text, str(folder.parent / "first.mtl"))
    return spec, load_data(spec, cache=False), text


def tasks(spec: Spec) -> dict[str, tuple[str, int, str | None]]:
    return {task.name: (task.target.kind, task.target.channels, task.field) for task in spec.tasks}


@pytest.mark.parametrize("parts", [(), ("train", "valid", "test"), ("train", "val")], ids=str)
def test_folders_of_classes_with_or_without_splits(parts: Sequence[str], tmp_path: Path) -> None:
    for number in range(36):
        part = [parts[number // 2 % len(parts)]] if parts else []
        drawn(tmp_path.joinpath("pets", *part, ("cat", "dog")[number % 2], f"{number}.jpg"), colours(number))
    spec, splits, text = read(tmp_path / "pets")
    assert tasks(spec) == {"kind": ("classes", 2, "kind")}
    assert "# classes, from 0: cat (18), dog (18)" in text
    assert spec.data.options["images"] == ("{part}/" if parts else "") + "{kind}/*.jpg"
    assert spec.data.options["split"] == ("part" if len(parts) == 3 else None)
    assert sum(len(each) for _, each in splits.named()) == 36
    assert ("none is for the test: parts" in text) == (len(parts) == 2)
    if len(parts) == 3:
        assert [len(each) for _, each in splits.named()] == [12, 12, 12]


def test_folders_of_labels_beside_the_images(tmp_path: Path) -> None:
    """Of each kind of label one, with files missing; JPEG of one kind is no label."""
    place = tmp_path / "rooms"
    for number in range(20):
        chance = np.random.default_rng((number, 1))
        name = f"{number:02}"
        drawn(place / "rgb" / f"{name}.jpg", colours(number))
        drawn(place / "label" / f"{name}.png", chance.choice([0, 1, 2, 6, 255], SIZE).astype(np.uint8))
        drawn(place / "mask" / f"{name}.png", (chance.integers(0, 2, SIZE) * 255).astype(np.uint8))
        drawn(place / "preview" / f"{name}.jpg", colours(number)[..., 0])
        if number % 4:
            drawn(place / "depth" / f"{name}.png", chance.integers(0, 5000, SIZE).astype(np.uint16))
        way = chance.standard_normal((3, *SIZE))
        for folder, array in (("normal", way / np.linalg.norm(way, axis=0)), ("points", chance.random(4))):
            (place / folder).mkdir(exist_ok=True)
            np.save(place / folder / f"{name}.npy", array)
    spec, splits, text = read(place)
    assert tasks(spec) == {
        "depth": ("values", 1, "depth/*.png"),
        "label": ("classes", 7, "label/*.png"),
        "mask": ("binary", 1, "mask/*.png"),
        "normal": ("unit_vectors", 3, "normal/*.npy"),
        "points": ("values", 4, "points/*.npy"),
    }
    assert spec.task("label").target.ignore == 255
    assert spec.task("depth").target.valid == "positive"
    assert "# 25.0 % missing; numbers from 0 to" in text
    assert "# Not learned: the folder `preview`: `" in text
    assert "is a JPEG, which keeps no number as it was" in text
    assert set(splits.train.fields) == {"image", *(task.field for task in spec.tasks)}
    some = new(place, "mask", "depth")
    assert [task.name for task in loads(some).tasks] == ["depth", "mask"]


def test_a_table_beside_pictures_of_several_sizes(tmp_path: Path) -> None:
    place = tmp_path / "houses"
    count = 40
    for number in range(count):
        drawn(place / f"{number:02}.png", colours(number, (60 + number, 90 - number)))
    rows(
        place / "known.csv",
        {
            "number": [1000 + number for number in range(count)],
            "picture": [f"{number:02}.png" for number in range(count)],
            "price": [f"{3.5 * number:.1f}" if number % 5 else "" for number in range(count)],
            "style": [("barn", "flat", "villa")[number % 3] for number in range(count)],
            "import": ["yes" if number % 2 else "no" for number in range(count)],
            "part": [("train", "train", "validation", "test")[number % 4] for number in range(count)],
        },
    )
    spec, splits, text = read(place)
    assert tasks(spec) == {
        "price": ("values", 1, "price"),
        "style": ("classes", 3, "style"),
        "import_target": ("binary", 1, "import"),
    }
    assert spec.data.options["split"] == "part"
    assert spec.data.options["file"] == "picture"
    assert (spec.data.options["resize"], spec.data.options["crop"]) == ("cover", "center")
    assert spec.data.shape == (3, 79, 70)  # the median of each side
    assert [len(each) for _, each in splits.named()] == [20, 10, 10]
    assert "# Not learned: `number`: no two images have the same, as in a column of identifiers" in text
    assert "# 20.0 % missing; numbers" in text
    assert set(loads(new(place, excluded=["style"])).sharing.tasks) == {"price", "import_target"}


def test_large_pictures_of_one_size_become_smaller_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    for number in range(30):
        drawn(tmp_path / "pets" / ("cat", "dog")[number % 2] / f"{number:02}.png", colours(number, (240, 320))[..., 0])
    (tmp_path / "pets" / "cat" / "04.png").write_bytes(b"no picture")
    spec, splits, text = read(tmp_path / "pets")
    assert spec.data.shape == (1, 80, 106)
    assert spec.data.options["resize"] == "stretch"
    assert spec.data.options["on_error"] == "skip"
    assert "# leaves out what cannot be read: `cat/04.png`" in text
    assert sum(len(each) for _, each in splits.named()) == 29


def test_a_table_names_images_that_have_files_of_labels_of_the_same_names(tmp_path: Path) -> None:
    for number in range(24):
        kind = ("cat", "dog")[number % 2]
        drawn(tmp_path / "pets" / "photos" / kind / f"{number}.png", colours(number))
        drawn(tmp_path / "pets" / "masks" / kind / f"{number}.png", (colours(number)[..., 0] > 99) * np.uint8(255))
    rows(tmp_path / "pets" / "a.csv", {"file": [f"{n}.png" for n in range(24)], "age": [n / 2 for n in range(24)]})
    spec, splits, _ = read(tmp_path / "pets")
    assert tasks(spec) == {
        "kind": ("classes", 2, "kind"),
        "age": ("values", 1, "age"),
        "masks": ("binary", 1, "masks/{kind}/*.png"),
    }
    assert sum(len(each) for _, each in splits.named()) == 24


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        ([], {}, "MTL601.*holds no picture"),
        (["1.png", "2.png"], {}, "MTL602.*nothing to learn.*neither folders of classes"),
        (["a/1.png", "a/2.png", "b/3.png", "b/4.png"], {"targets": ["knid"]}, "MTL603.*no folder of labels `knid`"),
        (["a/1.png", "b/2.png", "c/3.png"], {}, "MTL602.*nothing to learn"),
    ],
)
def test_what_cannot_be_learned_is_told(
    files: Sequence[str], words: Mapping[str, Sequence[str]], said: str, tmp_path: Path
) -> None:
    (tmp_path / "pets").mkdir()
    for number, file in enumerate(files):
        drawn(tmp_path / "pets" / file, colours(number))
    with pytest.raises(MtlError, match=f"(?s){said}"):
        spec_of_folder(tmp_path / "first.mtl", tmp_path / "pets", words.get("targets", ()), ())


def test_a_spec_may_be_called_as_the_folder_of_its_pictures(tmp_path: Path) -> None:
    for number in range(12):
        drawn(tmp_path / "fruit" / ("pear", "plum")[number % 2] / f"{number}.png", colours(number))
    words = "new", "fruit", "--from", "images", "--data"
    assert "wrote fruit.mtl" in mtsldsl(*words, "fruit/", cwd=tmp_path).stdout
    (tmp_path / "fruit.mtl").unlink()
    said = mtsldsl(*words, "fruit/pear", cwd=tmp_path, status=2).stderr
    assert "is a folder: name the spec too, such as fruit/first" in " ".join(said.split())


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL601.*is not there"):
        spec_of_folder(tmp_path / "first.mtl", tmp_path / "pets", (), ())


# Real data ------------------------------------------------------------------------------------------------------------


def garments(place: Path, count: int) -> None:
    """The first garments of Fashion-MNIST in folders of their names, and a table that says of three in four whether it is
    worn above the waist."""
    names = ("tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
    data = np.load(DATA / "fashion_mnist" / "fashion_12k_2k.npz")
    told: dict[str, list[object]] = {"file": [], "upper": []}
    for number, (image, kind) in enumerate(zip(data["x_train"][:count], data["y_train"][:count], strict=True)):
        drawn(place / names[kind] / f"{number:04}.png", image)
        told["file"].append(f"{number:04}.png")
        told["upper"].append("" if number % 4 == 0 else "yes" if kind in (0, 2, 3, 4, 6) else "no")
    rows(place / "about.csv", told)


def rooms(place: Path, count: int) -> None:
    """The first training rooms of NYUv2: images, classes and depths."""
    with zipfile.ZipFile(DATA / "nyuv2" / "nyuv2_96x128.zip") as archive:
        images = sorted(name for name in archive.namelist() if name.startswith("train/image/"))[:count]
        for image in images:
            stem = Path(image).stem
            for name in (f"image/{stem}.jpg", f"label/{stem}.png", f"depth/{stem}.png"):
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(archive.read(f"train/{name}"))


def metrics_of(folder: Path, *settings: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metrics of the test after a training of the spec, and those of the best constant answer."""
    printed = mtsldsl("train", "first.mtl", "--json", "--device", "cpu", *settings, cwd=folder).stdout
    events = [json.loads(line) for line in printed.splitlines()]
    (test,) = [event for event in events if event["event"] == "test"]
    (constant,) = [event for event in events if event["event"] == "constant"]  # of validation
    return test["metrics"], constant["metrics"]


@needs_data
@pytest.mark.soak
def test_real_garments_are_learned_as_they_are(tmp_path: Path) -> None:
    garments(tmp_path / "clothes", 600)
    mtsldsl("new", "first", "--from", "images", "--data", "clothes", cwd=tmp_path)
    found, constant = metrics_of(tmp_path)
    assert found["kind"]["accuracy"] > 0.65 > 0.3 > constant["kind"]["accuracy"]
    assert found["upper"]["accuracy"] > 0.85 > 0.7 > constant["upper"]["accuracy"]


@needs_data
@pytest.mark.soak
def test_real_rooms_are_learned_as_they_are(tmp_path: Path) -> None:
    rooms(tmp_path / "rooms", 160)
    mtsldsl("new", "first", "--from", "images", "--data", "rooms", cwd=tmp_path)
    found, constant = metrics_of(tmp_path)
    assert found["label"]["miou"] > 1.5 * constant["label"]["miou"]
    assert found["depth"]["rmse"] < 0.95 * constant["depth"]["rmse"]
