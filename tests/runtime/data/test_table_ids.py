"""Columns of a table as ids that `embedding` looks up: counted on the training part, the same in new tables."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.data.new_inputs import new_inputs
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.network.built import build_model
from mtsldsl.tables.table_inputs import TableInputs

TEXT = """\
mtl 1

data table {
  path   = "flats.csv"
  input  = [numbers(3), district(1), house_kind(1)]
  inputs = ["area", "district", "heated", "House kind"]
  split  = "part"
  batch  = 8
}

task price {
  target = values(1)
  head   = linear(outputs)
}

backbone {
  place = district | embedding(8, 4) | flatten
  sort  = house_kind | embedding(3, 2) | flatten
  both  = concat(numbers, place, sort) | linear(8) | relu
}

train { epochs = 1 }
"""
COLUMNS = ("area", "district", "heated", "House kind", "price", "part")


def flats() -> list[dict[str, object]]:
    chance = random.Random(0)
    rows: list[dict[str, object]] = [
        {
            "area": round(chance.uniform(30, 200), 1),
            "district": chance.choice((7, 11, 30, 2)),
            "heated": chance.choice(("gas", "oil")),
            "House kind": chance.choice(("flat", "house")),
            "price": chance.uniform(1, 2),
            "part": ("train", "train", "validation", "test")[number % 4],
        }
        for number in range(60)
    ]
    rows[3] |= {"district": 99, "House kind": ""}  # a test row: no training row has it
    rows[7]["heated"] = "coal"
    return rows


def save(path: Path, rows: Sequence[dict[str, object]], columns: Sequence[str] = COLUMNS) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    save(Path("flats.csv"), flats())
    return flats()


@pytest.fixture
def spec() -> Spec:
    return loads(TEXT.replace("numbers(3)", "numbers(4)"), "flats.mtl")


def ids(rows: Sequence[dict[str, object]], column: str) -> list[int]:
    """By hand: the names of the training rows, sorted as text, and one id for all else."""
    known = sorted({str(row[column]) for row in rows if row["part"] == "train" and row[column] != ""})
    return [known.index(str(row[column])) if str(row[column]) in known else len(known) for row in rows]


def test_each_column_of_ids_is_an_input_and_all_else_is_a_row(spec: Spec, rows: list[dict[str, object]]) -> None:
    data = load_data(spec)
    assert spec.data.ids == {"district": 8, "house_kind": 3}
    for part, samples in data.named():
        own = [number for number, row in enumerate(rows) if row["part"] == part]
        for name, column in (("district", "district"), ("house_kind", "House kind")):
            every = ids(rows, column)
            assert samples.fields[name].tolist() == [[every[number]] for number in own]
        numbers = samples.fields["numbers"]
        assert numbers.shape == (len(own), 4)  # the area, and a place for gas, for oil and for all else
        for row, number in zip(numbers, own, strict=True):
            assert row[1:].tolist() == [rows[number]["heated"] == kind for kind in ("gas", "oil", "coal")]
    assert data.test.fields["district"][0].item() == 4  # 11, 2, 30, 7, and one for all others
    assert data.test.fields["house_kind"][0].item() == 2
    assert any("`district`" in remark and "no training row has" in remark for remark in data.remarks)
    model = build_model(spec)
    assert torch.tensor(evaluate(model, spec, data.test, torch.device("cpu")).losses["price"]).isfinite()


def test_new_rows_have_the_ids_that_were_learned_also_from_the_record_of_a_run(
    spec: Spec, rows: list[dict[str, object]]
) -> None:
    data = load_data(spec)
    record = json.loads(json.dumps(data.fitted["table"]["inputs"]))
    known = TableInputs.of_record(record)
    assert known.record() == record
    new = [row for row in rows if row["part"] == "test"]
    save(Path("new.csv"), new[::-1], COLUMNS[:4])
    found = new_inputs(Path("new.csv"), spec.data, columns=known)
    assert found.count == len(new)
    read = found.read(range(found.count))
    for name in spec.data.inputs:
        assert torch.equal(read[name].flip(0), data.test.fields[name])


def test_new_rows_that_do_not_fit_are_left_out_where_the_block_says_so(
    spec: Spec, rows: list[dict[str, object]]
) -> None:
    data = load_data(spec)
    known = TableInputs.of_record(data.fitted["table"]["inputs"])
    new = [row for row in rows if row["part"] == "test"]
    save(Path("new.csv"), [*new[:2], new[2] | {"area": "wide"}, *new[3:]], COLUMNS[:4])
    with pytest.raises(MtlError, match="`wide`"):
        new_inputs(Path("new.csv"), spec.data, columns=known)
    skips = attrs.evolve(spec.data, options=spec.data.options | {"on_error": "skip"})
    found = new_inputs(Path("new.csv"), skips, columns=known)
    kept = [number for number in range(len(new)) if number != 2]
    assert found.numbers == tuple(kept)
    assert found.name(2) == "3"
    assert f"1 of {len(new)} samples of `new.csv` is left out, as `on_error = skip` says: `line 4`" in found.remarks[0]
    read = found.read(range(found.count))
    for name in spec.data.inputs:
        assert torch.equal(read[name], data.test.fields[name][kept])


def test_one_column_of_ids_may_be_all(rows: list[dict[str, object]]) -> None:
    text = TEXT.replace("[numbers(3), district(1), house_kind(1)]", "district(1)").replace(
        '["area", "district", "heated", "House kind"]', '["district"]'
    )
    spec = loads(
        f"{text[: text.index('backbone')]}backbone {{ out = embedding(5, 2) | flatten }}\ntrain {{ epochs = 1 }}\n"
    )
    fields = load_data(spec).train.fields
    assert set(fields) == {"district", "price"}
    assert set(fields["district"].flatten().tolist()) == {0, 1, 2, 3}


WRONG = [
    (("numbers(3)", "numbers(9)"), "MTL602", "input = [numbers(4), district(1), house_kind(1)]"),
    (("embedding(8, 4)", "embedding(4, 4)"), "MTL202", "write `embedding(5, ...)`"),
    (("district", "place_of"), "MTL603", "no column of `inputs` fit"),
    (('"heated", "House kind"', '"heated", "House kind", "house-kind"'), "MTL603", "the columns"),
    (("house_kind(1)", "house_kind(2)"), "MTL602", "write `house_kind(1)`"),
    (('"area", "district", "heated", ', '"district", '), "MTL602", "for each column of ids"),
]


@pytest.mark.parametrize(("change", "code", "said"), WRONG, ids=[each[0][1] for each in WRONG])
def test_what_does_not_go_together_is_told(
    change: tuple[str, str], code: str, said: str, rows: list[dict[str, object]]
) -> None:
    text = TEXT if change[0] == "numbers(3)" else TEXT.replace("numbers(3)", "numbers(4)")
    if change[0] == "district":  # everywhere but among the columns
        text = text.replace("district(1)", "place_of(1)").replace("= district |", "= place_of |")
    else:
        text = text.replace(*change)
    save(Path("flats.csv"), [{**row, "house-kind": "x"} for row in rows], (*COLUMNS, "house-kind"))
    with pytest.raises(MtlError) as caught:
        load_data(loads(text))
    (report,) = caught.value.diagnostics
    assert report.code == code
    assert said in f"{report.cause}; {report.remedy}"
    assert report.span is not None
    assert report.span.text.startswith("embedding(4, 4)" if code == "MTL202" else "data")
