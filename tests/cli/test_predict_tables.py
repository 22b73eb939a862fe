"""`mtsldsl predict` for a run that read a table: new rows are the numbers that rows of training were, and answers are in
the units of the table."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.csv
import pytest
import torch
from pyarrow import parquet
from safetensors import safe_open
from safetensors.torch import load_file

from mtsldsl import build_model, loads
from mtsldsl.cli.predict import command
from mtsldsl.tables.table_files import TABLES
from tests import prepared

TEXT = """\
mtl 1

data table {
  path   = "houses.csv"
  inputs = ["area", "city"]
  input  = row(4)
  batch  = 8
  split  = "part"
}

task price {
  target = values(1, scale=standard)
  head   = linear(1)
}

task style {
  target = classes(3)
  head   = linear(3)
}

backbone {
  stem = linear(8) | tanh
}

train {
  epochs = 3
}

sharing {
  stem = all
}
"""

STYLES = ("barn", "flat", "villa")


def mtsldsl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *words, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, its table, and the test rows of that with no more than the columns of the input, in another order."""
    made = tmp_path_factory.mktemp("tables")
    chance = np.random.default_rng(0)
    rows = []
    for number in range(80):
        area, city, style = chance.integers(40, 400), chance.choice(["Bonn", "Kiel"]), chance.choice(STYLES)
        price = 3000 * area + 50_000 * (city == "Bonn") + chance.normal() * 9000
        part = "test" if number % 5 == 0 else "validation" if number % 5 == 1 else "train"
        rows.append([area if number % 7 else "", city, style, f"{price:.2f}", part])
    with (made / "houses.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["area", "city", "style", "price", "part"], *rows])
    with (made / "new.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["city", "area"], *([row[1], row[0]] for row in rows if row[4] == "test")])
    parquet.write_table(pyarrow.csv.read_csv(made / "new.csv"), made / "new.parquet")
    (made / "houses.mtl").write_text(TEXT, encoding="utf-8")
    done = mtsldsl(made, "train", "houses.mtl", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    return made


def test_the_help_names_every_kind_of_table() -> None:
    (said,) = [each.help for each in command.params if isinstance(each, click.Option) and each.name == "given"]
    assert f"a table ({', '.join(TABLES)})" in str(said)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("ending", TABLES)
def test_the_answers_for_the_test_rows_have_the_metrics_that_eval_says(folder: Path, ending: str) -> None:
    new, answers = f"new{ending}", f"found{ending}.csv"
    done = mtsldsl(folder, "predict", "runs/houses", "--input", new, "-o", answers, "--scores", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert f"`area` of `{new}` is missing in 3 of 16 rows" in done.stderr
    found = read(folder / answers)
    assert list(found[0]) == ["sample", "price", "style", *(f"style/scores.{name}" for name in STYLES)]
    truth = [row for row in read(folder / "houses.csv") if row["part"] == "test"]
    said = json.loads(mtsldsl(folder, "eval", "runs/houses", "--json", "--device", "cpu").stdout)["metrics"]
    prices = np.array([[float(row["price"]) for row in rows] for rows in (found, truth)])
    assert prices.std() > 1000
    assert np.sqrt(np.square(prices[0] - prices[1]).mean()) == pytest.approx(said["price"]["rmse"], rel=1e-5)
    right = [one["style"] == other["style"] for one, other in zip(found, truth, strict=True)]
    assert np.mean(right) == pytest.approx(said["style"]["accuracy"])
    for row in found:
        assert max(STYLES, key=lambda name: float(row[f"style/scores.{name}"])) == row["style"]


def by_hand(folder: Path, about: dict[str, Any]) -> torch.Tensor:
    """The input of the new rows, by what a file says of the columns."""
    area, city = about["columns"]["table"]
    assert (area["column"], city["column"]) == ("area", "city")
    rows = []
    for row in read(folder / "new.csv"):
        number = (float(row["area"]) - area["mean"]) / area["deviation"] if row["area"] else 0.0
        rows.append([number, *(float(row["city"] == name) for name in city["names"]), 0.0])
    return torch.tensor(rows)


@pytest.mark.parametrize("form", ["pt2", "safetensors"])
def test_an_exported_network_says_what_predict_does(folder: Path, form: str) -> None:
    words = "--input", "new.csv", "-o", f"{form}.csv", "--device", "cpu"
    assert mtsldsl(folder, "predict", "runs/houses", *words).returncode == 0
    done = mtsldsl(folder, "export", "runs/houses", "--to", form, "-o", f"houses.{form}")
    assert done.returncode == 0, done.stderr
    file, card = folder / f"houses.{form}", (folder / f"houses.{form}.md").read_text(encoding="utf-8")
    if form == "pt2":
        extra = {"mtsldsl": ""}
        network = torch.export.load(file, extra_files=extra).module()
        about = json.loads(extra["mtsldsl"])
        outputs = network(by_hand(folder, about))
        prices = outputs["price"][:, 0]
        assert "the values, in the units of the data" in card
    else:
        with safe_open(file, "pt") as opened:
            about = json.loads(opened.metadata()["mtsldsl"])
        spec = loads(about["spec"])
        model = build_model(spec).eval()
        model.load_state_dict(load_file(file))
        outputs = model(by_hand(folder, about))
        (deviation,), (mean,) = about["scales"]["price"]["deviation"], about["scales"]["price"]["mean"]
        assert f"{deviation!r} x + {mean!r}" in card
        prices = outputs["price"][:, 0] * deviation + mean
    found = read(folder / f"{form}.csv")
    assert prices.tolist() == pytest.approx([float(row["price"]) for row in found], rel=1e-5)
    styles = [about["classes"]["style"][place] for place in outputs["style"].argmax(1)]
    assert styles == [row["style"] for row in found]
    assert "logits of the classes, along the first dimension of a sample: `barn`, `flat`, `villa`" in card
    assert (
        "- `city`: 1 in the place of its name, 0 in the others: `Bonn`, `Kiel`, and a place for all other names" in card
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("other.csv", "area,town\n90,Bonn\n", "MTL603"),
        ("other.csv", "area,city\nlarge,Bonn\n", "line 2 of `other.csv`"),
        ("other.npz", "", "the network learned from a table, and `other.npz` is none"),
    ],
)
def test_what_is_no_such_table_is_refused(folder: Path, name: str, text: str, said: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    done = mtsldsl(folder, "predict", "runs/houses", "--input", name, "-o", "none.csv", "--device", "cpu")
    assert done.returncode == 1
    assert said in done.stderr
    assert not (folder / "none.csv").exists()


def test_a_line_of_too_few_cells_is_left_out_where_the_spec_says_so(folder: Path) -> None:
    first, second, *others = (folder / "new.csv").read_text(encoding="utf-8").splitlines()
    (folder / "broken.csv").write_text("\n".join([first, second, "Bonn", *others[1:]]), encoding="utf-8")
    asked = ("predict", "runs/houses/1", "--input", "broken.csv", "-o", "broken_out.csv")
    assert "line 3 of `broken.csv` has 1 cell" in mtsldsl(folder, *asked).stderr
    said = mtsldsl(folder, *asked, "--set", "data.on_error=skip").stderr
    assert "1 of 16 samples of `broken.csv` is left out, as `on_error = skip` says: `line 3`" in said
    with (folder / "broken_out.csv").open(newline="") as stream:
        numbers = [row["sample"] for row in csv.DictReader(stream)]
    assert numbers == [str(number) for number in range(16) if number != 1]
