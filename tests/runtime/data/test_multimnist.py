from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mtsldsl import loads
from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import FieldKind, Samples, Splits, load_data
from tests.given import DATA, needs_data
from tests.runtime.data.factories import spec, task
from tests.runtime.data.test_mnist import same, write_npz

KINDS = ("multimnist", "multifashion")
REAL = {"multimnist": DATA / "mnist", "multifashion": DATA / "fashion_mnist"}
LEFT, RIGHT = (task(name, Target("classes", 10), name, dense=False) for name in ("left", "right"))

TEXT = """\
mtl 1

data multimnist {{
  root   = "{root}"
  images = 70
}}

{tasks}

backbone {{
  trunk = flatten | linear(8)
}}

train {{
  epochs = 1
}}
"""
BOTH = "task [left, right] {\n  target = classes(10)\n  head = linear(10)\n}"


def loaded(
    place: Path, *tasks: Task, kind: str = "multimnist", shape: Shape = (1, 36, 36), **options: Constant
) -> Splits[Samples]:
    return load_data(spec(kind, tasks or (LEFT, RIGHT), shape, root=str(place), **options))


def marked(count: int, first: int) -> NDArray[np.uint8]:
    """Images that are black but for their corners: the first is their number, all others are 250."""
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 250
    images[:, 0, 0] = np.arange(first, first + count)
    return images


def fields_of(text: str) -> dict[str, str | None]:
    return {each.name: each.field for each in loads(TEXT.format(root="nowhere", tasks=text)).tasks}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_two_images_that_are_moved_and_overlap_by_the_larger_value(tmp_path: Path, kind: str) -> None:
    places = write_npz(tmp_path / "a.npz", x_train=marked(40, 1), x_test=marked(6, 100))
    splits = loaded(places, kind=kind, images=70, validation=0.25)
    assert [len(samples) for _, samples in splits.named()] == [45, 15, 10]
    shifts = set()
    for name, samples in splits.named():
        kinds = {"image": FieldKind.IMAGE, "left": FieldKind.LABEL, "right": FieldKind.LABEL}
        assert samples.layout == kinds
        for index in range(len(samples)):
            corners = taken_apart(samples.fields["image"][index, 0].numpy(), 100 if name == "test" else 1)
            assert corners is not None
            for field, (number, shift) in zip(("left", "right"), corners, strict=True):
                wanted = number - 100 if name == "test" else (number - 1) % 10
                assert int(samples.fields[field][index]) == wanted
                shifts.add((field, *shift))
    assert {row for field, row, _ in shifts if field == "left"} == set(range(5))
    assert {column for field, _, column in shifts if field == "right"} == set(range(4, 9))


def taken_apart(canvas: NDArray[np.uint8], least: int) -> list[tuple[int, tuple[int, int]]] | None:
    """The number and the place of the two images whose corners make the picture, None where there are none such."""
    spots = {(int(row), int(column)): int(canvas[row, column]) for row, column in np.argwhere(canvas)}
    for row, column in spots:
        for other_row, other_column in spots:
            if not (row <= 4 and column <= 4 and 4 <= other_row <= 8 and 4 <= other_column <= 8):
                continue
            pair = ((row, column), (other_row, other_column))
            made = np.zeros((36, 36), np.uint8)
            for y, x in pair:
                made[[y, y, y + 27, y + 27], [x, x + 27, x, x + 27]] = 250
            for place in pair:
                made[place] = spots[place]
            if np.array_equal(made, canvas) and all(least <= spots[place] < 250 for place in pair):
                return [(spots[place], place) for place in pair]
    return None


def numbers(samples: Samples) -> set[int]:
    """The numbers of the images in some pairs."""
    return set(samples.fields["image"].unique().tolist()) - {0, 250}


def test_no_image_is_in_two_splits(tmp_path: Path) -> None:
    place = write_npz(tmp_path / "a.npz", x_train=marked(40, 1), x_test=marked(6, 100))
    found = [numbers(samples) for _, samples in loaded(place, images=700, validation=0.25).named()]
    assert [len(each) for each in found] == [30, 10, 6]
    assert found[0] | found[1] == set(range(1, 41))
    assert found[2] == set(range(100, 106))


def test_the_seed_decides_the_pairs_and_how_many_there_are_does_not(tmp_path: Path) -> None:
    place = write_npz(tmp_path / "a.npz")
    few, many = loaded(place, images=70), loaded(place, images=140)
    assert same(few, loaded(place, images=70))
    assert not same(few, loaded(place, images=70, seed=1))
    assert torch.equal(few.test.fields["image"], many.test.fields["image"][:10])


def test_a_picture_of_another_size_is_an_average(tmp_path: Path) -> None:
    place = write_npz(tmp_path / "a.npz")
    whole, half = (loaded(place, images=70, shape=(1, side, side)).test.fields["image"] for side in (36, 18))
    means = torch.nn.functional.avg_pool2d(whole.float(), 2)
    assert torch.equal(half, torch.floor(means + 0.5).to(torch.uint8))


def test_only_the_fields_that_tasks_read_are_there(tmp_path: Path) -> None:
    place = write_npz(tmp_path / "a.npz")
    image = task("itself", Target("reconstruct", 1), "image", size=(36, 36))
    assert set(loaded(place, RIGHT, image, images=70).train.fields) == {"image", "right"}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (BOTH, {"left": "left", "right": "right"}),
        (BOTH.replace("[left, right]", "[one, right]"), {"one": "left", "right": "right"}),
        (BOTH.replace("[left, right]", "right"), {"right": "right"}),
        (BOTH.replace("[left, right] {", "other {\n  field = right"), {"other": "right"}),
        (BOTH.replace("[left, right] {", "left {\n  field = right"), {"left": "right"}),
    ],
)
def test_a_task_reads_the_field_of_its_name_unless_it_names_another(text: str, fields: dict[str, str]) -> None:
    assert fields_of(text) == fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOTH.replace("10", "9"), r"MTL307.*`left` of `multimnist` has 10 channels, the target 9"),
        (BOTH.replace("classes(10)", "values(1)"), r"MTL307.*no field that holds `values`"),
        (BOTH.replace("[left, right] {", "a {\n  field = middle"), r"MTL307.*no field `middle`"),
    ],
)
def test_a_spec_that_asks_for_another_field_is_reported_without_the_data(text: str, message: str) -> None:
    with pytest.raises(MtlError, match=message):
        fields_of(text)


def test_how_many_pairs_there_are_to_train_on_is_known_without_the_data() -> None:
    known = data_kind("multimnist")
    options: dict[str, Constant] = {"root": "nowhere", "images": 70_000, "validation": 0.1, "seed": 0}
    assert known.training_samples(options) == 54_000
    assert not known.apart(options)
    assert known.classes(options, "left") == 10


def test_an_image_as_output_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL603.*one class for each image"):
        loaded(write_npz(tmp_path / "a.npz"), task("left", Target("classes", 10), "left", size=(36, 36)))


@needs_data
@pytest.mark.parametrize("kind", KINDS)
def test_real_images_of_both_classes_are_in_a_pair(kind: str) -> None:
    (file,) = REAL[kind].glob("*.npz")
    with np.load(file) as arrays:
        images, classes = arrays["x_test"], arrays["y_test"]
    test = loaded(REAL[kind], kind=kind, images=700).test
    assert len(test) == 100
    for index in range(0, 100, 10):
        canvas = test.fields["image"][index, 0].numpy().astype(np.int16)
        for field, corners in (("left", range(5)), ("right", range(4, 9))):
            # an image of the class, of which no pixel is brighter than the picture, and which the picture shows
            label = int(test.fields[field][index])
            shown = [
                candidate
                for y in corners
                for x in corners
                for candidate in images[classes == label]
                if (candidate <= canvas[y : y + 28, x : x + 28]).all()
            ]
            assert shown
