"""Which corruptions are asked for, and what is made of the numbers: no run and no library is needed for that."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.cli import main
from mtsldsl.cli.robustness_lines import robustness_lines
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.studies.corruptions.robustness import Robustness, RunRow
from mtsldsl.runtime.studies.corruptions.wanted_corruptions import CORRUPTIONS, wanted_corruptions, wanted_severities

EVERY = [name for names in CORRUPTIONS.values() for name in names]


@given(st.lists(st.sampled_from(EVERY), min_size=1))
def test_corruptions_are_each_wanted_once_and_in_the_papers_order(names: list[str]) -> None:
    found = wanted_corruptions(" , ".join(names))
    assert set(found) == set(names)
    assert list(found) == sorted(found, key=EVERY.index)
    assert list(wanted_corruptions("all")) == EVERY


@given(st.sets(st.integers(1, 5), min_size=1))
def test_severities_are_numbers_and_ranges(wanted: set[int]) -> None:
    least = min(wanted)
    assert wanted_severities(",".join(map(str, wanted))) == tuple(sorted(wanted))
    assert wanted_severities(f"{least}..5") == tuple(range(least, 6))


@pytest.mark.parametrize("given", ["0", "6", "1..6", "5..1", "", "1,", "1-3", "1.5", "11"])
def test_other_severities_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="no severity of 1 to 5"):
        wanted_severities(given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--corruptions", "fog,hail"), "`hail` is no corruption: there are gaussian_noise, shot_noise"),
        (("--corruptions", "fog", "--severity", "0"), "`0` is no severity"),
        (("--severity", "3"), "--severity is for --corruptions"),
        (("--seed", "3"), "--seed is for --corruptions"),
        (("runs/b/1",), "several runs are evaluated side by side with --corruptions"),
    ],
)
def test_words_that_say_nothing_are_refused_before_anything_is_read(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, ["eval", "runs/a/1", *words])
    assert done.exit_code == 2
    assert said in done.output


def measured(rmse: float, miou: float, mse: float) -> Evaluation:
    return Evaluation({"depth": 1.0}, {"depth": {"rmse": rmse}, "segment": {"miou": miou}, "image": {"mse": mse}})


def run(name: str, clean: Evaluation, *corrupted: Evaluation) -> RunRow:
    keys = [(corruption, severity) for corruption in ("fog", "snow") for severity in (2, 4)]
    return RunRow(
        name, "mean", (), {"depth": 3}, 1200, ("depth", "segment"), clean, dict(zip(keys, corrupted, strict=True))
    )


def study(*runs: RunRow) -> Robustness:
    return Robustness("test", 0, ("fog", "snow"), (2, 4), runs, ("a note",))


FIRST = run("runs/a/1", measured(2.0, 0.5, 0.1), *(measured(2.0 + n, 0.5 - n / 10, 0.1) for n in range(1, 5)))
SECOND = run("runs/b/1", measured(1.0, 0.8, 0.1), *(measured(1.0 + n, 0.8, 0.1) for n in range(1, 5)))


def test_rows_are_means_over_severities_and_then_over_corruptions() -> None:
    found = study(FIRST)
    assert found.rows == ("clean", "fog", "snow", "mean")
    assert [found.results(FIRST, row)["depth"]["rmse"] for row in found.rows] == pytest.approx([2, 3.5, 5.5, 4.5])
    assert [found.results(FIRST, row)["segment"]["miou"] for row in found.rows] == pytest.approx(
        [0.5, 0.35, 0.15, 0.25]
    )
    assert FIRST.change(4.5, "depth", "rmse") == pytest.approx(-125)  # more of an error is worse
    assert FIRST.change(0.25, "segment", "miou") == pytest.approx(-50)


def test_delta_m_is_against_the_same_runs_clean_pictures_and_against_the_same_row_of_the_first() -> None:
    found = study(FIRST, SECOND)
    assert found.against_clean(FIRST, "fog") == pytest.approx((-75 - 30) / 2)
    assert found.against_clean(FIRST, "mean") == pytest.approx((-125 - 50) / 2)
    assert found.against_first(FIRST, "fog") is None
    assert found.against_first(SECOND, "clean") == pytest.approx((50 + 60) / 2)
    rmse, miou = (3.5 - 2.5) / 3.5, (0.8 - 0.35) / 0.35
    assert found.against_first(SECOND, "fog") == pytest.approx(100 * (rmse + miou) / 2)


def test_a_run_that_lacks_a_task_of_the_first_has_no_delta_m_against_it() -> None:
    lone = RunRow(
        "runs/c/1", "mean", (), {}, 5, ("depth",), Evaluation({}, {"depth": {"rmse": 1.0}}),
        {key: Evaluation({}, {"depth": {"rmse": 2.0}}) for key in FIRST.corrupted},
    )  # fmt: skip
    assert study(FIRST, lone).against_first(lone, "fog") is None
    assert study(lone, FIRST).against_first(FIRST, "fog") == pytest.approx(100 * (2 - 3.5) / 2)
    assert study(FIRST, lone).against_clean(lone, "fog") == pytest.approx(-100)


def test_where_no_task_counts_or_the_clean_metric_is_0_there_is_no_delta_m() -> None:
    back = RunRow("x", "mean", (), {}, 5, (), FIRST.clean, FIRST.corrupted)
    assert study(back).against_clean(back, "fog") is None
    nothing = run("x", measured(2.0, 0.0, 0.1), *[measured(2.0, 0.1, 0.1)] * 4)
    assert study(nothing).against_clean(nothing, "fog") is None


def test_json_has_every_number_of_every_run() -> None:
    found = json.loads(json.dumps(study(FIRST, SECOND).as_json()))
    assert (found["corruptions"], found["severities"], found["notes"]) == (["fog", "snow"], [2, 4], ["a note"])
    for told, row in zip(found["runs"], (FIRST, SECOND), strict=True):
        numbers = {(each["corruption"], each["severity"]): each["metrics"] for each in told["corrupted"]}
        assert numbers == {key: each.metrics for key, each in row.corrupted.items()}
        assert told["clean"]["metrics"] == row.clean.metrics
    assert [each["delta_m_against_first"] is None for each in found["runs"][0]["rows"]] == [True] * 4


@pytest.mark.parametrize("width", [None, 80, 44])
def test_the_table_is_as_expected(width: int | None) -> None:
    said = "\n".join(robustness_lines(study(FIRST, SECOND), width)) + "\n"
    expected = Path(__file__).parent / "expected" / f"robustness_{width}.txt"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


def test_no_column_is_wider_than_the_terminal() -> None:
    table = list(robustness_lines(study(FIRST, SECOND), 44))
    columns = [line for line in table if line[:5] in ("clean", "fog  ", "snow ", "mean ")]
    assert len(columns) > len(study(FIRST).rows)
    assert all(len(line) <= 44 for line in columns)
