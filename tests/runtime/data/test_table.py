"""`data table`: the cells of a CSV file as inputs and targets, each held against an independent reading of them."""

from __future__ import annotations

import csv
import io
import math
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import Splits, describe, load_data
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_files import read_table
from mtsldsl.tables.table_inputs import MOST_NAMES, TableInputs
from tests.runtime.data.factories import spec, task

PRICE = task("price", Target("values", 1), dense=False)
SOLD = task("sold", Target("binary", 1), dense=False)
KIND = task("kind", Target("classes", 3), dense=False)
CITIES = ("Bonn", "Köln", "Ulm")


def written(path: Path, columns: Mapping[str, Sequence[object]], delimiter: str = ",") -> str:
    """The columns as Python's csv writes them; None is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def houses(count: int = 50) -> dict[str, list[object]]:
    chance = random.Random(0)
    return {
        "area": [round(chance.uniform(30, 200), 1) for _ in range(count)],
        "city": [CITIES[number % 3] for number in range(count)],
        "price": [1000.0 * number for number in range(count)],
        "sold": [number % 2 for number in range(count)],
        "kind": [("flat", "house", "boat")[number % 3] for number in range(count)],
    }


def loaded(
    path: str,
    tasks: tuple[Task, ...] = (PRICE,),
    width: int = 1,
    inputs: Sequence[str] = ("area",),
    **options: Constant,
) -> Splits:
    return load_data(spec("table", tasks, (width,), input_name="row", path=path, inputs=tuple(inputs), **options))


def of(splits: Splits, field: str) -> list[float]:
    """The numbers of a field in the order of the splits, training first."""
    return [number for _, samples in splits.named() for number in samples.fields[field].flatten().tolist()]


def test_numbers_are_standardised_by_the_training_rows_alone(tmp_path: Path) -> None:
    table = houses()
    splits = loaded(written(tmp_path / "a.csv", table))
    areas = dict(zip(table["price"], table["area"], strict=True))
    training = [areas[price] for price in splits.train.fields["price"].flatten().tolist()]
    assert len(training) == 36
    mean, deviation = statistics.fmean(training), statistics.pstdev(training)
    for _, samples in splits.named():
        for row, price in zip(samples.fields["row"], samples.fields["price"].flatten().tolist(), strict=True):
            assert row.tolist() == pytest.approx([(areas[price] - mean) / deviation], rel=1e-5)
    assert splits.train.fields["row"].mean().item() == pytest.approx(0, abs=1e-6)
    assert splits.fitted == {
        "table": {"inputs": [{"column": "area", "mean": mean, "deviation": deviation}], "classes": {}}
    }


def test_names_are_one_hot_with_a_place_for_those_that_no_training_row_has(tmp_path: Path) -> None:
    table = houses(12)
    table["city"] = [*["Ulm", "Bonn", ""] * 3, "Paris", "NA", "Ulm"]
    table["split"] = ["train"] * 8 + ["validation", "test", "test", "test"]
    splits = loaded(written(tmp_path / "a.csv", table), width=3, inputs=["city"], split="split")
    bonn, ulm, other = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    assert splits.train.fields["row"].tolist() == [ulm, bonn, other, ulm, bonn, other, ulm, bonn]
    assert splits.validation.fields["row"].tolist() == [other]
    assert splits.test.fields["row"].tolist() == [other, other, ulm]
    assert splits.fitted["table"]["inputs"] == [{"column": "city", "names": ["Bonn", "Ulm"]}]
    path = tmp_path / "a.csv"
    assert splits.remarks == (
        f"`city` of `{path}` is missing in 4 of 12 rows, which take the place of names that no training row has",
        f"`city` of `{path}` holds in 1 of 12 rows a name that no training row has, and of which nothing is learned",
    )


def test_columns_stand_in_the_order_of_inputs(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", houses())
    both = loaded(path, width=5, inputs=["city", "area"]).train.fields["row"]
    city = loaded(path, width=4, inputs=["city"]).train.fields["row"]
    area = loaded(path, width=1, inputs=["area"]).train.fields["row"]
    assert torch.equal(both, torch.cat([city, area], dim=1))


def test_missing_cells_of_several_columns_are_one_line(tmp_path: Path) -> None:
    table = houses()
    table["area"] = [None if number % 10 == 0 else area for number, area in enumerate(table["area"])]
    table["city"] = ["", *table["city"][1:]]
    splits = loaded(written(tmp_path / "a.csv", table), width=5, inputs=["city", "area"])
    (remark,) = splits.remarks
    assert remark == (
        f"cells of 2 columns of `{tmp_path / 'a.csv'}` are missing, whose rows take the place of names that no training "
        "row has or the mean of the training rows: `city` in 1, `area` in 5; of 50 rows"
    )


def test_a_missing_number_becomes_the_mean_and_is_counted(tmp_path: Path) -> None:
    table = houses()
    table["area"] = [None if number % 10 == 0 else area for number, area in enumerate(table["area"])]
    splits = loaded(written(tmp_path / "a.csv", table))
    missing = [number % 10_000 == 0 for number in of(splits, "price")]
    assert [value == 0 for value in of(splits, "row")] == missing
    assert splits.remarks == (
        f"`area` of `{tmp_path / 'a.csv'}` is missing in 5 of 50 rows, which take the mean of the training rows",
    )
    known = [
        value for value, gone in zip(splits.train.fields["row"].flatten().tolist(), missing, strict=False) if not gone
    ]
    assert statistics.fmean(known) == pytest.approx(0, abs=1e-6)
    assert statistics.pstdev(known) == pytest.approx(1, rel=1e-5)


def test_a_column_that_is_the_same_everywhere_gives_zeros(tmp_path: Path) -> None:
    splits = loaded(written(tmp_path / "a.csv", houses() | {"area": [0.1] * 50}))
    assert set(of(splits, "row")) == {0.0}


def test_numbers_may_be_names(tmp_path: Path) -> None:
    table = houses() | {"district": [number % 4 + 80_331 for number in range(50)]}
    splits = loaded(written(tmp_path / "a.csv", table), width=5, inputs=["district"], categories=("district",))
    assert splits.fitted["table"]["inputs"] == [
        {"column": "district", "names": [str(80_331 + each) for each in range(4)]}
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a mark"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["unix", "windows"])
def test_a_table_is_read_alike_however_it_is_written(
    tmp_path: Path, delimiter: str, mark: bytes, ending: bytes
) -> None:
    awkward = {"a, b; c": ["x,y", "two\nlines", 'a "quote"', " blanks "], "größe": [1, None, -2.5e-3, "+4"]}
    path = tmp_path / "a.csv"
    written(path, awkward, delimiter)
    path.write_bytes(mark + path.read_bytes().replace(b"\r\n", ending) + ending * 2)
    table = read_table(path)
    assert {name: list(cells) for name, cells in table.columns.items()} == {
        "a, b; c": ["x,y", "two\nlines", 'a "quote"', "blanks"],
        "größe": ["1", "", "-0.0025", "+4"],
    }
    assert list(table.lines) == [2, 3, 5, 6]  # a cell goes over two of them
    numbers = table.numbers("größe").tolist()
    assert numbers[:1] + numbers[2:] == [1, -0.0025, 4]
    assert math.isnan(numbers[1])


@pytest.mark.parametrize("empty", ["", " ", "NA", "na", "NaN", "nan", "null", "NULL", "N/A"])
def test_a_label_may_be_missing_in_a_target_of_any_kind(tmp_path: Path, empty: str) -> None:
    table = houses()
    for name in ("price", "sold", "kind"):
        table[name] = [empty if number % 5 == 0 else cell for number, cell in enumerate(table[name])]
    whole = spec(
        "table", (PRICE, SOLD, KIND), (1,), input_name="row", path=written(tmp_path / "a.csv", table), inputs=("area",)
    )
    described = describe(whole, load_data(whole))
    for name in ("price", "sold", "kind"):
        counts = [described[split]["labels"][name]["entries"] for split in ("train", "validation", "test")]
        assert sum(counts) == 40


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("true", "false"), ("True", "FALSE"), ("yes", "no"), ("Yes", "No")]
)
def test_answers_are_read_in_the_words_of_many(tmp_path: Path, yes: str, no: str) -> None:
    table = houses() | {"sold": [yes if number % 3 else no for number in range(50)]}
    splits = loaded(written(tmp_path / "a.csv", table), (PRICE, SOLD))
    assert of(splits, "sold") == [float(price % 3000 != 0) for price in of(splits, "price")]


def test_names_of_classes_are_sorted_and_kept(tmp_path: Path) -> None:
    splits = loaded(written(tmp_path / "a.csv", houses()), (PRICE, KIND))
    assert splits.fitted["table"]["classes"] == {"kind": ["boat", "flat", "house"]}
    assert of(splits, "kind") == [(1, 2, 0)[round(price / 1000) % 3] for price in of(splits, "price")]


def test_numbers_of_classes_are_themselves_where_they_are_from_0(tmp_path: Path) -> None:
    table = houses() | {"kind": [("2", "0.0", "2")[number % 3] for number in range(50)]}
    splits = loaded(written(tmp_path / "a.csv", table), (PRICE, KIND))
    assert splits.fitted["table"]["classes"] == {}
    assert of(splits, "kind") == [(2, 0, 2)[round(price / 1000) % 3] for price in of(splits, "price")]


def test_other_numbers_are_names_of_classes_sorted_as_numbers(tmp_path: Path) -> None:
    table = houses() | {"kind": [("10", "9", "9.0", "-3")[number % 4] for number in range(50)]}
    splits = loaded(written(tmp_path / "a.csv", table), (PRICE, KIND))
    assert splits.fitted["table"]["classes"] == {"kind": ["-3", "9", "10"]}
    assert of(splits, "kind") == [(2, 1, 1, 0)[round(price / 1000) % 4] for price in of(splits, "price")]


def test_what_a_target_ignores_is_no_label_and_no_class(tmp_path: Path) -> None:
    table = houses() | {"kind": [("a", "b", "c", "-1")[number % 4] for number in range(50)]}
    table["sold"] = [(0, 1, -1)[number % 3] for number in range(50)]
    kind = task("kind", Target("classes", 3, ignore=-1), dense=False)
    sold = task("sold", Target("binary", 1, ignore=-1), dense=False)
    splits = loaded(written(tmp_path / "a.csv", table), (PRICE, kind, sold))
    assert splits.fitted["table"]["classes"] == {"kind": ["a", "b", "c"]}
    numbers = [round(price / 1000) for price in of(splits, "price")]
    assert of(splits, "kind") == [(0, 1, 2, -1)[number % 4] for number in numbers]
    assert [math.isnan(answer) for answer in of(splits, "sold")] == [number % 3 == 2 for number in numbers]


def test_a_field_may_be_a_quoted_name(tmp_path: Path) -> None:
    table = houses()
    table["sale price, EUR"] = table.pop("price")
    price = task("price", Target("values", 1), "sale price, EUR", dense=False)
    splits = loaded(written(tmp_path / "a.csv", table), (price,))
    assert sorted(of(splits, "sale price, EUR")) == [1000.0 * number for number in range(50)]


def test_a_reconstruction_learns_the_row_itself(tmp_path: Path) -> None:
    row = task("again", Target("reconstruct", 1), dense=False)
    assert loaded(written(tmp_path / "a.csv", houses()), (row,)).train.fields.keys() == {"row"}


# Splits ---------------------------------------------------------------------------------------------------------------


@given(count=st.integers(10, 60), part=st.floats(0.05, 0.4), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_parted_as_those_of_arrays(tmp_path: Path, count: int, part: float, seed: int) -> None:
    number = np.arange(count, dtype=np.float32)
    np.savez(tmp_path / "a.npz", row=number[:, None], price=number)
    options: dict[str, Constant] = {"validation": part, "test": part, "seed": seed}
    arrays = load_data(spec("arrays", (PRICE,), (1,), input_name="row", path=str(tmp_path / "a.npz"), **options))
    table = loaded(written(tmp_path / "a.csv", {"area": range(count), "price": range(count)}), **options)
    for (_, samples), (_, others) in zip(arrays.named(), table.named(), strict=True):
        assert torch.equal(samples.fields["price"], others.fields["price"])


@given(people=st.lists(st.integers(0, 9), min_size=30, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_group_is_in_two_parts_and_no_row_is_lost(tmp_path: Path, people: list[int], seed: int) -> None:
    assume(len(set(people)) > 3)
    table = {"area": range(len(people)), "price": range(len(people)), "person": [f"p{each}" for each in people]}
    splits = loaded(written(tmp_path / "a.csv", table), group="person", seed=seed)
    rows = [[round(price) for price in samples.fields["price"].flatten().tolist()] for _, samples in splits.named()]
    assert sorted(row for part in rows for row in part) == list(range(len(people)))
    persons = [{people[row] for row in part} for part in rows]
    assert all(persons)
    assert sum(map(len, persons)) == len(set(people))


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    said = ["train", "Test", "validation", "train", "test"] * 10
    splits = loaded(written(tmp_path / "a.csv", houses() | {"part": said}), split="part")
    for split, samples in splits.named():
        expected = [1000.0 * row for row, each in enumerate(said) if each.lower() == split]
        assert samples.fields["price"].flatten().tolist() == expected


def test_validation_is_taken_from_training_where_no_row_says_so(tmp_path: Path) -> None:
    table = houses() | {"part": ["train"] * 40 + ["test"] * 10, "person": [number // 4 for number in range(50)]}
    path = written(tmp_path / "a.csv", table)
    splits = loaded(path, split="part", validation=0.2)
    assert [len(samples) for _, samples in splits.named()] == [32, 8, 10]
    assert splits.test.fields["price"].flatten().tolist() == [1000.0 * number for number in range(40, 50)]
    grouped = loaded(path, split="part", group="person", validation=0.2)
    assert [len(samples) for _, samples in grouped.named()] == [32, 8, 10]
    whole = {round(price / 1000) // 4 for price in grouped.validation.fields["price"].flatten().tolist()}
    assert len(whole) == 2


# What is fitted -------------------------------------------------------------------------------------------------------


@given(known=st.lists(st.integers(-9, 9), min_size=1, max_size=9), new=st.lists(st.integers(-99, 99), max_size=9))
@settings(max_examples=50, deadline=None)
def test_rows_are_encoded_each_by_itself_and_by_what_the_training_rows_gave(known: list[int], new: list[int]) -> None:
    def table(numbers: Sequence[int]) -> Table:
        cells = list(map(str, numbers))
        return Table(Path("a.csv"), {"a": cells, "b": cells}, range(2, len(cells) + 2))

    training = np.arange(len(known))
    fit = TableInputs.fit(table(known), training, ("a", "b"), ("b",))
    assert TableInputs.fit(table([*known, *new]), training, ("a", "b"), ("b",)) == fit
    together = fit.apply(table([*known, *new]))
    assert together.shape == (len(known) + len(new), fit.width)
    assert together.dtype == np.float32
    alone = [fit.apply(table([number])) for number in (*known, *new)]
    assert np.array_equal(together, np.concatenate(alone))


# What does not fit ----------------------------------------------------------------------------------------------------


def read(text: str, tmp_path: Path, tasks: tuple[Task, ...] = (PRICE,), **options: Constant) -> Splits:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    return loaded(str(path), tasks, **options)


def csv_text(columns: Mapping[str, Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([[*columns], *zip(*columns.values(), strict=True)])
    return file.getvalue()


def changed(name: str, row: int, cell: object, **options: Sequence[object]) -> str:
    """The houses with another cell in a row, which is two lines further down."""
    table = houses() | options
    table[name] = [*table[name]]
    table[name][row] = cell
    return csv_text(table)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, r"MTL602.*no line with the names of columns"),
        ("area,price\n1,2\n3\n", {}, r"MTL602.*line 3 of .*a\.csv` has 1 cell, where the first line names 2(.|\n)*write every cell"),
        ("area,price\n1,2\n3,4,5\n", {}, r"MTL602.*line 3 of .* has 3 cells(.|\n)*put a cell that holds `,` in quotes"),
        ('area,price\n1,2\n"3,4\n', {}, r"MTL602.*begins on line 3 of .*cannot be read(.|\n)*close every quote"),
        ("area,price,area\n1,2,3\n", {}, r"MTL602.*several columns `area`"),
        ("are,price\n1,2\n", {}, r"MTL603.*no column `area`(.|\n)*did you mean `are`"),
        (csv_text(houses()), {"inputs": ["area", "area"], "width": 2}, r"MTL108.*`inputs` has `area` twice"),
        (csv_text(houses()), {"inputs": ["area", "price"], "width": 2}, r"MTL307.*`price` learns the column `price`, which is also"),
        (csv_text(houses()), {"categories": ("city",)}, r"MTL603.*`categories` has `city`, which is not one of"),
        (
            csv_text(houses()),
            {"inputs": ["area", "city"], "width": 7},
            r"MTL602.*rows of 5 numbers, where the input is `row\(7\)`: `area` 1, `city` 4 \(3 names and .*others\)(.|\n)*write `input = row\(5\)`",
        ),
        (changed("area", 20, "large"), {}, r"MTL602.*line 22 of .* has `large` in the column `area`, which is no number(.|\n)*categories"),
        (changed("area", 20, "17,5"), {}, r"MTL602.*line 22(.|\n)*write it with a point: `17\.5`"),
        (changed("area", 20, "inf"), {}, r"MTL602.*line 22.*`inf`.*no number"),
        (changed("area", 20, "1e39"), {}, r"MTL602.*line 22.*`1e39`.*too large for float32"),
        (changed("area", 20, "1_000"), {}, r"MTL602.*line 22.*`1_000`"),
        (changed("area", 20, "x", split=["train"] * 20 + ["test"] * 30), {"split": "split"}, r"MTL602.*line 22.*`x`"),
        (changed("price", 7, "dear"), {}, r"MTL602.*line 9 of .* has `dear` in the column `price`, which is no number"),
        (changed("area", 0, "", area=[""] * 50), {}, r"MTL602.*no training row .* has a value in the column `area`"),
        (
            changed("city", 0, "x", city=[f"c{number}" for number in range(50)]),
            {"inputs": ["city"], "width": 2},
            r"MTL602.*write `input = row\(37\)`|rows of 37 numbers",
        ),
        (changed("area", 0, "", part=["train"] * 49 + ["exam"]), {"split": "part"}, r"MTL602.*line 51 of .*`exam`.*no split"),
        (changed("area", 0, "", part=["train"] * 49 + ["val"]), {"split": "part"}, r"MTL602.*line 51(.|\n)*write `validation`"),
        (changed("area", 0, "", part=["train"] * 50), {"split": "part"}, r"MTL602.*no sample says `test` in the column `part`"),
        (changed("area", 0, ""), {"split": "part"}, r"MTL603.*no column `part`"),
        (changed("area", 0, "", who=["a"] * 49 + [""]), {"group": "who"}, r"MTL602.*line 51.*says no group"),
        (changed("area", 0, "", who=["a"] * 50), {"group": "who"}, r"MTL804.*the column `who` of .* has 1 group, and none is left"),
        (
            changed("area", 0, "", who=["a", "b"] * 25, part=["train"] * 25 + ["test"] * 25),
            {"group": "who", "split": "part"},
            r"MTL602.*`b` of the column `who` .* is in train \(line 3\) and in test \(line 27\)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_line(
    tmp_path: Path, text: str, options: dict[str, Constant], message: str
) -> None:
    with pytest.raises(MtlError, match=message):
        read(text, tmp_path, **options)


@pytest.mark.parametrize(
    ("column", "cells", "target", "message"),
    [
        ("sold", ["yes", "maybe"], Target("binary", 1), r"MTL602.*line 3 of .* has `maybe` in the column `sold`, which is neither yes nor no; 24 more cells"),
        ("sold", [0, 2], Target("binary", 1), r"MTL602.*line 3 of .*`2`"),
        ("kind", ["a", "b"], Target("classes", 3), r"MTL602.*holds 2 different classes, `a`, `b`, where `kind` has 3(.|\n)*write `classes\(2\)`"),
        ("kind", ["a", "b", "c", "c", "B"], Target("classes", 3), r"MTL602.*4 different classes(.|\n)*the rarest, `B`, is on line 6"),
        ("kind", [0, 1, 2, 3], Target("classes", 3), r"MTL602.*4 different classes"),
        ("kind", [0.5, 1], Target("classes", 3), r"MTL602.*`0\.5`, `1`"),
        ("kinds", [0, 1], Target("classes", 2), r"MTL603.*no column `kind`(.|\n)*did you mean `kinds`"),
        ("kind", [0, 1], Target("values", 2), r"MTL603.*one number in a row, and `kind` learns `values\(2\)`"),
        ("kind", [0, 1], Target("unit_vectors", 3), r"MTL603.*one number in a row"),
    ],
)  # fmt: skip
def test_a_target_that_does_not_fit_is_said_with_its_line(
    tmp_path: Path, column: str, cells: list[object], target: Target, message: str
) -> None:
    table = houses() | {column: [cells[number % len(cells)] for number in range(50)]}
    if column == "kinds":
        del table["kind"]
    asked = task("kind" if column == "kinds" else column, target, dense=False)
    with pytest.raises(MtlError, match=message):
        loaded(written(tmp_path / "a.csv", table), (asked,))


def test_a_head_that_gives_an_image_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL603.*one answer, but the head of `price` gives an image"):
        loaded(written(tmp_path / "a.csv", houses()), (task("price", Target("values", 1)),))


def test_two_tasks_may_not_read_a_column_in_two_ways(tmp_path: Path) -> None:
    other = task("other", Target("values", 1), "sold", dense=False)
    with pytest.raises(MtlError, match=r"MTL603.*`other` reads `sold` otherwise"):
        loaded(written(tmp_path / "a.csv", houses()), (SOLD, other))


def test_a_column_of_text_is_refused_with_how_to_look_it_up(tmp_path: Path) -> None:
    count = 2 * MOST_NAMES
    table = houses(count) | {"city": [f"the house number {number}" for number in range(count)]}
    message = r"MTL602.*`city` .* has 144 different values in 144 training rows, such as `the house .*` on line"
    with pytest.raises(MtlError, match=message) as caught:
        loaded(written(tmp_path / "a.csv", table), width=2, inputs=["city"])
    assert "`input = [row(...), city(1)]`, and `embedding(145, 16)` of it" in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_said_with_its_line(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("area,price\n1,2\nKöln,3\n".encode(encoding))
    with pytest.raises(MtlError, match=r"MTL602.*line \d of .* is no text in UTF-8(.|\n)*save the table as CSV"):
        loaded(str(path))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*is a folder"):
        loaded(str(tmp_path))


# Parquet --------------------------------------------------------------------------------------------------------------


def stored(path: Path, columns: Mapping[str, Sequence[object]]) -> str:
    parquet.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), path)
    return str(path)


def test_a_parquet_file_is_read_as_the_csv_file_of_the_same_table(tmp_path: Path) -> None:
    table = houses() | {"sold": [number % 2 == 0 for number in range(50)]}
    table["price"] = [None if number % 5 == 0 else price for number, price in enumerate(table["price"])]
    table["area"] = [math.nan if number == 3 else area for number, area in enumerate(table["area"])]
    paths = (stored(tmp_path / "a.parquet", table), written(tmp_path / "a.csv", table))
    found, wanted = (loaded(path, (PRICE, SOLD, KIND), 5, ["area", "city"]) for path in paths)
    assert found.fitted == wanted.fitted
    for (_, samples), (_, others) in zip(found.named(), wanted.named(), strict=True):
        assert samples.fields.keys() == others.fields.keys()
        for name, tensor in samples.fields.items():
            assert torch.equal(tensor.nan_to_num(-7), others.fields[name].nan_to_num(-7)), name


def test_a_row_of_a_parquet_file_is_said_by_its_number(tmp_path: Path) -> None:
    table = houses() | {"area": ["1"] * 49 + ["large"]}
    with pytest.raises(MtlError, match=r"MTL602.*row 50 of .*a\.parquet` has `large` in the column `area`"):
        loaded(stored(tmp_path / "a.parquet", table))


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1 cut off"])
def test_what_is_no_parquet_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(MtlError, match=r"MTL602.*is no whole Parquet file"):
        loaded(str(tmp_path / "a.parquet"))


def test_without_pyarrow_an_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path / "a.parquet", houses())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MtlError, match=r"MTL601.*pyarrow(.|\n)*mtsldsl\[table\]"):
        loaded(path)
