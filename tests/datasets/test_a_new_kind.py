"""A new kind of data set is a folder and a line, as CONTRIBUTING.md says: followed here in a copy of the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.package_copy import ROOT, add, copied, in_one_process, line, mtsldsl

TOY = Path(__file__).parent / "waves"
SPEC = """\
mtl 1

data waves {
  batch = 8
}

task form {
  target = classes(2)
  head   = linear(2)
}

task height {
  target = values(1)
  head   = linear(1)
}

backbone {
  trunk = linear(16) | relu
}

train {
  epochs = 2
}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = copied(tmp_path_factory.mktemp("package"))
    add(place, TOY, "DATASETS")
    return place


def test_fields_of_rows_are_checked_trained_on_and_evaluated(package: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text(SPEC, encoding="utf-8")
    in_one_process(package, "check --pedantic a.mtl", "train --quiet a.mtl", "eval runs/a/1", cwd=tmp_path)
    lines = (tmp_path / "runs" / "a" / "1" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    (start,) = (event for event in map(json.loads, lines) if event["event"] == "start")
    assert set(start["read"]["sha256"]) == {"wave", "form", "height"}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("target = classes(2)", "target = classes(2)\n  field = from", "MTL307.*no field `from`.*did you mean `form`"),
        ("target = classes(2)", "target = binary(2)", "MTL307.*no field that holds `binary`.*`classes` or `values`"),
        ("target = values(1)", "target = values(3)", "MTL307.*has 1 channel.*the target 3"),
        ("head   = linear(1)", "head   = linear(3)", "MTL303.*gives 3.*needs 1"),
    ],
)
def test_what_the_kind_says_of_its_fields_is_checked(
    package: Path, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    (tmp_path / "a.mtl").write_text(SPEC.replace(right, wrong), encoding="utf-8")
    shown = mtsldsl(package, "check", "a.mtl", cwd=tmp_path, status=1)
    assert re.search(said, shown, re.DOTALL)


@pytest.fixture(scope="module")
def undeclared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a toy that says nothing of its fields, and leaves one out of the test samples."""
    place = copied(tmp_path_factory.mktemp("undeclared"))
    add(place, TOY, "DATASETS")
    for name, right, wrong in (
        ("language.py", ', (Field("form", "classes"), Field("height", "values", 1))', ""),
        ("load.py", "samples.take(test)", 'samples.take(test).only(spec.data.input, "form")'),
    ):
        file = place / "mtsldsl" / "datasets" / "waves" / name
        text = file.read_text(encoding="utf-8")
        assert right in text
        file.write_text(text.replace(right, wrong), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("from", r"a\.mtl:7:.*MTL603.*the train samples of `waves` have no field `from`.*did you mean `form`"),
        ("form", r"a\.mtl:13:.*MTL603.*the test samples of `waves` have no field `height`.*fields are: wave, form"),
    ],
)
def test_a_field_that_the_samples_lack_is_an_error_also_where_the_kind_says_nothing_of_fields(
    undeclared: Path, tmp_path: Path, field: str, said: str
) -> None:
    (tmp_path / "a.mtl").write_text(SPEC.replace("classes(2)", f"classes(2)\n  field  = {field}"), encoding="utf-8")
    mtsldsl(undeclared, "check", "a.mtl", cwd=tmp_path)
    assert re.search(said, mtsldsl(undeclared, "train", "a.mtl", cwd=tmp_path, status=1), re.DOTALL)


def test_the_folder_in_the_words_of_contributing_is_this_one() -> None:
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert line(TOY).replace("waves", "<name>") in words
