"""What the numbers of an array mean, and what is said of those that can only be, or may be, a slip."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.runtime.data import Splits, batches, load_data
from mtsldsl.runtime.data.array_fields import fitted, of_one_sample
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.fields import FieldKind
from tests.runtime.data.factories import spec, task

RANDOM = np.random.default_rng(5)
IMAGE = Expected(FieldKind.IMAGE, (2, 3, 4))
ROWS = Expected(FieldKind.PLAIN, (3,))


IDS = Expected(FieldKind.LABEL, (5,), ids=9)
TOKENS = Expected(FieldKind.PLAIN, (5, 2))
TOKEN_LABELS = Expected(FieldKind.LABEL, (5,), Target("classes", 4), by_token=True)


def classes(count: int, *space: int, ignore: int | None = None) -> Expected:
    return Expected(FieldKind.LABEL, space, Target("classes", count, ignore))


def binary(ignore: int | None = None) -> Expected:
    return Expected(FieldKind.EDGE, (1,), Target("binary", 1, ignore))


def values(valid: str = "finite") -> Expected:
    return Expected(FieldKind.PLAIN, (1,), Target("values", 1, valid=valid))


def read(array: np.ndarray, expected: Expected) -> torch.Tensor:
    return fitted({"it": array}, expected).tensors["it"]


def refused(array: np.ndarray, expected: Expected) -> tuple[str, str]:
    """The cause and the remedy."""
    with pytest.raises(MtlError) as caught:
        fitted({"it": array}, expected)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL602"
    return found.cause, str(found.remedy)


def refused_of_one(array: np.ndarray, expected: Expected) -> str:
    """The remedy for the array of one sample."""
    with pytest.raises(MtlError, match="MTL602") as caught:
        of_one_sample("it", array, expected)
    return str(caught.value.diagnostics[0].remedy)


def array_of(count: int, expected: Expected) -> np.ndarray:
    return np.zeros((count, *expected.shape), np.float32)


def in_a_batch(path: Path, image: np.ndarray) -> torch.Tensor:
    np.savez(path, image=image, age=np.arange(len(image)))
    age = task("age", Target("values", 1), dense=False)
    found = load_data(spec("arrays", (age,), image.shape[1:], path=str(path)))
    ordered = torch.empty(image.shape)
    for samples in (found.train, found.validation, found.test):
        batch = next(batches(samples, len(samples)))
        ordered[batch["age"][:, 0].long()] = batch["image"]
    return ordered


# Images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "scale"),
    [
        (RANDOM.integers(0, 256, (10, 2, 3, 4)).astype(np.uint8), 255),
        (RANDOM.integers(0, 65536, (10, 2, 3, 4)).astype(np.uint16), 65535),
        (RANDOM.integers(0, 65536, (10, 2, 3, 4)).astype(">u2"), 65535),
        (RANDOM.integers(0, 2, (10, 2, 3, 4)).astype(bool), 1),
        (RANDOM.normal(size=(10, 2, 3, 4)), 1),
        (RANDOM.normal(size=(10, 2, 3, 4)).astype(">f4"), 1),
        (RANDOM.normal(size=(10, 2, 3, 4)).astype(np.float16), 1),
        (np.asfortranarray(RANDOM.integers(0, 256, (10, 2, 3, 4)).astype(np.uint8)), 255),
    ],
    ids=["uint8", "uint16", "big-endian uint16", "bool", "float64", "big-endian float32", "float16", "by columns"],
)
def test_integers_are_divided_by_the_range_of_their_type(tmp_path: Path, image: np.ndarray, scale: int) -> None:
    found = in_a_batch(tmp_path / "a.npz", image)
    np.testing.assert_allclose(found.numpy(), image.astype(np.float64) / scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        (np.full((5, 2, 3, 4), 200, np.int64), "numpy.uint8"),
        (np.full((5, 2, 3, 4), 255, np.uint16), "numpy.uint8"),
        (np.full((5, 2, 3, 4), 256, np.int32), "numpy.uint16"),
        (np.full((5, 2, 3, 4), 65535, np.uint64), "numpy.uint16"),
        (np.full((5, 2, 3, 4), 65536, np.int64), "save float32"),
        (np.full((5, 2, 3, 4), -1000, np.int16), "save float32"),
        (np.full((5, 2, 3, 4), -1, np.int8), "save float32"),
        (np.ones((5, 2, 3, 4), np.int64), "save float32"),
    ],
)
def test_integers_whose_range_says_nothing_are_refused(image: np.ndarray, remedy: str) -> None:
    cause, said = refused(image, IMAGE)
    assert str(image.dtype) in cause
    assert remedy in said


def test_splits_whose_images_are_scaled_in_different_ways_are_refused() -> None:
    train, test = np.full((4, 2, 3, 4), 200, np.uint8), np.full((2, 2, 3, 4), 0.8)
    with pytest.raises(MtlError, match=r"MTL602.*train uint8 and test float64(.|\n)*as one type"):
        fitted({"train": train, "test": test}, IMAGE)


def test_a_dark_split_is_scaled_as_the_others_are() -> None:
    found = fitted({"a": np.full((2, 2, 3, 4), 9000, np.uint16), "b": np.full((2, 2, 3, 4), 200, np.uint16)}, IMAGE)
    assert found.tensors["b"].unique().tolist() == pytest.approx([200 / 65535])


@pytest.mark.parametrize(
    ("image", "remark"),
    [
        (np.full((5, 2, 3, 4), 255.0), "numbers up to 255"),
        (np.full((5, 2, 3, 4), -1000.0), "numbers up to 1000"),
        (np.ones((5, 2, 3, 4), np.uint8), "no numbers but 0 and 1"),
    ],
)
def test_images_of_an_odd_range_are_remarked_on(image: np.ndarray, remark: str) -> None:
    (said,) = fitted({"it": image}, IMAGE).remarks
    assert remark in said


@pytest.mark.parametrize(
    "image", [np.full((5, 2, 3, 4), 1.0), np.full((5, 2, 3, 4), -5.0), np.full((5, 2, 3, 4), 2, np.uint8)]
)
def test_images_of_a_usual_range_are_not(image: np.ndarray) -> None:
    assert fitted({"it": image}, IMAGE).remarks == ()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("expected", [IMAGE, ROWS], ids=["image", "rows"])
def test_what_is_not_finite_in_an_input_is_found_with_its_row(wrong: float, expected: Expected) -> None:
    array = np.zeros((9, *expected.shape))
    array[4, ..., 1] = wrong
    array[7] = wrong
    cause, remedy = refused(array, expected)
    assert "row 4 (from 0)" in cause
    assert f"{wrong:g}" in cause
    assert "1 more" in cause
    assert "nan_to_num" in remedy


def test_what_is_not_finite_in_an_input_is_found_in_its_split(tmp_path: Path) -> None:
    rows = {f"{split}/image": np.zeros((4, 3), np.float32) for split in ("train", "validation", "test")}
    rows["validation/image"][2, 0] = np.nan
    ages = {f"{split}/age": np.zeros(4) for split in ("train", "validation", "test")}
    np.savez(tmp_path / "a.npz", **rows, **ages)
    age = task("age", Target("values", 1), dense=False)
    with pytest.raises(MtlError, match=r"row 2 \(from 0\) of `validation/image`"):
        load_data(spec("arrays", (age,), (3,), path=str(tmp_path / "a.npz")))


# Class numbers --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    labels=arrays_of.arrays(np.int64, st.tuples(st.integers(1, 20)), elements=st.integers(0, 6)),
    missing=st.integers(0, 2**20 - 1),
    ignore=st.sampled_from([None, 0, 3, 255, -1, -7]),
    kind=st.sampled_from(["f2", "f4", "f8", ">f4"]),
)
def test_a_label_that_is_not_finite_or_ignored_is_missing_and_the_others_stay(
    labels: np.ndarray, missing: int, ignore: int | None, kind: str
) -> None:
    gone = np.array([bool(missing >> index & 1) for index in range(len(labels))])
    array = np.where(gone, [np.nan, np.inf, -np.inf][missing % 3], labels).astype(kind)
    found = read(array, classes(7, ignore=ignore))
    ignored = False if ignore is None else labels == ignore
    assert found.long().tolist() == np.where(gone | ignored, -1, labels).tolist()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint16, ">i4", np.int64, np.uint64, np.float16, ">f8"])
def test_class_numbers_may_have_any_type(dtype: Any) -> None:
    assert read(np.array([0, 1, 1]).astype(dtype), classes(2)).tolist() == [0, 1, 1]


@pytest.mark.parametrize("label", [0.5, 1e300, 2.0**63, 3, -1])
def test_no_class_is_refused_without_a_warning_of_numpy(label: float) -> None:
    cause, _ = refused(np.array([0, label, np.nan]), classes(3))
    assert "holds 0.5, where" in cause if label == 0.5 else f"{int(label)}" in cause


@pytest.mark.parametrize(
    ("labels", "ignore", "remedy"),
    [
        ([1, 2, 3], None, "subtract 1"),
        ([0, 1, 2, 3], 0, "write classes(4, ignore=0), with a head of 4"),
        ([0, 1, 2, -1], None, "classes(3, ignore=-1)"),
        ([0, 1, 255], None, "classes(3, ignore=255)"),
        ([0, 1, 255, -1], None, "classes(..., ignore=...)"),
        ([0, 5], 1, "classes(..., ignore=...)"),
    ],
)
def test_labels_outside_of_the_classes_have_the_remedy_that_fits(
    labels: list[int], ignore: int | None, remedy: str
) -> None:
    assert remedy in refused(np.array(labels), classes(3, ignore=ignore))[1]


def test_a_mask_of_0_and_255_is_no_class_of_which_one_is_ignored() -> None:
    remedy = refused(np.array([0, 255, 255]), classes(2))[1]
    assert remedy.startswith("save a mask of 0 and 1, such as `array > 0`")
    assert "ignore=2" in refused(np.array([0, 1, 2]), classes(2))[1]


@pytest.mark.parametrize(
    ("array", "expected", "remedy"),
    [
        (np.eye(4)[[0, 1, 2]], classes(4), "array.argmax(axis=1)"),
        (np.zeros((3, 4, 5, 6)), classes(4, 5, 6), "array.argmax(axis=1)"),
        (np.zeros((3, 5, 6, 4)), classes(4, 5, 6), "array.argmax(axis=-1)"),
        (np.zeros((3, 5, 6, 1)), classes(4, 5, 6), "array[..., 0]"),
        (np.zeros((3, 9)), classes(4), "where each of 9 tokens has an answer, end the head with `linear(4)` on tokens"),
        (np.zeros((3, 5, 6)), classes(4), "end the head with `conv2d(4, 1) | resize(...)`"),
        (np.zeros(3), classes(4, 5, 6), "end the head with `adaptive_avg_pool2d(1) | flatten | linear(4)`"),
        (np.zeros(3), TOKEN_LABELS, "end the head with `mean_tokens | linear(4)`"),
        (np.zeros((3, 4)), TOKEN_LABELS, "pad or cut the array to a length of 5, with what stands for a missing label"),
        (np.zeros((3, 4, 2)), TOKENS, "pad or cut the sequences to a length of 5, or write 4 as the length of `input`"),
        (
            np.zeros((3, 4)),
            IDS,
            "pad or cut the sequences to a length of 5, with an id of its own where they are padded",
        ),
        (np.zeros((3, 4)), IDS, "or write 4 as the length of `input`"),
        (np.array([[1], [2, 3]], object), IDS, "pad or cut the sequences to a length of 5, with an id of its own"),
        (np.array([[1], [2, 3]], object), TOKENS, "pad or cut the sequences to a length of 5, and save"),
        (np.array([[1], [2, 3]], object), ROWS, "padded or cut to one length"),
        (np.zeros((3, 2)), ROWS, "write 2 as the size of `input`"),
        (np.zeros((3, 2)), values(), "write `values(2)` with a head of 2"),
        (np.zeros((3, 5, 6, 7)), ROWS, "write the shape of a sample into `input`"),
        (np.zeros((3, 5, 6, 7)), classes(4), "change the head, or the array"),
        (np.eye(2)[[0, 1, 1]], binary(), "array.argmax(axis=1)"),
        (np.zeros((3, 2, 5, 6)), Expected(FieldKind.EDGE, (1, 5, 6), Target("binary", 1)), "array.argmax(axis=1)"),
        (np.zeros((3, 10, 12)), classes(4, 5, 6), "resize the array to 5 x 6, or end the head with `resize_as(image)`"),
        (
            np.zeros((3, 1, 10, 12)),
            Expected(FieldKind.PLAIN, (1, 5, 6), Target("values", 1)),
            "resize the array to 5 x 6",
        ),
        (np.zeros((3, 2, 30, 40)), IMAGE, "resize or pad the images to 3 x 4"),
        (np.array(["cat", "dog", "cat"]), classes(2), "numpy.unique(array, return_inverse=True)"),
        (np.array([b"cat", b"dog"]), classes(2), "numpy.unique(array, return_inverse=True)"),
        (np.array(["2020-01-01"], "M8[D]"), values(), "as a number"),
        (np.zeros(3, complex), values(), "real numbers"),
        (np.zeros((3, 3, 4, 2)), IMAGE, "numpy.moveaxis(array, -1, 1)"),
        (np.zeros((3, 3, 4)), IMAGE, "numpy.repeat(array[:, None], 2, axis=1)"),
        (np.zeros((3, 1, 3, 4)), IMAGE, "numpy.repeat(array, 2, axis=1)"),
    ],
)
def test_a_shape_or_type_that_people_often_have_has_its_remedy(
    array: np.ndarray, expected: Expected, remedy: str
) -> None:
    assert remedy in refused(array, expected)[1]


@pytest.mark.parametrize("expected", [ROWS, Expected(FieldKind.PLAIN, (3,), Target("values", 3))])
def test_numbers_that_float32_cannot_tell_apart_are_remarked_on(expected: Expected) -> None:
    rows = RANDOM.random((50, 3))
    rows[3, 2] = np.nan if expected.target else 0.5
    assert not fitted({"it": rows}, expected).remarks
    for dtype in (np.float64, np.int64):
        times = np.array([[1, 2, 1_700_000_000 + second] for second in range(60)], dtype)
        (remark,) = fitted({"it": times}, expected).remarks
        assert "rounded by up to" in remark
        assert "since the first" in remark
        assert not fitted({"it": times - times[0]}, expected).remarks


def test_directions_may_have_any_length() -> None:
    target = Expected(FieldKind.PLAIN, (3,), Target("unit_vectors", 3))
    found = read(np.array([[3e-50, 0, 4e-50], [0, 3e60, -4e60], [0, 0, 0], [np.nan, 1, 1]]), target)
    np.testing.assert_allclose(found[:3].numpy(), [[0.6, 0, 0.8], [0, 0.6, -0.8], [0, 0, 0]], atol=1e-6)
    assert found[3].isnan().any()


def test_pixels_that_are_no_images_are_remarked_on() -> None:
    pixels = RANDOM.integers(0, 256, (5, 64)).astype(np.uint8)
    (remark,) = fitted({"it": pixels}, Expected(FieldKind.PLAIN, (64,))).remarks
    assert "array / 255" in remark
    for usual in (pixels / 255, pixels[:, :8], pixels.astype(np.int64), (pixels > 9).astype(np.uint8)):
        assert not fitted({"it": usual}, Expected(FieldKind.PLAIN, usual.shape[1:])).remarks


TOKEN_VALUES = Expected(FieldKind.PLAIN, (5, 2), Target("values", 2), by_token=True)
TOKEN_ANSWERS = Expected(FieldKind.EDGE, (5, 1), Target("binary", 1), by_token=True)
SQUARE = Expected(FieldKind.IMAGE, (1, 4, 4))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((4,), classes(4)), ((4, 5, 6), classes(4, 5, 6)), ((5, 6, 4), classes(4, 5, 6)), ((2,), binary()),
        ((5, 4), TOKEN_LABELS), ((4, 5), TOKEN_LABELS), ((5, 2), TOKEN_ANSWERS), ((2, 5), TOKEN_ANSWERS),
        ((1, 1), classes(4)), ((1, 5), TOKEN_LABELS), ((5, 6, 1), classes(4, 5, 6)),
        ((1, 3), ROWS), ((3, 1), ROWS), ((1, 2, 3, 4), IMAGE), ((2, 3, 4, 1), IMAGE), ((1, 5, 2), TOKENS),
        ((5, 1, 2), TOKENS), ((4, 4, 1), SQUARE), ((1, 1, 4, 4), SQUARE),
        ((3, 4, 2), IMAGE), ((2, 5), TOKENS), ((2, 5), TOKEN_VALUES),
        ((3, 4), IMAGE), ((1, 3, 4), IMAGE), ((24,), IMAGE), ((16,), SQUARE), ((10,), TOKENS), ((30,), classes(4, 5, 6)),
        ((5,), ROWS), ((3,), values()),
    ],
)  # fmt: skip
def test_what_a_remedy_writes_makes_of_the_array_what_is_expected(found: tuple[int, ...], expected: Expected) -> None:
    array = np.zeros((7, *found), np.float32)
    written = re.search(r"`((?:array|numpy)[.\[][^`]+)`", refused(array, expected)[1])
    assert written is not None
    mended = eval(written[1], {"array": array, "numpy": np})
    assert len(read(mended, expected)) == 7
    written = re.search(r"`((?:array|numpy)[.\[][^`]+)`", refused_of_one(array[0], expected))
    assert written is not None
    mended = eval(written[1], {"array": array[0], "numpy": np})
    assert of_one_sample("it", np.asarray(mended), expected).shape == read(array_of(7, expected), expected).shape[1:]


def test_a_swapped_sample_may_be_what_the_spec_should_say() -> None:
    assert "or write `(2, 5)` as the sizes of `input`" in refused_of_one(np.zeros((2, 5)), TOKENS)
    assert "`input`" not in refused_of_one(np.zeros((2, 5)), TOKEN_VALUES)


def test_the_remedies_of_shapes_are_right() -> None:
    hot_answers = np.eye(2)[[0, 1, 1]]
    assert read(hot_answers.argmax(axis=1), binary()).flatten().tolist() == [0, 1, 1]
    hot = np.eye(4)[RANDOM.integers(0, 4, (3, 5, 6))]
    assert torch.equal(
        read(np.moveaxis(hot, -1, 1).argmax(axis=1), classes(4, 5, 6)), read(hot.argmax(-1), classes(4, 5, 6))
    )
    last = RANDOM.random((3, 3, 4, 2))
    assert read(np.moveaxis(last, -1, 1), IMAGE)[2, 1, 0, 3] == np.float32(last[2, 0, 3, 1])
    names, numbers = np.unique(np.array(["dog", "cat", "dog"]), return_inverse=True)
    assert [names[label] for label in read(numbers, classes(2))] == ["dog", "cat", "dog"]


@pytest.mark.parametrize("shape", [(3, 5, 6), (3, 1, 5, 6)])
def test_labels_may_have_a_channel_dimension_of_one(shape: tuple[int, ...]) -> None:
    labels = RANDOM.integers(0, 4, shape)
    assert torch.equal(read(labels, classes(4, 5, 6)).long(), torch.from_numpy(labels.reshape(3, 5, 6)))


def test_labels_of_samples_may_be_a_column() -> None:
    assert read(np.array([[0], [2], [1]]), classes(3)).tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("shape", "target", "field", "remedy"),
    [
        ((1, 6, 8), Target("values", 1), "image", "resize or pad its samples to one size"),
        ((3,), Target("values", 1), "image", "samples that are padded or cut to one length"),
        ((5, 2), Target("values", 1), "image", r"pad or cut the sequences to a length of 5, and save `numpy\.stack"),
        ((3,), Target("classes", 2), "age", "give each name a number"),
        ((3,), Target("values", 1), "age", "nan for what is missing"),
    ],
)
def test_ragged_arrays_are_refused_with_what_to_do(
    tmp_path: Path, shape: tuple[int, ...], target: Target, field: str, remedy: str
) -> None:
    ragged = np.empty(4, object)
    ragged[:] = [np.zeros((1, 6, size)) for size in (8, 9, 8, 7)]
    found = {"image": np.zeros((4, *shape)), "age": np.zeros(4)} | {field: ragged}
    np.savez(tmp_path / "a.npz", **found)
    with pytest.raises(MtlError, match=rf"MTL602.*`{field}`.* no array of numbers(.|\n)*{remedy}"):
        load_data(spec("arrays", (task("age", target, dense=False),), shape, path=str(tmp_path / "a.npz")))


# Yes and no, values, directions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignore", [-1, 255, 2])
def test_an_answer_that_is_ignored_and_a_missing_one_may_stand_side_by_side(ignore: int) -> None:
    found = read(np.array([0, 1, ignore, np.nan, 1]), binary(ignore))[:, 0]
    assert found[[0, 1, 4]].tolist() == [0, 1, 1]
    assert found[[2, 3]].isnan().all()


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        ([0, 1, -1], "binary(1, ignore=-1)"),
        ([0, 1, 255], "binary(1, ignore=255)"),
        ([0, 255], "`array > 0`"),
        ([1, 2, 2], "`array - 1`"),
        ([1, 2, 3], "answers of 0 and 1"),  # all of them are above 0
        ([-1, 1], "`array > 0`; or write binary(1, ignore=-1) if -1 means no answer"),
        ([0.2, 0.9, 1], "`array > 0.5`"),
    ],
)
def test_other_answers_than_yes_and_no_have_their_remedy(array: list[float], remedy: str) -> None:
    assert remedy in refused(np.array(array), binary())[1]


def test_values_keep_what_is_missing_and_refuse_what_float32_cannot_hold() -> None:
    kept = read(np.array([1.5, np.nan, -np.inf]), values())[:, 0]
    assert kept[0] == 1.5
    assert not torch.isfinite(kept[1:]).any()
    cause, _ = refused(np.array([1.0, np.nan, 1e39]), values())
    assert "row 2 (from 0)" in cause
    assert "1e+39" in cause


def test_directions_of_a_type_without_signs_are_refused() -> None:
    expected = Expected(FieldKind.PLAIN, (3,), Target("unit_vectors", 3))
    cause, remedy = refused(np.full((2, 3), 128, np.uint8), expected)
    assert "negative" in cause
    assert "array / 127.5 - 1" in remedy


def test_directions_that_look_like_colours_are_remarked_on() -> None:
    expected = Expected(FieldKind.PLAIN, (3,), Target("unit_vectors", 3))
    (said,) = fitted({"it": np.full((2, 3), 0.5)}, expected).remarks
    assert "array * 2 - 1" in said
    assert fitted({"it": np.array([[0.0, -0.6, 0.8]])}, expected).remarks == ()
    assert fitted({"it": np.zeros((2, 3))}, expected).remarks == ()


def test_an_array_called_depth_with_zeros_that_count_is_remarked_on() -> None:
    depth = np.ones((2, 1, 3, 4))
    depth[0] = 0
    (said,) = fitted({"it": depth}, Expected(FieldKind.DEPTH, (1, 3, 4), Target("values", 1))).remarks
    assert said.startswith("50 % of the numbers of it are 0")
    assert "valid=positive" in said
    for other in (
        fitted({"it": depth}, Expected(FieldKind.DEPTH, (1, 3, 4), Target("values", 1, valid="positive"))),
        fitted({"it": depth}, Expected(FieldKind.PLAIN, (1, 3, 4), Target("values", 1))),
        fitted({"it": depth - 0.5}, Expected(FieldKind.DEPTH, (1, 3, 4), Target("values", 1))),
    ):
        assert other.remarks == ()


# Files ----------------------------------------------------------------------------------------------------------------


def loaded(path: Path, tasks: tuple[Task, ...], shape: tuple[int, ...]) -> Splits:
    return load_data(spec("arrays", tasks, shape, path=str(path)))


@pytest.mark.parametrize(("called", "meant"), [("val", "validation"), ("valid", "validation"), ("dev", "validation")])
def test_a_split_of_another_name_is_not_left_out_in_silence(tmp_path: Path, called: str, meant: str) -> None:
    age = task("age", Target("values", 1), dense=False)
    arrays = {
        f"{split}/{name}": np.zeros((4, 3) if name == "image" else 4)
        for split in ("train", "test", called)
        for name in ("image", "age")
    }
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(MtlError, match=rf"MTL603.*`{called}/...`(.|\n)*`{meant}/...`"):
        loaded(tmp_path / "a.npz", (age,), (3,))


def test_remarks_come_with_the_splits(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.full((10, 1, 6, 8), 200.0), age=np.zeros(10))
    (said,) = loaded(tmp_path / "a.npz", (task("age", Target("values", 1), dense=False),), (1, 6, 8)).remarks
    assert "`image`" in said


def test_empty_arrays_are_an_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.zeros((0, 3)), age=np.zeros(0), kind=np.zeros(0))
    tasks = (task("age", Target("values", 1), dense=False), task("kind", Target("classes", 4), dense=False))
    with pytest.raises(MtlError, match=r"MTL804.*has 0 samples, and none is left for train"):
        loaded(tmp_path / "a.npz", tasks, (3,))


def test_directions_of_samples_are_taken_to_length_1_as_those_of_pixels_are() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 3)) * 10.0 ** generator.integers(-6, 6, size=(50, 1))
    vectors[3], vectors[4] = 0, np.nan
    found = read(vectors, Expected(FieldKind.PLAIN, (3,), Target("unit_vectors", 3))).double().numpy()
    wanted = vectors / np.where(vectors.any(1), np.linalg.norm(vectors, axis=1), 1)[:, None]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_the_largest_number_of_a_type_may_mean_that_there_is_no_label() -> None:
    labels = np.array([0, 1, 2**64 - 1, 1], np.uint64)
    found = read(labels, classes(2, ignore=2**64 - 1))
    assert found.tolist() == [0, 1, -1, 1]
