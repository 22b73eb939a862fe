from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtsldsl.datasets.kind import UNLABELLED
from mtsldsl.datasets.nyuv2.labeled_mat import FORTY_TO_THIRTEEN
from mtsldsl.datasets.nyuv2.load import nyuv2, open_recording
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data import FieldKind, Splits, load_data
from mtsldsl.runtime.data.boundaries import boundaries
from tests.given import DATA, needs_data
from tests.runtime.data.factories import dense_tasks, spec

ROOT = DATA / "nyuv2"
SIZE = (24, 32)


def encoded(array: np.ndarray, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def image_files(train: int = 20, test: int = 3, prefix: str = "") -> dict[str, bytes]:
    """A small copy of the data set as images: a slanted floor, whose labels and depths depend on the row."""
    rows = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None], SIZE)
    files = {}
    for split, count in (("train", train), ("val", test)):
        for number in range(count):
            stem = f"{prefix}{split}/{{}}/{number:04d}"
            colour = np.full((*SIZE, 3), number * 5, dtype=np.uint8)
            files[stem.format("image") + ".jpg"] = encoded(colour, "JPEG")
            files[stem.format("label") + ".png"] = encoded((rows // 8).astype(np.uint8), "PNG")
            files[stem.format("label40") + ".png"] = encoded(np.where(rows < 12, 255, 38).astype(np.uint8), "PNG")
            files[stem.format("depth") + ".png"] = encoded((200 - 4 * rows).astype(np.uint8), "PNG")
    return files


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


ALL = {"image": 3, "label": 13, "depth": 1, "normal": 3, "edge": 1}


def test_a_folder_an_archive_and_the_folder_of_an_archive_are_the_same(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", image_files())
    archive = write_zip(tmp_path / "archive.zip", image_files(prefix="nyu/copy/"))
    found = [nyuv2(place, SIZE, ALL) for place in (folder, archive, tmp_path)]
    for other in found[1:]:
        for split, fields in found[0].items():
            assert all(torch.equal(fields[name], other[split][name]) for name in ALL)


def test_the_official_test_set_is_kept_whole_and_a_tenth_of_train_is_for_validation(tmp_path: Path) -> None:
    loaded = nyuv2(write_folder(tmp_path, image_files()), SIZE, {"image": 3})
    brightness = {split: fields["image"][:, 0, 0, 0].tolist() for split, fields in loaded.items()}
    assert [len(values) for values in brightness.values()] == [18, 2, 3]
    assert sorted(brightness["train"] + brightness["validation"]) == [number * 5 for number in range(20)]
    assert brightness["test"] == [0, 5, 10]


def test_the_validation_set_depends_on_the_seed_alone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, image_files())
    first, again, other = (
        nyuv2(folder, SIZE, {"image": 3}, validation=0.3, seed=seed)["validation"] for seed in (1, 1, 2)
    )
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_fewer_training_images_are_some_of_them_and_the_others_stay(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, image_files())
    whole, few = (nyuv2(folder, SIZE, {"image": 3}, train_samples=wanted) for wanted in (None, 7))
    images = [{image.numpy().tobytes() for image in each["train"]["image"]} for each in (whole, few)]
    assert [len(each) for each in images] == [18, 7]
    assert images[1] < images[0]
    assert torch.equal(whole["validation"]["image"], few["validation"]["image"])
    assert torch.equal(whole["test"]["image"], few["test"]["image"])
    with pytest.raises(MtlError, match="has 18 samples to train on, fewer than `train_samples = 19`"):
        nyuv2(folder, SIZE, {"image": 3}, train_samples=19)


def test_depth_is_in_metres_and_a_quarter_of_the_pixels_is_the_nearest_of_each_four(tmp_path: Path) -> None:
    loaded = nyuv2(write_folder(tmp_path, image_files()), (12, 16), {"depth": 1, "label": 40})["test"]
    assert loaded["depth"].shape == (3, 1, 12, 16)
    expected = (200 - 4 * np.arange(1, 24, 2) + 0.5) / 25.5
    assert np.allclose(loaded["depth"][0, 0, :, 3], expected, rtol=1e-3)
    assert loaded["label"][0, :, 0].tolist() == [255] * 6 + [38] * 6


def test_edges_are_where_the_finest_labels_change_whichever_are_learned(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, image_files())
    edges = nyuv2(folder, SIZE, {"label": 13, "edge": 1})["test"]["edge"]
    assert torch.equal(edges, nyuv2(folder, SIZE, {"edge": 1})["test"]["edge"])
    rows = edges[0, 0].any(dim=1).nonzero().flatten().tolist()
    assert rows == [11]


def test_only_the_fields_that_are_asked_for_are_read(tmp_path: Path) -> None:
    files = {name: content for name, content in image_files().items() if "/label" not in name}
    folder = write_folder(tmp_path, files)
    assert set(nyuv2(folder, SIZE, {"image": 3, "depth": 1})["train"]) == {"image", "depth"}
    with pytest.raises(MtlError, match=r"MTL602.*lacks train/label/0000.png"):
        nyuv2(folder, SIZE, {"image": 3, "label": 13})


def test_a_folder_without_the_data_set_is_an_error_that_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602(.|\n)*nyu_depth_v2_labeled.mat"):
        nyuv2(tmp_path, SIZE, {"image": 3})
    write_zip(tmp_path / "a.zip", {"other.txt": b""})
    with pytest.raises(MtlError, match=r"MTL602.*train/image/\*.jpg"):
        nyuv2(tmp_path, SIZE, {"image": 3})
    (tmp_path / "b.zip").write_bytes(b"cut off")
    with pytest.raises(MtlError, match=r"MTL602.*2 zip archives"):
        nyuv2(tmp_path, SIZE, {"image": 3})
    with pytest.raises(MtlError, match=r"MTL602.*not a whole zip archive"):
        nyuv2(tmp_path / "b.zip", SIZE, {"image": 3})


def array_files() -> dict[str, bytes]:
    """A small copy of the preprocessed layout: N.npy, with depth and labels that have holes."""
    generator = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 12), ("val", 2)):
        for number in range(count):
            label = generator.integers(0, 13, (12, 16)).astype(np.float64)
            label[0] = -1
            normal = generator.normal(size=(12, 16, 3))
            normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
            normal[1] = 0
            depth = generator.uniform(1, 5, (12, 16, 1))
            depth[2] = 0
            image = np.full((12, 16, 3), number / 20)
            for field, array in (("image", image), ("label", label), ("depth", depth), ("normal", normal)):
                content = io.BytesIO()
                np.save(content, array)
                files[f"{split}/{field}/{number}.npy"] = content.getvalue()
    return files


def test_the_preprocessed_layout_is_read_as_it_is(tmp_path: Path) -> None:
    files = array_files()
    loaded = nyuv2(write_folder(tmp_path, files), (12, 16), ALL, validation=0.25)

    def stored(name: str) -> np.ndarray:
        return np.asarray(np.load(io.BytesIO(files[name])))

    assert [len(fields["image"]) for fields in loaded.values()] == [9, 3, 2]
    # in the order of the numbers, not of the letters
    train = torch.cat([loaded["train"]["image"], loaded["validation"]["image"]])[:, 0, 0, 0]
    assert sorted(train.tolist()) == [round(number / 20 * 255) for number in range(12)]
    assert loaded["train"]["image"][:, 0, 0, 0].diff().min() > 0
    test = loaded["test"]
    label = stored("val/label/1.npy")
    assert np.array_equal(test["label"][1], np.where(label < 0, UNLABELLED, label))
    assert np.allclose(test["depth"][1, 0], stored("val/depth/1.npy")[..., 0], rtol=1e-3)
    assert np.allclose(test["normal"][1], stored("val/normal/1.npy").transpose(2, 0, 1), atol=1e-3)
    assert not test["normal"][:, :, 1].any()
    assert np.array_equal(test["edge"][1, 0], boundaries(np.where(label < 0, UNLABELLED, label).astype(int)))


@pytest.mark.parametrize(
    ("field", "number", "wanted"),
    [
        ("image", 255.0, "numbers from 0 to 1"),
        ("image", -1.0, "numbers from 0 to 1"),
        ("image", np.nan, "what is not finite, and images have numbers from 0 to 1"),
        ("label", 13.0, "whole numbers from -1 to 12"),
        ("label", 0.5, "whole numbers from -1 to 12"),
        ("label", np.nan, "whole numbers from -1 to 12"),
    ],
)
def test_a_preprocessed_array_that_holds_something_else_is_refused(
    field: str, number: float, wanted: str, tmp_path: Path
) -> None:
    files = array_files()
    name = f"train/{field}/3.npy"
    array = np.load(io.BytesIO(files[name]))
    array[5, 5] = number
    content = io.BytesIO()
    np.save(content, array)
    files[name] = content.getvalue()
    with pytest.raises(MtlError) as caught:
        nyuv2(write_folder(tmp_path, files), (12, 16), ALL, validation=0.25)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL602"
    assert found.cause.startswith(name)
    assert wanted in found.cause


def test_the_preprocessed_layout_has_thirteen_classes_only(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL603.*13 classes, not 40"):
        nyuv2(write_folder(tmp_path, array_files()), (12, 16), {"label": 40})


@pytest.fixture(scope="module")
def real() -> Splits:
    tasks = dense_tasks(13, (48, 64))
    return load_data(spec("nyuv2", tasks, (3, 48, 64), root=str(ROOT), validation=0.1))


@needs_data
def test_the_real_data_set_has_its_official_splits(real: Splits) -> None:
    assert [len(samples) for _, samples in real.named()] == [715, 80, 654]


@needs_data
def test_the_real_data_set_has_plausible_fields(real: Splits) -> None:
    for _, samples in real.named():
        assert dict(samples.layout) == {
            "image": FieldKind.IMAGE,
            "label": FieldKind.LABEL,
            "depth": FieldKind.DEPTH,
            "normal": FieldKind.NORMAL,
            "edge": FieldKind.EDGE,
        }
        classes = set(samples.fields["label"].unique().tolist())
        assert classes == {*range(13), UNLABELLED}
        depth = samples.fields["depth"]
        assert 0.7 < float(depth.min()) < 1
        assert 9.5 < float(depth.max()) < 10
        normal = samples.fields["normal"].float()
        length = normal.norm(dim=1)
        assert float(((length - 1).abs() < 2e-3).float().mean()) > 0.98
        assert float((normal[:, 2] < 0).float().mean()) > 0.9
        assert 0.05 < float(samples.fields["edge"].float().mean()) < 0.25


@needs_data
def test_the_floor_of_the_real_data_set_looks_up(real: Splits) -> None:
    floor = real.test.fields["label"] == 4
    normal = real.test.fields["normal"].float().movedim(1, -1)[floor]
    assert float(normal[:, 1].median()) < -0.85


@needs_data
def test_the_real_data_set_has_forty_classes_too() -> None:
    loaded = nyuv2(ROOT / "nyuv2_96x128.zip", (24, 32), {"label": 40})
    labels = torch.cat([fields["label"] for fields in loaded.values()])
    assert len(labels) == 1449
    assert set(labels.unique().tolist()) == {*range(39), UNLABELLED}


@needs_data
def test_the_thirteen_classes_are_those_of_the_forty() -> None:
    table = np.append(FORTY_TO_THIRTEEN, [0] * (255 - 40) + [UNLABELLED])
    with open_recording(ROOT) as recording:
        for key in recording.test[::10]:
            forty, thirteen = recording.read(key, "label", 40), recording.read(key, "label", 13)
            assert np.array_equal(table[forty], thirteen)
