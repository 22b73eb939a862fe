"""What is said of labels before anything trains: classes that a split lacks, and numbers far from 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.cli import main
from mtsldsl.editing import load
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import FieldKind, Samples, Splits, load_data
from mtsldsl.runtime.data.label_remarks import remarks_on_labels
from tests.ir.test_pedantic import ROOT
from tests.runtime.data.factories import spec, task

KEYS: dict[str, Constant] = {"split": None, "group": None, "stratify": None}


def remarks(target: Target, kind: FieldKind, *values: Any, fitted: Any = None, dense: bool = False, **options: Constant) -> list[str]:  # fmt: skip
    """What is said of the training, validation and test samples with these values; the last of them stand for more."""
    splits = [np.asarray(each) for each in (*values, values[-1], values[-1])[:3]]
    samples = [Samples({"row": torch.zeros(len(each), 2), "kind": torch.from_numpy(each)}, {"row": FieldKind.PLAIN, "kind": kind}) for each in splits]  # fmt: skip
    size = splits[0].shape[1:] if dense else ()
    given = spec("arrays", (task("kind", target, dense=dense, size=size),), (2,), input_name="row", **(KEYS | options))
    return remarks_on_labels(given, Splits(*samples, fitted=fitted or {}))


CLASSES = Target("classes", 3)


def test_a_class_that_a_split_lacks_is_named_with_what_helps() -> None:
    names = {"arrays": {"classes": {"kind": ["cold", "flu", "none"]}}}
    (said,) = remarks(CLASSES, FieldKind.LABEL, [0, 1, 2, 2], [0, 2], [2, 1, 0], fitted=names)
    assert said == (
        "`kind`: no validation sample is of the class `flu`: the metrics there say nothing of them; "
        '`stratify = "kind"` in `data` gives every part its share'
    )
    (said,) = remarks(CLASSES, FieldKind.LABEL, [0, 2], [0, 1, 2], [0, 1, 2])
    assert "no train sample is of the class `1`: they cannot be learned" in said
    (said,) = remarks(CLASSES, FieldKind.LABEL, [0, 1, 2], [0], [0, 1, 2], stratify="kind")
    assert "classes `1`, `2`" in said
    assert "larger parts" in said
    assert "stratify" not in said


@given(splits=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), min_size=3, max_size=3))
def test_a_split_is_named_exactly_where_it_lacks_what_another_has(splits: list[list[int]]) -> None:
    every = set().union(*splits)
    said = remarks(CLASSES, FieldKind.LABEL, *splits)
    lacking = [name for name, each in zip(("train", "validation", "test"), splits, strict=True) if set(each) != every]
    assert [text.split("no ")[1].split(" ")[0] for text in said] == lacking


def test_a_class_that_no_label_has_anywhere_and_one_that_is_ignored_are_no_lack() -> None:
    assert remarks(CLASSES, FieldKind.LABEL, [0, 1], [1, 0]) == []
    assert remarks(Target("classes", 3, ignore=2), FieldKind.LABEL, [0, 1, 2], [1, 0]) == []
    assert remarks(CLASSES, FieldKind.LABEL, [0, 1, 2], [-1, -1], [0, 1, 2]) == []  # that is said of it already


def test_a_yes_or_no_that_a_split_lacks_is_said_column_by_column() -> None:
    nan = float("nan")
    (said,) = remarks(Target("binary", 1), FieldKind.EDGE, [[1.0], [0.0]], [[0.0], [nan]], [[0.0], [1.0]])
    assert said.startswith("`kind`: no validation sample is a yes: the metrics there say nothing of them")
    (said,) = remarks(Target("binary", 2), FieldKind.EDGE, [[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]], [[0, 1.0], [1, 0]])  # fmt: skip
    assert "no validation sample is no in column 1 (from 0)" in said
    assert remarks(Target("binary", 1), FieldKind.EDGE, [[1.0]], [[1.0]]) == []


def test_of_pixels_a_stratified_split_is_no_remedy() -> None:
    (said,) = remarks(CLASSES, FieldKind.LABEL, np.array([[[0, 1], [2, 2]]]), np.array([[[0, 2], [2, 2]]]), np.array([[[0, 1], [2, 2]]]), dense=True)  # fmt: skip
    assert "no validation entry is of the class `1`" in said
    assert "stratify" not in said


# Numbers --------------------------------------------------------------------------------------------------------------


@given(
    mean=st.floats(-1000, 1000, allow_subnormal=False),
    deviation=st.floats(0.001, 1000),
    scale=st.sampled_from(["none", "standard"]),
)
def test_numbers_far_from_1_are_said_unless_they_are_scaled(mean: float, deviation: float, scale: str) -> None:
    values = np.array([[mean - deviation], [mean + deviation]], np.float32)
    found, spread = float(values.mean()), float(values.astype(np.float64).std())
    assume(all(abs(abs(each) / edge - 1) > 1e-3 for each, edge in ((found, 10), (spread, 10), (spread, 0.1))))
    assume(spread > 1e-5 * abs(found))
    said = remarks(Target("values", 1, scale=scale), FieldKind.PLAIN, values)
    far = abs(found) > 10 or spread > 10 or spread < 0.1
    assert bool(said) == (far and scale == "none")
    if said:
        assert f"a mean of {found:.4g} and a deviation of {spread:.4g}" in said[0]
        assert "write `target = values(1, scale=standard)`" in said[0]


def test_the_column_that_is_far_from_1_is_named_and_missing_numbers_are_none() -> None:
    nan = float("nan")
    values = np.array([[0.0, 300.0], [1.0, nan], [nan, 500.0]], np.float32)
    (said,) = remarks(Target("values", 2), FieldKind.PLAIN, values)
    assert "`kind`, column 1 (from 0), have a mean of 400 and a deviation of 100" in said
    assert (
        remarks(Target("values", 1, valid="positive"), FieldKind.PLAIN, np.array([[1.0], [2.0], [-9e9]], np.float32))
        == []
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("planted", {}),
        pytest.param("scenes", {"data.images": "64"}, marks=pytest.mark.soak),
        pytest.param("multifashion", {"data.root": "../shared/data/fashion_mnist"}, marks=pytest.mark.soak),
    ],
)
def test_nothing_is_said_of_the_specs_of_the_project(name: str, settings: dict[str, str]) -> None:
    if not (ROOT / settings.get("data.root", ".")).exists():
        pytest.skip("the files are not there")
    chosen = load(ROOT / "specs" / f"{name}.mtl", settings)
    assert remarks_on_labels(chosen, load_data(chosen, cache=False)) == []


@pytest.mark.parametrize("kind", [pytest.param("scenes", marks=pytest.mark.soak), "images", "table", "allocation"])
def test_nor_of_those_that_new_writes(kind: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["new", str(tmp_path / "first"), "--from", kind])
    assert done.exit_code == 0, done.output
    chosen = load(tmp_path / "first.mtl", {"data.images": "64"} if kind == "scenes" else {})
    splits = load_data(chosen, cache=False)
    assert [*splits.remarks, *remarks_on_labels(chosen, splits)] == []
