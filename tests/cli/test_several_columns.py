"""Targets of several columns of a table, with gaps: from the file through a run, its report and its record, to answers
for new rows and an exported file; every number against one that is computed without the package."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, r2_score

from tests import prepared

Numbers = NDArray[np.float64]

TEXT = """\
mtl 1

data table {
  path   = "skin.csv"
  inputs = ["age", "size"]
  input  = row(2)
  batch  = 7
  split  = "part"
}

task signs {
  target = binary(3)
  field  = [red, "dry skin", dark]
  head   = linear(3)
}

task place {
  target = values(2, scale=standard)
  field  = ["x, mm", y]
  head   = linear(2)
}

backbone {
  stem = linear(8) | tanh
}

train {
  epochs = 2
}

sharing {
  stem = all
}
"""
SIGNS, PLACE = ("red", "dry skin", "dark"), ("x, mm", "y")
ANSWERS = {"": np.nan, "yes": 1.0, "no": 0.0}


def mtsldsl(folder: Path, *words: str) -> str:
    done = prepared.run("-m", "mtsldsl", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> Numbers:
    """The cells of columns, NaN where they are empty."""
    return np.array(
        [[ANSWERS[row[name]] if row[name] in ANSWERS else float(row[name]) for name in names] for row in rows]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on rows of which a fifth of the cells of each target are empty, each by itself."""
    made = tmp_path_factory.mktemp("columns")
    chance = np.random.default_rng(0)
    rows = []
    for number in range(90):
        age, size = chance.uniform(20, 80), chance.uniform(1, 9)
        signs = [("no", "yes")[int(chance.random() < share)] for share in (age / 100, size / 10, 0.5)]
        place = [f"{1000 + 30 * age + chance.normal():.3f}", f"{-size / 100:.5f}"]
        gaps = [cell if chance.random() > 0.2 else "" for cell in (*signs, *place)]
        rows.append([f"{age:.2f}", f"{size:.2f}", *gaps, ("train", "train", "validation", "test")[number % 4]])
    with (made / "skin.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["age", "size", *SIGNS, *PLACE, "part"], *rows])
    (made / "skin.mtl").write_text(TEXT, encoding="utf-8")
    mtsldsl(made, "train", "skin.mtl", "--device", "cpu", "--quiet")
    return made


def by_column(truth: Numbers, found: Numbers, measure: Any) -> list[float]:
    """Of each column over the rows in which it has a label."""
    known = ~np.isnan(truth)
    assert all(0 < known[:, column].sum() < len(truth) for column in range(truth.shape[1]))
    return [float(measure(truth[at, column], found[at, column])) for column, at in enumerate(known.T)]


def test_answers_written_for_the_test_rows_have_the_metrics_that_eval_says(folder: Path) -> None:
    truth = [row for row in read(folder / "skin.csv") if row["part"] == "test"]
    mtsldsl(folder, "predict", "runs/skin", "--input", "skin.csv", "-o", "all.csv", "--device", "cpu")
    answers = read(folder / "all.csv")
    assert list(answers[0]) == ["sample", *(f"signs.{name}" for name in SIGNS), *(f"place.{name}" for name in PLACE)]
    found = [each for each, row in zip(answers, read(folder / "skin.csv"), strict=True) if row["part"] == "test"]
    said = json.loads(mtsldsl(folder, "eval", "runs/skin", "--json", "--device", "cpu"))
    assert said["column_names"] == {"signs": [*SIGNS], "place": [*PLACE]}
    shares, signs = numbers(found, [f"signs.{name}" for name in SIGNS]), numbers(truth, SIGNS)
    wanted = {
        "f1": by_column(signs, shares, lambda true, share: f1_score(true, share > 0.5, zero_division=0)),
        "bce": by_column(signs, shares, lambda true, share: log_loss(true, share, labels=[0, 1])),
    }
    places, place = numbers(found, [f"place.{name}" for name in PLACE]), numbers(truth, PLACE)
    of_place = {
        "rmse": by_column(place, places, lambda true, answer: np.sqrt(np.square(true - answer).mean())),
        "mae": by_column(place, places, mean_absolute_error),
        "r2": by_column(place, places, r2_score),
    }
    for task, each in {"signs": wanted, "place": of_place}.items():
        for name, values in each.items():
            assert said["columns"][task][name] == pytest.approx(values, rel=1e-4)
            assert said["metrics"][task][name] == pytest.approx(np.mean(values), rel=1e-4)
    known = ~np.isnan(signs)
    loss = -np.where(signs == 1, np.log(shares), np.log(1 - shares))[known].mean()
    assert said["losses"]["signs"] == pytest.approx(loss, rel=1e-4)
    training = numbers([row for row in read(folder / "skin.csv") if row["part"] == "train"], PLACE)
    distance = (np.abs(places - place) / np.nanstd(training, axis=0))[~np.isnan(place)].mean()
    assert said["losses"]["place"] == pytest.approx(distance, rel=1e-4)
    lines = mtsldsl(folder, "eval", "runs/skin", "--device", "cpu")
    (line,) = [line for line in lines.splitlines() if "dry skin" in line]
    assert f"f1 {wanted['f1'][1]:.4g}" in line


def test_the_report_and_the_overview_have_each_column_by_its_name(folder: Path) -> None:
    rows = read(folder / "skin.csv")
    found = json.loads(mtsldsl(folder, "data", "skin.mtl", "--json"))["targets"]
    assert [each["name"] for each in found["signs"]["columns"]] == [*SIGNS]
    for split, part in {name: [row for row in rows if row["part"] == name] for name in ("train", "test")}.items():
        for name, each in zip(SIGNS, found["signs"]["columns"], strict=True):
            told = [row[name] for row in part]
            assert each["counts"][split] == [told.count("no"), told.count("yes")]
            assert each["entries"][split] == len(told) - told.count("")
        for column, each in zip(numbers(part, PLACE).T, found["place"]["columns"], strict=True):
            ends = [np.nanmin(column), np.nanmax(column), np.nanmean(column)]
            assert [*each["range"][split].values()] == pytest.approx(ends, rel=1e-5)
            assert each["entries"][split] == np.count_nonzero(~np.isnan(column))
    lines = mtsldsl(folder, "data", "skin.mtl").splitlines()
    after = lines[lines.index("  `dry skin`") + 1]
    cells = [row["dry skin"] for row in rows if row["part"] == "train"]
    assert after.split() == [
        "train", f"{100 * cells.count('') / len(cells):.3g}", "%", "missing;",
        "no:", str(cells.count("no")), "yes:", str(cells.count("yes")),
    ]  # fmt: skip
    assert "signs[dry skin]" in " ".join(lines)
    report = (next(folder.glob("runs/skin/*")) / "report.html").read_text(encoding="utf-8")
    assert "signs, by column of its target" in report
    assert '<th scope="row">dry skin</th>' in report


def test_a_file_of_weights_says_which_column_each_number_is(folder: Path) -> None:
    mtsldsl(folder, "export", "runs/skin", "--to", "safetensors", "-o", "skin.safetensors")
    with safe_open(folder / "skin.safetensors", "pt") as opened:
        about = json.loads(opened.metadata()["mtsldsl"])
    assert about["outputs"] == {"signs": [*SIGNS], "place": [*PLACE]}
    card = (folder / "skin.safetensors.md").read_text(encoding="utf-8")
    assert "how likely yes is: `red`, `dry skin`, `dark` |" in card
    assert ": `x, mm`, `y` |" in card
    training = numbers([row for row in read(folder / "skin.csv") if row["part"] == "train"], PLACE)
    assert about["scales"]["place"]["mean"] == pytest.approx(np.nanmean(training, axis=0).tolist(), rel=1e-5)
    assert about["scales"]["place"]["deviation"] == pytest.approx(np.nanstd(training, axis=0).tolist(), rel=1e-4)
