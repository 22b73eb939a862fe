"""A table from its file to the end of a run, in real processes: what was fitted is in the record, and fitted again."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from tests import prepared

SPEC = """\
mtl 1
data table {
  path   = "flowers.csv"
  input  = row(3)
  inputs = ["sepal length", "petal length", "petal width"]
  batch  = 16
}
task species {
  target  = classes(3)
  head    = linear(3)
  metrics = [accuracy]
}
task width {
  target = values(1)
  field  = "sepal width"
  head   = linear(1)
}
backbone {
  hidden = linear(16) | relu
}
train {
  epochs    = 15
  optimizer = adam(lr=1e-2)
}
sharing {
  hidden = all
}
"""
COLUMNS = ("sepal length", "sepal width", "petal length", "petal width")


def write_flowers(path: Path, unit: float = 1, width: float = 0) -> None:
    """Fisher's irises, with the widths of some sepals left out; lengths may be in another unit, widths be larger."""
    iris = load_iris()
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow([*COLUMNS, "species"])
        for number, (flower, species) in enumerate(zip(iris.data, iris.target, strict=True)):
            known = "" if number % 4 == 0 else flower[1] + width
            rows.writerow([unit * flower[0], known, *flower[2:], iris.target_names[species]])


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *arguments, cwd=folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    write_flowers(folder / "flowers.csv")
    (folder / "flowers.mtl").write_text(SPEC, encoding="utf-8")
    done = command(folder, "train", "flowers.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


def events(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "runs" / "flowers" / "1" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_table_trains_and_its_record_says_what_was_fitted(trained: Path) -> None:
    start = events(trained)[0]
    fitted = start["read"]["fitted"]
    assert fitted["classes"] == {"species": ["setosa", "versicolor", "virginica"]}
    assert [column["column"] for column in fitted["inputs"]] == ["sepal length", "petal length", "petal width"]
    assert start["data"]["train"]["labels"]["width"]["samples"] < start["data"]["train"]["samples"] == 108
    (test,) = [event for event in events(trained) if event["event"] == "test"]
    assert test["metrics"]["species"]["accuracy"] > 0.85


def test_a_table_is_evaluated_with_what_is_fitted_again(trained: Path) -> None:
    (test,) = [event for event in events(trained) if event["event"] == "test"]
    done = command(trained, "eval", "runs/flowers/1", "--device", "cpu", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["metrics"] == test["metrics"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 1}, "has other values of `sepal width`"),
        ({"unit": 1024}, "has other means, deviations or names in its columns"),  # which the scaled numbers do not show
    ],
    ids=["values", "unit"],
)
def test_a_table_that_was_changed_is_told_of(trained: Path, change: dict[str, float], said: str) -> None:
    write_flowers(trained / "other.csv", **change)
    done = command(trained, "eval", "runs/flowers/1", "--device", "cpu", "--set", "data.path=other.csv")
    assert done.returncode == 0
    assert f"the data is not what it was when the run started: {trained / 'other.csv'} {said}" in done.stderr


def test_a_table_that_does_not_fit_is_said_with_its_line_and_leaves_no_run(trained: Path) -> None:
    text = (trained / "flowers.csv").read_text(encoding="utf-8").splitlines()
    text[40] = text[40].replace(";", ";?", 1)
    (trained / "broken.csv").write_text("\n".join(text), encoding="utf-8")
    done = command(trained, "train", "flowers.mtl", "--device", "cpu", "--set", "data.path=broken.csv")
    assert done.returncode == 1
    assert "line 41 of `broken.csv` has `?" in done.stderr
    assert "in the column `sepal width`, which is no number" in done.stderr
    assert not (trained / "runs" / "flowers" / "2").exists()
