from __future__ import annotations

import gzip
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import FieldKind, Samples, Splits
from mtsldsl.runtime.data.demand import Part
from tests.given import DATA, needs_data
from tests.records import data_of
from tests.runtime.data.factories import task

DIGIT = task("digit", Target("classes", 10), dense=False)
AGAIN = task("again", Target("classes", 10), "digit", dense=False)
KINDS = ("mnist", "fashion_mnist")
REAL = {"mnist": DATA / "mnist", "fashion_mnist": DATA / "fashion_mnist"}


def loaded(
    place: Path, *tasks: Task, kind: str = "mnist", shape: Shape = (1, 28, 28), **options: Constant
) -> dict[str, Splits[Samples]]:
    demand = Part(data_of(kind, "image", shape, 2, root=str(place), **options), tasks or (DIGIT,))
    found: dict[str, Splits[Samples]] = import_module(f"mtsldsl.datasets.{kind}.load").load(demand, place, False)
    return found


def made_up(train: int = 40, test: int = 6) -> dict[str, NDArray[np.uint8]]:
    """Images of which the first pixel is their number, from 100 on in the test; the class is its last digit."""
    images = np.random.default_rng(0).integers(0, 256, (train + test, 28, 28), dtype=np.uint8)
    number = np.concatenate([np.arange(train), 100 + np.arange(test)]).astype(np.uint8)
    images[:, 0, 0] = number
    return {
        "x_train": images[:train],
        "y_train": number[:train] % 10,
        "x_test": images[train:],
        "y_test": number[train:] % 10,
    }


def write_npz(path: Path, **changed: NDArray[np.generic]) -> Path:
    np.savez(path, **(made_up() | changed))
    return path


def published(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write_published(folder: Path, packed: bool = False, dot: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for name, array in zip(names, made_up().values(), strict=True):
        content = published(array)
        file = (name.replace("-idx", ".idx") if dot else name) + (".gz" if packed else "")
        (folder / file).write_bytes(gzip.compress(content) if packed else content)
    return folder


def same(one: Splits[Samples], other: Splits[Samples]) -> bool:
    return all(
        torch.equal(tensor, theirs.fields[name])
        for (_, ours), (_, theirs) in zip(one.named(), other.named(), strict=True)
        for name, tensor in ours.fields.items()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_validation_is_a_seeded_part_of_training_and_the_test_set_stays(tmp_path: Path, kind: str) -> None:
    place = write_npz(tmp_path / "a.npz")
    splits = loaded(place, kind=kind, validation=0.25, seed=3)["digit"]
    assert [len(samples) for _, samples in splits.named()] == [30, 10, 6]
    numbers = [samples.fields["image"][:, 0, 0, 0].tolist() for _, samples in splits.named()]
    assert sorted(numbers[0] + numbers[1]) == list(range(40))
    assert numbers[2] == list(range(100, 106))
    for _, samples in splits.named():
        assert torch.equal(samples.fields["digit"], samples.fields["image"][:, 0, 0, 0] % 10)
        assert samples.layout == {"image": FieldKind.IMAGE, "digit": FieldKind.LABEL}
    assert same(splits, loaded(place, kind=kind, validation=0.25, seed=3)["digit"])
    assert not same(splits, loaded(place, kind=kind, validation=0.25, seed=4)["digit"])


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_training_images_are_some_of_them_and_the_others_stay(tmp_path: Path, kind: str) -> None:
    place = write_npz(tmp_path / "a.npz")
    whole, few = (
        [
            samples.fields["image"][:, 0, 0, 0].tolist()
            for _, samples in loaded(place, kind=kind, train_samples=wanted)["digit"].named()
        ]
        for wanted in (None, 20)
    )
    assert len(few[0]) == 20
    assert set(few[0]) < set(whole[0])
    assert few[1:] == whole[1:]


def test_all_layouts_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    places = [
        write_npz(tmp_path / "a.npz"),
        write_npz(tmp_path / "folder" / "a.npz").parent,
        write_published(tmp_path / "plain"),
        write_published(tmp_path / "packed", packed=True),
        write_published(tmp_path / "dotted", dot=True),
    ]
    first, *others = (loaded(place)["digit"] for place in places)
    assert all(same(first, other) for other in others)


def test_each_task_has_the_classes_under_its_own_field(tmp_path: Path) -> None:
    image = task("image_itself", Target("reconstruct", 1), "image", size=(28, 28))
    found = loaded(write_npz(tmp_path / "a.npz"), DIGIT, AGAIN, task("other", DIGIT.target, dense=False), image)
    fields = {name: set(splits.test.fields) - {"image"} for name, splits in found.items()}
    assert fields == {"digit": {"digit"}, "again": {"digit"}, "other": {"other"}, "image_itself": set()}


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_images_are_turned_counter_clockwise(tmp_path: Path, degrees: int) -> None:
    splits = loaded(write_npz(tmp_path / "a.npz"), rotate=degrees)["digit"]
    for index, image in enumerate(made_up()["x_test"]):
        assert np.array_equal(splits.test.fields["image"][index, 0].numpy(), np.rot90(image, degrees // 90))
    assert torch.equal(splits.test.fields["digit"], torch.arange(6, dtype=torch.uint8))


def test_images_are_turned_before_they_are_resized(tmp_path: Path) -> None:
    splits = loaded(write_npz(tmp_path / "a.npz"), rotate=90, shape=(1, 14, 7))["digit"]
    turned = np.rot90(made_up()["x_test"], axes=(1, 2)).astype(np.float64)
    means = turned.reshape(6, 14, 2, 7, 4).mean(axis=(2, 4))
    assert np.array_equal(splits.test.fields["image"][:, 0].numpy(), np.floor(means + 0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_ten_classes_without_a_look_at_the_data(kind: str) -> None:
    known = data_kind(kind)
    assert known.apart({})
    assert known.classes({}, "anything") == 10


@pytest.mark.parametrize(
    ("wrong", "shape", "message"),
    [
        (task("digit", Target("classes", 9), dense=False), (1, 28, 28), r"MTL603.*has 10 classes, not 9"),
        (task("digit", Target("binary", 1), dense=False), (1, 28, 28), r"MTL603.*has classes, and no `binary`"),
        (task("digit", Target("classes", 10), size=(4, 4)), (1, 28, 28), r"MTL603.*one class for each image"),
        (DIGIT, (3, 28, 28), r"MTL602.*images of 1 channel"),
        (DIGIT, (784,), r"MTL602.*images of 1 channel, but the input is 784"),
    ],
)
def test_what_the_data_set_has_not_is_an_error(tmp_path: Path, wrong: Task, shape: Shape, message: str) -> None:
    with pytest.raises(MtlError, match=message):
        loaded(write_npz(tmp_path / "a.npz"), wrong, shape=shape)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": np.zeros((40, 784), np.uint8)}, r"`x_train` of .* uint8 40 x 784, not uint8 images of 28 x 28"),
        ({"x_train": np.zeros((40, 28, 28))}, r"`x_train` of .* float64"),
        ({"y_train": np.zeros(39, np.uint8)}, r"`y_train` of .* uint8 39"),
        ({"y_test": np.full(6, 10, np.uint8)}, r"row 0 .*`y_test` of .* the label 10, and the classes are 0 to 9"),
        ({"y_test": np.full(6, 0.5)}, r"`y_test` of .* float64"),
        ({"x_test": np.array([None])}, r"`x_test` of `.*` cannot be read"),
    ],
)
def test_arrays_of_another_kind_are_an_error(
    tmp_path: Path, changed: dict[str, NDArray[np.generic]], message: str
) -> None:
    with pytest.raises(MtlError, match=f"MTL602.*{message}"):
        loaded(write_npz(tmp_path / "a.npz", **changed))


def test_files_that_are_not_there_or_damaged_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*holds nothing of the data set(.|\n)*train-images-idx3-ubyte.gz"):
        loaded(tmp_path)
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name)
    with pytest.raises(MtlError, match=r"MTL602.*holds 2 .npz files(.|\n)*name the file itself"):
        loaded(tmp_path)
    np.savez(tmp_path / "a.npz", x_train=np.zeros(3))
    with pytest.raises(MtlError, match=r"MTL602.*no array `y_train`"):
        loaded(tmp_path / "a.npz")


@pytest.mark.parametrize("cut", [0, 3, 9, 500])
@pytest.mark.parametrize("packed", [False, True])
def test_published_files_that_are_not_whole_are_an_error(tmp_path: Path, packed: bool, cut: int) -> None:
    folder = write_published(tmp_path / "a", packed=packed)
    (file,) = folder.glob("train-images*")
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(MtlError, match=r"MTL602.*train-images-idx3-ubyte.*is no whole"):
        loaded(folder)
    file.unlink()
    with pytest.raises(MtlError, match=r"MTL602.*has only train-labels-idx1-ubyte.*of the four files"):
        loaded(folder)


@needs_data
@pytest.mark.parametrize("kind", KINDS)
def test_the_real_files_have_their_images_and_classes(kind: str) -> None:
    (file,) = REAL[kind].glob("*.npz")
    with np.load(file) as arrays:
        raw = {name: arrays[name] for name in arrays.files}
    splits = loaded(REAL[kind], kind=kind, rotate=180)["digit"]
    assert [len(samples) for _, samples in splits.named()] == [10_800, 1_200, 2_000]
    assert np.array_equal(splits.test.fields["image"][:, 0].numpy(), raw["x_test"][:, ::-1, ::-1])
    assert np.array_equal(splits.test.fields["digit"].numpy(), raw["y_test"])
    counts = splits.train.fields["digit"].bincount() + splits.validation.fields["digit"].bincount()
    assert counts.tolist() == np.bincount(raw["y_train"]).tolist()
