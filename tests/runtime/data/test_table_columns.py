"""Targets of several columns of a table, or of what is known of pictures: side by side, each cell with or without a
label by itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mtsldsl import loads
from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.normal import digest, normal_form
from mtsldsl.ir.settings import settings as settings_of
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.data.label_remarks import remarks_on_labels
from mtsldsl.runtime.data.labels import describe, require_labels
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.network.built import build_model

TEXT = """\
mtl 1

data table {
  path   = "a.csv"
  inputs = ["age"]
  input  = row(1)
  batch  = 4
  split  = "part"
}

task signs {
  target = binary(2, ignore=9)
  field  = ["a, b", c]
  head   = linear(2)
}

task place {
  target = values(3)
  field  = [x, "y", z]
  head   = linear(3)
}

backbone {
  stem = linear(4) | tanh
}

train {
  epochs = 1
}
"""
PARTS = ("train", "train", "validation", "test")


def rows(count: int = 32) -> dict[str, list[object]]:
    """Columns with gaps in their cells, no two alike."""
    chance = np.random.default_rng(1)
    columns: dict[str, list[object]] = {"age": [*range(count)], "part": [PARTS[row % 4] for row in range(count)]}
    for name in ("a, b", "c"):
        columns[name] = [("0", "1", "", "9")[number] for number in chance.integers(0, 4, count)]
    for name in "xyz":
        columns[name] = [f"{number:.3f}" if number > -1 else "" for number in chance.normal(size=count)]
    return columns


def written(columns: Mapping[str, Sequence[object]], path: str = "a.csv") -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*columns], *zip(*columns.values(), strict=True)])


def numbers(columns: Mapping[str, Sequence[object]], names: Sequence[str], part: str) -> NDArray[np.float32]:
    """The labels of a part, NaN in the place of none."""
    kept = [row for row, each in enumerate(columns["part"]) if each == part]
    cells = [[columns[name][row] for name in names] for row in kept]
    return np.array([[np.nan if cell in ("", "9") else float(str(cell)) for cell in row] for row in cells], np.float32)


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    monkeypatch.chdir(tmp_path)
    written(columns := rows())
    return columns


def test_each_cell_is_a_label_or_none_by_itself(table: dict[str, list[object]]) -> None:
    spec = loads(TEXT)
    splits = load_data(spec)
    described = describe(spec, splits)
    assert (spec.task("signs").field_name, spec.task("place").field_name) == ('"a, b", c', "x, y, z")
    for task, names in (("signs", ("a, b", "c")), ("place", ("x", "y", "z"))):
        assert spec.task(task).field == names
        for part, samples in splits.named():
            wanted = numbers(table, names, part)
            found = samples.in_units().take(torch.arange(len(samples))).fields[spec.task(task).field_name]
            np.testing.assert_array_equal(found.numpy(), wanted)
            known = ~np.isnan(wanted)
            assert 0 < known.any(axis=1).sum() > known.all(axis=1).sum()
            assert described[part]["labels"][task] == {
                "samples": known.any(axis=1).sum(), "entries": known.sum(), "of": wanted.size,
            }  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 7, 16])
def test_losses_and_metrics_are_those_of_each_cell_whatever_the_batches_are(batch: int) -> None:
    spec = loads(TEXT, overrides={"data.batch": batch})
    samples = load_data(spec).train
    model = build_model(spec).eval()
    found = evaluate(model, spec, samples, torch.device("cpu"))
    with torch.no_grad():
        answers = {name: each.double().numpy() for name, each in model(samples.fields["row"]).items()}
    place, signs = numbers(rows(), "xyz", "train"), numbers(rows(), ("a, b", "c"), "train")
    apart = np.abs(answers["place"] - place)
    assert found.losses["place"] == pytest.approx(np.nanmean(apart), rel=1e-5)
    assert found.columns["place"]["mae"] == pytest.approx(np.nanmean(apart, axis=0), rel=1e-5)
    entropy = np.logaddexp(0, np.where(signs == 1, -answers["signs"], answers["signs"]))
    entropy[np.isnan(signs)] = np.nan
    assert found.losses["signs"] == pytest.approx(np.nanmean(entropy), rel=1e-5)
    assert found.columns["signs"]["bce"] == pytest.approx(np.nanmean(entropy, axis=0), rel=1e-5)


def test_one_name_in_brackets_is_that_name_and_the_order_of_several_counts() -> None:
    one = TEXT.replace("values(3)", "values(1)").replace("linear(3)", "linear(1)")
    same = {field: loads(one.replace('[x, "y", z]', field)) for field in ("x", '"x"', "[x]", '["x"]')}
    assert len(set(map(digest, same.values()))) == 1
    assert normal_form(same["[x]"])["tasks"][1]["field"] == "x"
    first, second = loads(TEXT), loads(TEXT.replace('[x, "y", z]', '["y", x, z]'))
    assert digest(first) != digest(second)
    assert [(each.key, each.before, each.after) for each in compare(first, second).keys] == [
        ("task.place.field", "[x, y, z]", "[y, x, z]")
    ]


def test_all_settings_written_out_say_the_same_columns() -> None:
    spec = loads(TEXT)
    found = settings_of(spec)
    assert found["task.signs.field"] == '["a, b", c]'
    assert digest(loads(TEXT, overrides=found)) == digest(spec)
    changed = loads(TEXT, overrides={"task.signs.field": ["d, e", "f"]})
    assert changed.task("signs").field == ("d, e", "f")


def test_a_record_is_held_to_what_a_text_can_say() -> None:
    task = loads(TEXT).task("place")
    one = attrs.evolve(task, field="x", target=attrs.evolve(task.target, channels=1))
    for refused in (attrs.evolve(task, field="x"), one):
        for field in ((), ("x",), ("x", "y"), ("x", "x", "y")):
            with pytest.raises(ValueError, match=r"field|column"):
                attrs.evolve(refused, field=field)


WRONG = [
    ({"x": "z2"}, {}, r"MTL603.*the target of `place`.*no column `x`"),
    ({"x": "age"}, {"[x,": "[age,"}, r"MTL307.*`place` learns the column `age`, which is also one of `inputs`"),
    ({}, {'[x, "y", z]': "x"}, r"MTL603.*learns `values\(3\)`(.|\n)*name 3 columns: `field = \[...\]`"),
]


@pytest.mark.parametrize(("names", "change", "said"), WRONG)
def test_columns_that_do_not_fit_are_told(
    names: dict[str, str], change: dict[str, str], said: str, table: dict[str, list[object]]
) -> None:
    written({names.get(name, name): cells for name, cells in table.items() if names.get(name) != "age"})
    text = TEXT
    for before, after in change.items():
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(MtlError, match=said):
        load_data(loads(text))


def test_a_cell_that_does_not_fit_is_told_with_its_column_or_its_row_left_out(table: dict[str, list[object]]) -> None:
    table["c"][4], table["y"][8], table["z"][8] = "perhaps", "low", "high"
    written(table)
    with pytest.raises(MtlError, match=r"line 6 of .* has `perhaps` in the column `c`, which is neither yes nor no"):
        load_data(loads(TEXT))
    splits = load_data(loads(TEXT, overrides={"data.on_error": "skip"}))
    assert len(splits.train) == 14
    (remark,) = [each for each in splits.remarks if "left out" in each]
    assert re.search(r"line 6(.|\n)*`perhaps`", remark)
    kept = {name: [cell for row, cell in enumerate(cells) if row not in (4, 8)] for name, cells in table.items()}
    found = splits.train.in_units().take(torch.arange(14)).fields["x, y, z"]
    np.testing.assert_array_equal(found.numpy(), numbers(kept, "xyz", "train"))


def test_what_a_column_lacks_is_told_by_its_name(table: dict[str, list[object]]) -> None:
    validation = [row for row, part in enumerate(table["part"]) if part == "validation"]
    for row in validation:
        table["y"][row] = ""
        table["c"][row] = "1"
    table["x"] = [f"{1000 + row}" for row in range(32)]
    written(table)
    spec = loads(TEXT)
    splits = load_data(spec)
    assert require_labels(spec, describe(spec, splits)) == [
        "no validation sample has a label in the column `y` of `place` that counts: it is left out of the metrics there"
    ]
    signs, place = remarks_on_labels(spec, splits)
    assert "`signs`: no validation sample is no in `c`: the metrics there say nothing" in signs
    assert "stratify" not in signs
    assert "the training labels of `place`, column `x`, have a mean of 10" in place


def test_what_is_known_of_pictures_has_columns_too(table: dict[str, list[object]]) -> None:
    for row in range(32):
        Image.new("RGB", (2, 2), (8 * row, 0, 0)).save(f"{row:02}.png")
    written({"file": [f"{row:02}.png" for row in range(32)], **table}, "known.csv")
    text = (
        TEXT.replace("data table", "data folder")
        .replace('  inputs = ["age"]\n', "")
        .replace("row(1)", "image(3, 2, 2)")
    )
    text = text.replace('"a.csv"', '"."\n  images = "*.png"\n  table = "known.csv"')
    text = text.replace("head   = ", "head   = flatten | ").replace("linear(4) | tanh", "conv2d(2, 1)")
    splits = load_data(loads(text), cache=False)
    for part, samples in splits.named():
        order = (samples.fields["image"][:, 0, 0, 0].int() // 8).tolist()
        kept = {name: [cells[row] for row in order] for name, cells in table.items()}
        for field, names in (('"a, b", c', ("a, b", "c")), ("x, y, z", "xyz")):
            found = samples.in_units().take(torch.arange(len(samples))).fields[field]
            np.testing.assert_array_equal(found.numpy(), numbers(kept, names, part))
    with pytest.raises(MtlError, match=r"MTL603.*`place` names several columns, and one of them is a pattern"):
        load_data(loads(text.replace('[x, "y"', '[x, "*.png"')), cache=False)
    Path("20.png").unlink()
    table["z"][5] = "high"
    written({"file": [f"{row:02}.png" for row in range(32)], **table}, "known.csv")
    skipped = load_data(loads(text, overrides={"data.on_error": "skip"}), cache=False)
    assert {row for row in range(32) if PARTS[row % 4] == "train"} - {5, 20} == {
        number // 8 for number in skipped.train.fields["image"][:, 0, 0, 0].tolist()
    }
