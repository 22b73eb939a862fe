"""A table from its file to the end of a run, in real processes: what was fitted is in the record, and fitted again."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from sklearn.datasets import load_diabetes, load_iris

from tests import prepared
from tests.cli.test_train import KILLED, disturbed

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
    (path,) = (folder / "runs").glob("*/1/events.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
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
        # which the scaled numbers do not show
        (
            {"unit": 1024},
            "gives other means, deviations or names of its training samples than those that the network learned with",
        ),
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


# Targets in a unit of their own ---------------------------------------------------------------------------------------

DIABETES = """\
mtl 1
data table {
  path   = "diabetes.csv"
  input  = row(10)
  inputs = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
}
task progression {
  target = values(1, scale=standard)
  head   = linear(1)
}
backbone {
  hidden = linear(16) | relu
}
train {
  epochs = 20
}
"""


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diabetes")
    data = load_diabetes(scaled=False)
    with (folder / "diabetes.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*data.feature_names, "progression"])
        rows.writerows([*row, answer] for row, answer in zip(data.data.tolist(), data.target.tolist(), strict=True))
    (folder / "diabetes.mtl").write_text(DIABETES, encoding="utf-8")
    done = command(folder, "train", "diabetes.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_target_from_25_to_346_is_learned_with_all_defaults(diabetes: Path) -> None:
    (test,) = [event for event in events(diabetes) if event["event"] == "test"]
    found = test["metrics"]["progression"]
    assert found["r2"] > 0.4
    assert 40 < found["rmse"] < 65  # in the unit of the table
    assert test["losses"]["progression"] < 1  # of what is learned
    (scale,) = events(diabetes)[0]["read"]["scales"].values()
    assert 140 < scale["mean"][0] < 165
    assert test["losses"]["progression"] * scale["deviation"][0] == pytest.approx(found["mae"], rel=1e-4)  # l1


def test_such_a_run_is_evaluated_as_it_was_tested(diabetes: Path) -> None:
    (test,) = [event for event in events(diabetes) if event["event"] == "test"]
    done = command(diabetes, "eval", "runs/diabetes/1", "--device", "cpu", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["metrics"] == test["metrics"]


def test_other_means_of_a_target_are_told_of(diabetes: Path) -> None:
    header, *rows = (diabetes / "diabetes.csv").read_text(encoding="utf-8").splitlines()
    doubled = [f"{row.rpartition(',')[0]},{2 * float(row.rpartition(',')[2])}" for row in rows]
    (diabetes / "doubled.csv").write_text("\n".join([header, *doubled]), encoding="utf-8")
    done = command(diabetes, "eval", "runs/diabetes/1", "--device", "cpu", "--set", "data.path=doubled.csv")
    assert done.returncode == 0
    assert "doubled.csv has other values of `progression`" in done.stderr
    assert "doubled.csv gives other means, deviations or names of its training samples" in done.stderr


@pytest.mark.soak
def test_such_a_run_that_was_killed_goes_on_to_the_same_bytes(diabetes: Path, tmp_path: Path) -> None:
    for name in ("diabetes.csv", "diabetes.mtl"):
        shutil.copy(diabetes / name, tmp_path)
    killed = disturbed(
        "train", "diabetes.mtl", "--quiet", "--device", "cpu", action=f"if training.epoch == 10: {KILLED}", cwd=tmp_path
    )
    assert killed.returncode == -9
    done = command(tmp_path, "train", "--resume", "runs/diabetes/1", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    runs = [folder / "runs" / "diabetes" / "1" for folder in (diabetes, tmp_path)]
    for weights in ("checkpoints/epoch-020/weights.safetensors", "best/mean.weights.safetensors"):
        whole, resumed = ((run / weights).read_bytes() for run in runs)
        assert whole == resumed, weights
    found, wanted = (
        [each["metrics"] for each in events(folder) if each["event"] == "test"] for folder in (tmp_path, diabetes)
    )
    assert found == wanted
