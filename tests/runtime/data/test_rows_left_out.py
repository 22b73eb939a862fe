"""`on_error = skip` of `data table`: rows with a cell that does not fit are left out, and change nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def graded(path: Path, grades: list[str], k: int, more: str = "on_error = skip") -> Splits[Samples]:
    """Rows with their number as price and these classes."""
    lines = [
        "area,city,price,grade",
        *(f"{10 + row % 7},{'ab'[row % 2]},{row},{grade}" for row, grade in enumerate(grades)),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = SPEC.format(path=path, more=more).replace("task sold", "task grade").replace("binary(1)", f"classes({k})")
    return load_data(loads(text.replace("head   = linear(1)\n}\nback", f"head   = linear({k})\n}}\nback")))


def read_as(found: Splits[Samples]) -> dict[int, int]:
    """The class of each row that is in a split."""
    return {
        int(price): int(grade)
        for _, each in found.named()
        for price, grade in zip(
            each.fields["price"][:, 0].tolist(), each.fields["grade"].flatten().tolist(), strict=True
        )
    }


@settings(max_examples=15)
@given(
    wrong=st.dictionaries(
        st.integers(0, 39), st.sampled_from(["7", "-1", "1.5", "1e300", "3.0"]), min_size=1, max_size=9
    )
)
def test_labels_that_are_no_class_leave_their_rows_out(wrong: dict[int, str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        right = [str(row % 3) for row in range(40)]
        whole = read_as(graded(path, right, 3))
        found = graded(path, [wrong.get(row, grade) for row, grade in enumerate(right)], 3)
        assert read_as(found) == {row: grade for row, grade in whole.items() if row not in wrong}
        (remark,) = found.remarks
        assert remark.startswith(f"{len(wrong)} of 40 samples of")
        assert f"has `{wrong[min(wrong)]}` in the column `grade`, which is no class from 0 to 2" in remark


@pytest.mark.parametrize(
    "grades", [["1", "2", "3", "7"], ["a", "b", "c", "d"], ["0", "1", "2", "x"], ["8", "9", "0", "7"]]
)
def test_it_stays_an_error_where_nobody_can_say_which_labels_are_wrong(grades: list[str], tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*4 different classes"):
        graded(tmp_path / "a.csv", grades * 10, 3)


def test_rows_that_are_left_out_change_no_class_of_others(tmp_path: Path) -> None:
    """Without the rows of 1 the others, 2 and 3, would be numbers of classes themselves, and another number of them."""
    path = tmp_path / "a.csv"
    graded(path, ["1", *["2", "3"] * 20], 3)
    path.write_text(path.read_text(encoding="utf-8").replace("10,a,0,1", "ten,a,0,1"), encoding="utf-8")
    text = SPEC.format(path=path, more="on_error = skip").replace("task sold", "task grade")
    text = text.replace("binary(1)", "classes(3)").replace("head   = linear(1)\n}\nback", "head   = linear(3)\n}\nback")
    assert read_as(load_data(loads(text))) == {row: 2 - row % 2 for row in range(1, 41)}


@pytest.mark.parametrize("line", ["10,a,3", "10,a,3,1,1", "10,a,3,1,x,y"])
def test_a_line_of_too_few_or_too_many_cells_is_left_out(line: str, tmp_path: Path) -> None:
    path = houses(tmp_path / "a.csv", broken=False)
    whole = loaded(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[30] = line
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL602.*line 31 of .* has \d cells, where the first line names 4 columns"):
        loaded(path)
    found = loaded(path, "on_error = skip")
    for (_, some), (_, every) in zip(found.named(), whole.named(), strict=True):
        prices = [str(price) for price in every.fields["price"][:, 0].tolist() if price != 29]
        assert [str(price) for price in some.fields["price"][:, 0].tolist()] == prices
    (remark,) = [each for each in found.remarks if "left out" in each]
    assert remark.startswith(f"1 of 40 samples of `{path}` is left out, as `on_error = skip` says: `line 31`; of the")
    path.write_text("\n".join([lines[0], line]), encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL602.*line 2 of"):  # no line is whole, so that the first one may be wrong
        loaded(path, "on_error = skip")


def test_a_broken_line_says_no_part(tmp_path: Path) -> None:
    rows = [f"{row},{'aabb'[row % 4]},{row},{row % 2},{('train', 'validation', 'test')[row % 3]}" for row in range(12)]
    rows[5] = "5,a,5"
    (tmp_path / "a.csv").write_text("\n".join(["area,city,price,sold,part", *rows]), encoding="utf-8")
    found = loaded(tmp_path / "a.csv", 'split = "part"\n  on_error = skip')
    assert [each.fields["price"][:, 0].tolist() for _, each in found.named()] == [
        [0, 3, 6, 9],
        [1, 4, 7, 10],
        [2, 8, 11],
    ]


def test_a_spec_that_does_not_say_it_has_the_hash_that_it_had() -> None:
    for more, known in (("", False), ("on_error = raise", False), ("on_error = skip", True)):
        form = normal_form(loads(SPEC.format(path="a.csv", more=more)))
        assert ("on_error" in form["data"]["options"]) is known
