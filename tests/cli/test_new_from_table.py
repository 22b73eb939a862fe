"""`mtsldsl new --from table --data`: the spec that it writes is about what the file holds, and trains as it is."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from pyarrow import parquet
from sklearn import datasets

from mtsldsl.cli.table_starter import spec_of_table
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import load, loads
from mtsldsl.editing.checking import check
from mtsldsl.runtime.data import load_data
from mtsldsl.syntax.format import format_text
from tests.cli.test_new import content, mtsldsl
from tests.laws import law


def written(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return path


def houses(count: int = 200) -> dict[str, list[object]]:
    chance = random.Random(0)
    area = [round(chance.uniform(30, 200), 1) for _ in range(count)]
    return {
        "": list(range(count)),
        "number": [1000 + row for row in range(count)],
        "owner": [f"{chance.random():.9f} Smith" for _ in range(count)],
        "area": area,
        "city": [["Bonn", "Köln", "Ulm", ""][row % 4] for row in range(count)],
        "country": ["Germany"] * count,
        "note": [f"note {row // 2 if row % 3 else 0}" for row in range(count)],
        "sale price": ["" if row % 5 == 0 else round(3000 * each) for row, each in enumerate(area)],
        "sold": ["yes" if each > 100 else "no" for each in area],
        "rooms": [1 + int(each) // 50 for each in area],
        "kind": [("flat" if each < 80 else "house" if each < 150 else "villa") for each in area],
    }


TARGETS = ("sale price", "sold", "rooms", "kind")


def new(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    return mtsldsl("new", "jobs/first", "--from", "table", *arguments, cwd=folder, status=status)


def asked(*names: str) -> list[str]:
    return [word for name in names for word in ("--target", name)]


def metrics_of_test(folder: Path) -> dict[str, dict[str, float]]:
    """The metrics of the test after a training of the spec as it is."""
    printed = mtsldsl("train", "jobs/first.mtl", "--json", "--device", "cpu", cwd=folder).stdout
    (test,) = [event for event in map(json.loads, printed.splitlines()) if event["event"] == "test"]
    found: dict[str, dict[str, float]] = test["metrics"]
    return found


def sound(folder: Path) -> None:
    said = mtsldsl("check", "--pedantic", "jobs/first.mtl", cwd=folder)
    assert said.stderr == ""
    mtsldsl("fmt", "--check", "jobs/first.mtl", cwd=folder)


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("diabetes", "r2", 0.4),
        ("wine", "accuracy", 0.9),
        pytest.param("breast_cancer", "accuracy", 0.9, marks=pytest.mark.soak),
    ],
)
def test_a_real_table_is_learned_as_it_is(name: str, metric: str, least: float, tmp_path: Path) -> None:
    real = getattr(datasets, f"load_{name}")()
    columns = dict(zip(real.feature_names, real.data.T.tolist(), strict=True))
    written(tmp_path / "d.csv", {**columns, "answer": real.target.tolist()})
    new(tmp_path, "--data", "d.csv", *asked("answer"))
    sound(tmp_path)
    spec = load(tmp_path / "jobs" / "first.mtl")
    assert spec.data.options["inputs"] == tuple(real.feature_names)
    assert metrics_of_test(tmp_path)["answer"][metric] > least


@pytest.mark.soak
def test_several_targets_with_missing_labels_are_learned_together(tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    new(tmp_path, "--data", "d.csv", *asked(*TARGETS), "--exclude", "country")
    sound(tmp_path)
    spec = load(tmp_path / "jobs" / "first.mtl")
    assert {task.name: (task.target.kind, task.target.channels, task.target.scale) for task in spec.tasks} == {
        "sale_price": ("values", 1, "standard"),
        "sold": ("binary", 1, "none"),
        "rooms": ("classes", 4, "none"),
        "kind": ("classes", 3, "none"),
    }
    assert spec.data.options["inputs"] == ("area", "city")
    assert spec.data.shape == (5,)
    assert spec.structure is not None
    found = metrics_of_test(tmp_path)
    assert found["sale_price"]["r2"] > 0.9
    assert min(found[task]["accuracy"] for task in ("sold", "rooms", "kind")) > 0.8


def test_comments_say_what_was_found_in_each_column(tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    new(tmp_path, "--data", "d.csv", *asked(*TARGETS), "--exclude", "area", "--exclude", "note")
    text = (tmp_path / "jobs" / "first.mtl").read_text(encoding="utf-8")
    lines = [re.sub(" {2,}", "  ", line.strip()) for line in text.splitlines()]
    start = lines.index("inputs = [")
    assert lines[start + 1 : lines.index("]", start)] == [
        '# "": it has no name',
        '# "number": no two rows have the same, as in a column of identifiers',
        '# "owner": no two rows have the same, as in a column of identifiers',
        '# "area": excluded',
        '"city",  # 25.0 % missing; 3 names: Bonn, Köln, Ulm',
        '# "country": it is the same in all rows',
        '# "note": excluded',
    ]
    assert "# as many numbers as the columns give: `city` 4 (3 names and one place for others)" in lines
    assert "# 20.0 % missing; numbers from 91500 to 600000; metrics are in their unit" in [
        re.sub(r"from \d+ to \d+", "from 91500 to 600000", line) for line in lines
    ]
    assert "# the classes, from 0: flat, house, villa" in lines


def test_a_column_of_many_names_is_left_out_with_how_to_look_it_up(tmp_path: Path) -> None:
    table = {
        "area": [row % 97 + 0.5 for row in range(600)],
        "Main street": [f"s{row % 150}" for row in range(600)],
        "price": [2.5] + [1.5] * 599,
    }
    path = written(tmp_path / "d.csv", table)
    text = spec_of_table(tmp_path / "a.mtl", path, ["price"], [])
    assert (
        '# "Main street": 150 names, more than 100; have its names looked up as ids: '
        "`input = [row(...), main_street(1)]`, and `embedding(151, 16)` of it\n" in text
    )


def test_what_a_column_is_is_what_training_makes_of_it(tmp_path: Path) -> None:
    """Names of which no training row has one are not counted: the width is that of the run's own split."""
    table = {
        "area": [0.5 + row for row in range(40)],
        "city": ["Ulm", "Bonn"] * 19 + ["Rom", "Oslo"],
        "y": [0.1, 2] * 20,
    }
    shuffled = random.Random(3)
    for _ in range(5):
        order = shuffled.sample(range(40), 40)
        data = written(tmp_path / "d.csv", {name: [cells[row] for row in order] for name, cells in table.items()})
        spec = loads(spec_of_table(tmp_path / "a.mtl", data, ["y"], []), str(tmp_path / "a.mtl"))
        splits = load_data(spec)
        assert splits.train.fields["row"].shape[1:] == spec.data.shape


CELLS = {
    "numbers": st.floats(-1e6, 1e6).map(repr),
    "whole": st.integers(-3, 12).map(str),
    "large": st.integers().map(str),
    "answers": st.sampled_from(["yes", "no", "True", "0"]),
    "names": st.sampled_from(["Ulm", "Bonn", "1", "2.5", 'a "b" \\ c', "two\nlines", "NA"]),
    "text": st.text(max_size=5),
}
NAMES = st.sampled_from(
    ["row", "hidden1", "price", "sale price", "class", "all", "conv2d", "x" * 120, "é", 'q"\\', "sale_price"]
)


def spec_or_code(place: Path, path: Path, targets: Sequence[str]) -> str:
    """The text, or the code of the report where a column cannot be learned."""
    try:
        return spec_of_table(place, path, targets, [])
    except MtlError as error:
        return error.diagnostics[0].code


@law(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_of_any_table_the_spec_is_sound_and_its_data_loads(data: st.DataObject, tmp_path: Path) -> None:
    count = data.draw(st.integers(20, 60))
    names = data.draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    table: dict[str, Sequence[object]] = {"area": [str(0.5 + row) for row in range(count)]}
    for name in names:
        cells = st.one_of(st.just(""), CELLS[data.draw(st.sampled_from(sorted(CELLS)))])
        few = data.draw(st.lists(cells, min_size=1, max_size=count))
        table[name] = [few[row % len(few)] for row in range(count)]
    targets = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    path = written(tmp_path / "d.csv", table)
    place = tmp_path / "first.mtl"
    text = spec_or_code(place, path, targets)
    assume(text != "MTL602")
    source = Source(str(place), text)
    report = check(source, {}, pedantic=True)
    assert report.diagnostics == ()
    assert report.spec is not None
    assert format_text(source) == text
    assert [task.field or task.name for task in report.spec.tasks] == targets
    splits = load_data(report.spec)
    assert splits.train.fields[report.spec.data.input].shape[1:] == report.spec.data.shape


def test_without_a_target_it_says_what_each_column_could_be(tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    lines = new(tmp_path, "--data", "d.csv", status=2).stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if "--target" in line)
    said = dict(line.strip().split(": ", 1) for line in lines[start + 2 :])
    assert said.keys() == houses().keys() - {""}
    assert said["sale price"] == "numbers"
    assert said["sold"] == "yes or no"
    assert said["kind"] == "3 classes, flat, house, villa"
    assert said["country"].startswith("no target: ")
    assert set(content(tmp_path)) == {"d.csv"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "no.csv", "--target", "sold"], "MTL601", "`no.csv` is not there"),
        (["--data", ".", "--target", "sold"], "MTL602", "is a folder"),
        (["--data", "d.csv", "--target", "solt"], "MTL603", "did you mean `sold`?"),
        (["--data", "d.csv", "--target", "sold", "--exclude", "citty"], "MTL603", "did you mean `city`?"),
        (["--data", "d.csv", "--target", "owner"], "MTL602", "200 different values in 200 rows, too many for classes"),
        (["--data", "d.csv", "--target", "country"], "MTL602", "is the same in all rows"),
        (["--data", "d.csv", "--target", "sold", "--exclude", "city", "--exclude", "area", "--exclude", "sale price",
          "--exclude", "rooms", "--exclude", "kind", "--exclude", "note"], "MTL602", "has no column left to learn from"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_report_with_a_remedy(arguments: list[str], code: str, said: str, tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    done = new(tmp_path, *arguments, status=1)
    assert f"error {code}: " in done.stderr
    assert said in done.stderr
    assert "remedy" in done.stderr
    assert set(content(tmp_path)) == {"d.csv"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "scenes", "--data", "d.csv"], "--data is for --from table"),
        (["--from", "table", "--target", "sold"], "give its file with --data"),
        (["--from", "table", "--data", "d.csv", "--target", "sold", "--exclude", "sold"], "cannot be learned"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: list[str], said: str, tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    assert said in mtsldsl("new", "first", *arguments, cwd=tmp_path, status=2).stderr
    assert set(content(tmp_path)) == {"d.csv"}


def test_a_spec_that_is_there_stays(tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "first.mtl").write_text("mine\n", encoding="utf-8")
    assert "error MTL706" in new(tmp_path, "--data", "d.csv", *asked("sold"), status=1).stderr
    assert content(tmp_path)["jobs/first.mtl"] == b"mine\n"


def test_the_path_leads_from_the_spec_to_the_table(tmp_path: Path) -> None:
    for folder in ("data", "jobs"):
        (tmp_path / folder).mkdir()
    written(tmp_path / "data" / "d.csv", houses())
    new(tmp_path, "--data", "data/d.csv", *asked("sold"))
    spec = load(tmp_path / "jobs" / "first.mtl")
    assert spec.data.options["path"] == "../data/d.csv"
    assert load_data(spec).places == {"table": tmp_path / "jobs" / ".." / "data" / "d.csv"}


def test_a_file_of_the_same_path_in_the_working_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    written(tmp_path / "jobs" / "d.csv", houses())
    (tmp_path / "d.csv").write_text("another\n", encoding="utf-8")
    new(tmp_path, "--data", "jobs/d.csv", *asked("sold"))
    assert load(tmp_path / "jobs" / "first.mtl").data.options["path"] == str(tmp_path / "jobs" / "d.csv")


def test_of_a_parquet_file_it_writes_the_same(tmp_path: Path) -> None:
    table = {name: [None if cell == "" else cell for cell in cells] for name, cells in houses().items()}
    del table["note"]  # whose row is called a line in the one and a row in the other
    parquet.write_table(pa.table(table), tmp_path / "d.parquet")
    paths = [written(tmp_path / "d.csv", table), tmp_path / "d.parquet"]
    of_csv, of_parquet = (spec_of_table(tmp_path / "a.mtl", path, TARGETS, []) for path in paths)
    assert of_csv == of_parquet.replace("d.parquet", "d.csv")


def test_it_never_loads_torch(tmp_path: Path) -> None:
    written(tmp_path / "d.csv", houses())
    program = (
        "import sys\n"
        "from mtsldsl.cli import main\n"
        "main('new first --from table --data d.csv --target sold'.split(), standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "first.mtl").is_file()
