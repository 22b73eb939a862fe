"""`on_error = skip` of `data table`: rows with a cell that does not fit are left out, and change nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl import loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.normal import normal_form
from mtsldsl.runtime.data import Splits, load_data
from mtsldsl.runtime.data.samples import Samples

SPEC = """\
mtl 1
data table {{
  path   = "{path}"
  input  = row(4)
  inputs = ["area", "city"]
  batch  = 2
  {more}
}}
task price {{
  target = values(1)
  head   = linear(1)
}}
task sold {{
  target = binary(1)
  head   = linear(1)
}}
backbone {{ stem = linear(2) }}
train {{ epochs = 1 }}
"""
WRONG = {4: ("area", "large"), 11: ("price", "dear"), 17: ("sold", "maybe"), 18: ("sold", "2"), 23: ("price", "1e300")}


def houses(path: Path, *, broken: bool) -> Path:
    """Forty rows, each with its number as price; where they are not to be broken, empty labels and the mean."""
    rows = []
    for number in range(40):
        row = {"area": str(10 + number % 7), "city": "ab"[number % 2], "price": str(number), "sold": str(number % 2)}
        if number in WRONG:
            name, cell = WRONG[number]
            row[name] = cell if broken else ""
        rows.append(row)
    lines = ["area,city,price,sold", *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(path: Path, more: str = "") -> Splits[Samples]:
    return load_data(loads(SPEC.format(path=path, more=more)))


def test_they_are_counted_and_the_others_stay_in_their_splits(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*line 6.*`large`"):
        loaded(houses(tmp_path / "a.csv", broken=True))
    found = loaded(tmp_path / "a.csv", "on_error = skip")
    whole = loaded(houses(tmp_path / "b.csv", broken=False))
    for (_, some), (_, every) in zip(found.named(), whole.named(), strict=True):
        prices = [price for price in every.fields["price"][:, 0].tolist() if price == price and price not in WRONG]
        assert some.fields["price"][:, 0].tolist() == prices
    (remark,) = found.remarks
    assert remark.startswith(f"5 of 40 samples of `{tmp_path / 'a.csv'}` are left out, as `on_error = skip` says: ")
    assert "`line 6`, `line 13`, `line 19`, " in remark
    assert "of the first: line 6 of" in remark


def test_nothing_is_fitted_to_them(tmp_path: Path) -> None:
    found = loaded(houses(tmp_path / "a.csv", broken=True), "on_error = skip")
    rows = [int(price) for price in found.train.fields["price"][:, 0].tolist()]
    areas = [10 + row % 7 for row in rows]
    (area, _) = found.fitted["table"]["inputs"]
    assert area["mean"] == pytest.approx(sum(areas) / len(areas), rel=1e-12)


def test_how_many_classes_there_are_is_no_question_to_a_row(tmp_path: Path) -> None:
    text = SPEC.format(path=houses(tmp_path / "a.csv", broken=True), more="on_error = skip")
    text = text.replace("binary(1)", "classes(2)").replace("head   = linear(1)\n}\nback", "head   = linear(2)\n}\nback")
    with pytest.raises(MtlError, match=r"MTL602.*4 different classes"):
        load_data(loads(text))


def test_a_spec_that_does_not_say_it_has_the_hash_that_it_had() -> None:
    for more, known in (("", False), ("on_error = raise", False), ("on_error = skip", True)):
        form = normal_form(loads(SPEC.format(path="a.csv", more=more)))
        assert ("on_error" in form["data"]["options"]) is known
