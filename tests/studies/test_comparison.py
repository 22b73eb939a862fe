"""The table of a study, its verdicts and its JSON, of runs whose numbers are given."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from statistics import fmean

import attrs
import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads_source
from mtsldsl.runtime.studies.baselines.comparison import Comparison, Line, skill
from mtsldsl.runtime.studies.baselines.comparison_lines import note_lines, table_cells, table_lines
from mtsldsl.runtime.studies.baselines.size_chart import size_chart
from mtsldsl.runtime.studies.baselines.study_page import study_page
from mtsldsl.runtime.studies.baselines.trial import Outcome
from mtsldsl.runtime.studies.baselines.verdicts import verdicts
from mtsldsl.runtime.studies.baselines.wanted_rows import KINDS, Wanted
from tests import page_rules
from tests.studies.study_specs import LADDER, SPEC

EXPECTED = Path(__file__).parent / "expected"
CONSTANT = {"whole": {"rmse": 2.5}, "part": {"rmse": 2.0}, "sign": {"accuracy": 0.5}}
ROWS = {row.name: row for row in Wanted.of(Source("small.mtl", SPEC), {}, KINDS, taught=True).rows}
SIZES = {"each": 296, "all": 112, "encoder": 184, "widened": 177, "learned": 190, "scratch": 190, "random": 190}


def ended(name: str, seed: int, gain: float, size: int | None = None, accuracy: float = 0.8) -> Outcome:
    """A run that is so much better, in percent, than the tasks alone in each task; these get worse by the seed."""
    alone = 1 + seed / 10
    metrics = {
        "whole": {"rmse": alone * (1 - gain / 100)},
        "part": {"rmse": alone * (1 - gain / 100)},
        "sign": {"accuracy": accuracy * (1 + gain / 100)},
    }
    size = SIZES[name.removesuffix("+teachers")] if size is None else size
    return Outcome(Path(f"study/{name}-{seed}"), "", metrics, size, 2 * size, 10 + size / 100)


def with_rmse(task: str, rmse: float) -> Outcome:
    """A run of the row `all` that is as good as the tasks alone but for this metric."""
    run = ended("all", 0, 0)
    return attrs.evolve(run, metrics={**run.metrics, task: {"rmse": rmse}})


def study(
    gains: Mapping[str, Sequence[float | None]], counted: Sequence[str] = ("whole", "part", "sign")
) -> Comparison:
    """Of the gains of each row at each seed; where there is none the run diverged."""
    runs = {
        ROWS[name]: {
            seed: Outcome(Path(f"study/{name}-{seed}"), "MTL803") if gain is None else ended(name, seed, gain)
            for seed, gain in enumerate(given)
        }
        for name, given in gains.items()
    }
    return Comparison.of(runs, CONSTANT, counted)


def line(found: Comparison, name: str) -> Line:
    known = found.line(name)
    assert known is not None
    return known


TAUGHT = {
    "each+teachers": [1, 2, 1, 2],
    "encoder+teachers": [3, 4, 3.5, 3.5],
    "scratch+teachers": [8, 11, 9, 10],
}
"""Beside USUAL: each is as large as without, and better by 1.5, 2 and 3.5 points."""

USUAL = {
    "each": [0, 0, 0, 0],
    "all": [-9, -8, -10, -9],
    "encoder": [1, 2, 1.5, 1.5],
    "widened": [-1, 3, 1, 2],
    "learned": [5, 7, 6, 6],
    "scratch": [4, 8, 5, 7],
    "random": [5, 7, 6, 6],
}


def test_what_is_taught_is_compared_with_what_is_taught_and_with_itself_without() -> None:
    found = study({**USUAL, **TAUGHT})
    plain = study(USUAL)
    assert [verdict for verdict in verdicts(found) if not verdict.startswith("scratch+")] == verdicts(plain)
    taught = line(found, "scratch+teachers")
    against = found.against(taught)
    assert {name: each.other for name, each in against.items()} == {
        "best": "encoder+teachers",
        "picked": "encoder+teachers",
        "untaught": "scratch",
    }
    assert against["untaught"].difference.mean == pytest.approx(3.5)
    assert against["best"].difference.mean == pytest.approx(6.0)
    (verdict,) = [each for each in verdicts(found) if each.startswith("scratch+")]
    assert "better than the same without teachers: +3.50 points" in verdict
    # What teaches is paid for too: 10 + 296 / 100 seconds beside 10 + 190 / 100.
    (row,) = [each for each in table_lines(found) if each.startswith("| scratch+teachers")]
    assert " 11.9 + 13.0 |" in row
    assert sum("those of `each`" in each for each in note_lines(found)) == 1
    assert not any("those of `each`" in each for each in note_lines(plain))
    said = {each["name"]: each["teachers_cpu_seconds"] for each in found.as_json()["rows"]}
    assert said["scratch+teachers"] == pytest.approx(12.96)
    assert said["scratch"] is None
    assert size_chart(found) != size_chart(plain)


MERGING = "mtsl {\n  phases = [1]\n  choose = budget(0.65)\n  teach = 1.0"


def test_what_teaches_itself_is_compared_with_what_is_taught_too() -> None:
    text = SPEC.replace("branch {\n  at     = 1\n  budget = 0.7", MERGING)
    for taught in (True, False):
        found = Wanted.of(Source("small.mtl", text), {}, ["encoder", "learned"], (0.65,), taught=taught)
        gains = {**USUAL, **TAUGHT, "learned:0.65": [3.0, 4, 3, 4]}
        runs = {
            row: {
                seed: ended(row.name, seed, gain, 190 if row.budget else None)
                for seed, gain in enumerate(gains[row.name])
            }
            for row in found.rows
        }
        compared = Comparison.of(runs, CONSTANT, ("whole", "part", "sign"))
        assert [row.name for row in found.rows if row.teaches_itself] == ["learned:0.65"]
        against = {name: each.other for name, each in compared.against(line(compared, "learned:0.65")).items()}
        usual = {"best": "encoder", "picked": "encoder"}
        more = {"best_taught": "encoder+teachers", "picked_taught": "encoder+teachers"} if taught else {}
        assert against == {**usual, **more}
        verdict, goal = verdicts(compared)
        assert "better than encoder, of the static shapes of at most its budget the best" in verdict
        with_teachers = (
            "not shown to be better than encoder+teachers, of those with teachers the best, and what a person"
        )
        assert (with_teachers in verdict) == taught
        assert ("it teaches itself, and no static shape that it is compared with is taught" in verdict) != taught
        assert (", encoder+teachers: " in goal) == taught
        assert "taught by itself to the end: learned:0.65" in note_lines(compared)
        (row,) = [each for each in compared.as_json()["rows"] if each["name"] == "learned:0.65"]
        assert row["taught"]


def test_the_sharing_that_a_spec_gives_is_compared_with_its_tasks_at_random_and_with_what_was_learned() -> None:
    text = SPEC.replace("narrow = all\n}", "narrow = whole + part, sign\n}")
    rows = {row.name: row for row in Wanted.of(Source("small.mtl", text), {}, [*KINDS, "given"]).rows}
    gains = {**USUAL, "given": [7, 8, 6, 7], "random:given": [2, 2, 1, 3]}
    made = {
        rows[name]: {seed: ended(name, seed, gain, SIZES.get(name, 190)) for seed, gain in enumerate(gains[name])}
        for name in gains
    }
    found = Comparison.of(made, CONSTANT, ("whole", "part", "sign"))
    given, learned = (found.against(line(found, name)) for name in ("given", "learned"))
    assert {name: each.other for name, each in given.items()} == {
        "best": "encoder", "picked": "encoder", "random": "random:given",
    }  # fmt: skip
    assert given["random"].difference.mean == pytest.approx(5.0)
    assert learned["given"].difference.mean == pytest.approx(-1.0)
    (own,) = [each for each in verdicts(found) if each.startswith("given")]
    assert "better than its shape with the tasks at random: +5.00 points" in own
    (other,) = [each for each in verdicts(found) if each.startswith("learned")]
    assert "than the sharing that the spec gives: -1.00 points" in other


def test_gains_are_over_the_tasks_alone_with_the_same_seed() -> None:
    found = study(USUAL)
    for name, gains in USUAL.items():
        assert list(line(found, name).gains.values()) == pytest.approx(gains)
    learned = line(found, "learned").over(line(found, "encoder"))
    assert learned is not None
    assert learned.mean == pytest.approx(fmean([4, 5, 4.5, 4.5]))
    assert learned.above


def test_a_row_is_compared_with_shapes_of_at_most_its_size() -> None:
    found = study(USUAL)
    against = found.against(line(found, "learned"))
    assert {name: each.other for name, each in against.items()} == {
        "best": "encoder", "picked": "encoder", "scratch": "scratch", "random": "random",
    }  # fmt: skip
    small = {**USUAL, "all": [9.0, 9, 9, 9]}
    assert found.against(line(found, "encoder"))["best"].other == "widened"
    assert study(small).against(line(study(small), "learned"))["best"].other == "all"
    assert found.against(line(found, "all")) == {}  # nothing is as small


AT_BUDGET = {row.name: row for row in Wanted.of(Source("small.mtl", SPEC), {}, KINDS, (0.65,)).rows}
"""A budget of 192.4 parameters, of 296."""


def within_budget(gains: Mapping[str, Sequence[float]], sizes: Mapping[str, int]) -> Comparison:
    """Of rows at that budget, by their gains at each seed; `sizes` of those that have others than usual."""
    runs = {
        row: {
            seed: ended(name, seed, gain, sizes.get(name, SIZES.get(name.partition(":")[0])))
            for seed, gain in enumerate(gains[name])
        }
        for name, row in AT_BUDGET.items()
        if name in gains
    }
    return Comparison.of(runs, CONSTANT, ("whole", "part", "sign"))


def test_a_row_with_a_budget_is_compared_with_all_that_fits_it() -> None:
    gains = {name: USUAL[name] for name in ("each", "all", "encoder")}
    gains |= {"learned:0.65": USUAL["learned"], "scratch:0.65": USUAL["scratch"], "widened:0.65": [9.0, 9, 10, 9]}
    found = within_budget(gains, {"widened:0.65": 192})  # and the learned network has 190
    for name in ("learned:0.65", "scratch:0.65"):
        assert found.against(line(found, name))["best"].other == "widened:0.65"
    assert (
        "worse than widened:0.65, of the static shapes of at most its budget the best: -3.25 points"
        in (verdicts(found)[0])
    )
    larger = within_budget(gains, {"widened:0.65": 193})
    assert larger.against(line(larger, "learned:0.65"))["best"].other == "encoder"
    above = within_budget(gains, {"widened:0.65": 194, "learned:0.65": 194})
    assert above.against(line(above, "learned:0.65"))["best"].other == "widened:0.65"
    assert "of at most its size the best" in verdicts(above)[0]


DEEPER = SPEC.replace(
    "  narrow = linear(4) | relu\n", "  narrow = linear(4) | relu\n  end    = linear(3) | relu\n"
).replace("  narrow = all\n", "  narrow = all\n  end    = all\n")
"""Of three layers, 337 parameters alone, and 123, 153 and 225 with none, one and two own last ones; without a budget a
person picks one."""


@pytest.mark.parametrize(
    ("budgets", "kinds", "picked"),
    [
        ((), ["encoder", "last"], "encoder"),
        ((0.7,), ["encoder", "last"], "last:2"),
        ((0.7,), ["encoder", "last:2"], "last:2"),
        ((0.7,), ["all", "encoder"], None),
        ((0.4,), ["encoder", "last"], "last:0"),
    ],
)
def test_within_a_budget_a_person_picks_as_many_own_last_layers_as_fit(
    budgets: Sequence[float], kinds: Sequence[str], picked: str | None
) -> None:
    rows = Wanted.of(Source("small.mtl", DEEPER), {}, ["widened", "learned", *kinds], budgets).rows
    runs = {row: {seed: ended(row.name, seed, seed, row.spec.cost().parameters) for seed in range(3)} for row in rows}
    learned = next(row for row in rows if row.kind == "learned")
    found = Comparison.of({**runs, learned: {s: ended("learned", s, 1, 180) for s in range(3)}}, CONSTANT, ("whole",))
    against = found.against(line(found, learned.name))
    assert ("picked" in against) == (picked is not None)
    if picked is not None:
        assert picked in line(found, against["picked"].other).row.names
    said = "what a person would pick, last:2, is not in the table"
    assert any(said in verdict for verdict in verdicts(found)) == (picked is None)


@pytest.mark.parametrize(
    ("learned", "best", "picked"),
    [
        ([6.0, 6.1, 5.9, 6.0], "shown, +0.00 points", "shown, +5.00 points"),
        ([5.3, 5.2, 5.3, 5.2], "shown not to be, -0.75 points", "shown, +4.25 points"),
        ([5.5, 6.5, 7.5, 1.5], "not shown, -0.75 points", "not shown, +4.25 points"),
        ([1.9, 1.8, 1.9, 1.8], "shown not to be, -4.15 points", "shown not to be, +0.85 points"),
    ],
)
def test_of_each_budget_the_goal_is_shown_or_not_or_shown_not_to_be(
    learned: list[float], best: str, picked: str
) -> None:
    gains: dict[str, Sequence[float]] = {"each": [0] * 4, "all": [0] * 4, "encoder": [1] * 4, "widened:0.65": [6] * 4}
    said = verdicts(within_budget({**gains, "learned:0.65": learned}, {}))
    assert len(said) == 2
    name, _, clauses = said[1].partition(", the goal: ")
    within, over, cost = clauses.split("; ")
    assert name == "learned:0.65"
    assert within.startswith(f"within 0.5 points of the best static shape, widened:0.65: {best} (95 % interval ")
    assert over.startswith(f"at least 1 point over what a person would pick, encoder: {picked} (95 % interval ")
    # 11.9 seconds beside the mean of 11.12, 11.84 and 11.77.
    assert cost.startswith("at most 2 trainings of a static network of at most this budget: shown, 1.03 in the median")


def test_the_cost_of_a_budget_is_its_part_of_the_run_in_trainings_of_what_is_as_small() -> None:
    rows = {row.name: row for row in Wanted.of(Source("small.mtl", LADDER), {}, ["all", "encoder", "learned"]).rows}
    sizes = {"each": 296, "all": 112, "encoder": 184, "learned:0.6": 170, "learned:0.8": 190}

    def runs(name: str, seconds: Sequence[float | None]) -> dict[int, Outcome]:
        found = {seed: ended(name, seed, seed, sizes[name]) for seed in range(len(seconds))}
        folder = "learned" if name.startswith("learned") else name  # one run has all budgets
        return {
            seed: attrs.evolve(run, cpu_seconds=seconds[seed], folder=Path(f"study/{folder}-{seed}"))
            for seed, run in found.items()
        }

    def costs(seconds: Sequence[float | None]) -> list[str]:
        known = {"each": [9.0] * 4, "all": [1.0, 2, 1, 1], "encoder": [3.0, 4, 3, 3]}
        made = {row: runs(name, known.get(name, seconds)) for name, row in rows.items()}
        found = Comparison.of(made, CONSTANT, ("whole",))
        return [each.split("; ")[-1] for each in verdicts(found) if ", the goal: " in each]

    small, large = costs([3, 9, 3, 4])
    wanted = "at most 2 trainings of a static network of at most this budget: "
    assert small.startswith(
        f"{wanted}not shown, 1.75 in the median (95 % interval of the mean "
    )  # 3, 9, 3, 4 / 2, by `all`
    assert large.startswith(f"{wanted}shown, 0.88 in the median (95 % interval of the mean ")  # by 2, 3, 2, 2
    assert costs([9, 18, 9, 9])[0].startswith(f"{wanted}shown not to be, 4.50 in the median")
    assert costs([None] * 4)[0] == f"{wanted}not shown, as the CPU seconds are not known."


def test_a_person_who_may_have_no_more_picks_what_still_fits() -> None:
    runs = {
        ROWS[name]: {seed: ended(name, seed, 0, 150 if name == "learned" else None) for seed in range(3)}
        for name in SIZES
    }
    found = Comparison.of(runs, CONSTANT, ("whole",))
    assert found.against(line(found, "learned"))["picked"].other == "all"


def test_the_size_of_a_row_is_the_largest_that_it_had() -> None:
    sizes = {0: 120, 1: 185, 2: 120}
    runs = {
        ROWS[name]: {seed: ended(name, seed, 0, sizes[seed] if name == "learned" else None) for seed in sizes}
        for name in SIZES
    }
    found = Comparison.of(runs, CONSTANT, ("whole",))
    assert found.against(line(found, "learned"))["picked"].other == "encoder"  # of 184 parameters
    assert "| 120 to 185 |" in table_lines(found)[7]


def test_seeds_of_which_one_diverged_are_left_out_of_the_pairs() -> None:
    found = study({**USUAL, "encoder": [1, None, 1.5, 1.5], "each": [0, 0, None, 0]})
    over = line(found, "learned").over(line(found, "encoder"))
    assert over is not None
    assert (over.count, over.mean) == (2, pytest.approx(4.25))
    assert line(found, "encoder").diverged == (1,)
    assert list(note_lines(found)) == [
        "each diverged with seed 2; its numbers are of the others",
        "encoder diverged with seed 1; its numbers are of the others",
        *(
            f"{name} has no Δm, as the tasks alone diverged or one of the two has no number, with seed 2"
            for name in ("all", "encoder", "widened", "learned", "scratch", "random")
        ),
    ]
    assert (
        "nothing is claimed against encoder, of the static shapes of at most its size the best, and what a person would pick: 2 of 4 seeds have both"
        in verdicts(found)[0]
    )


@pytest.mark.parametrize(
    ("learned", "says"),
    [
        (
            [5, 7, 6, 6],
            "better than encoder, of the static shapes of at most its size the best, and what a person would pick: +4.50 points (95 % interval",
        ),
        (
            [1, 2, 1, 3],
            "not shown to be better than encoder, of the static shapes of at most its size the best, and what a person would pick: +0.25 points",
        ),
        (
            [-5, -3, -4, -4],
            "worse than encoder, of the static shapes of at most its size the best, and what a person would pick: -5.50 points",
        ),
        ([5, 7, None, 6], "nothing is claimed, as it diverged with 1 of 4 seeds"),
    ],
)
def test_a_gain_is_claimed_where_the_interval_is_above_0_alone(learned: list[float | None], says: str) -> None:
    (verdict,) = verdicts(study({**USUAL, "learned": learned}))
    assert verdict.startswith(f"learned: {says}")


def test_of_two_seeds_nothing_is_claimed() -> None:
    two = {name: gains[:2] for name, gains in USUAL.items()}
    assert verdicts(study(two)) == ["learned: nothing is claimed of 2 seeds; it takes 3."]
    found = study(two).as_json()
    assert not any(each["shown"] for row in found["rows"] for each in row["against"].values())


def test_a_verdict_says_what_is_not_there_to_compare_with() -> None:
    few = {name: USUAL[name] for name in ("each", "learned")}
    assert verdicts(study(few)) == ["learned: no static shape of at most its size is in the table."]
    few = {name: USUAL[name] for name in ("each", "all", "learned")}
    assert verdicts(study(few))[0].endswith("; what a person would pick is not in the table.")


def test_what_is_to_be_the_input_again_counts_where_it_is_asked_for() -> None:
    runs = {ROWS["each"]: {0: ended("each", 0, 0)}, ROWS["all"]: {0: with_rmse("whole", 0.5)}}
    of = [line(Comparison.of(runs, CONSTANT, counted), "all").gains[0] for counted in (("whole", "part"), ("part",))]
    assert of == pytest.approx([25.0, 0.0])


@pytest.mark.parametrize(
    ("value", "constant", "high", "known"),
    [
        (0.2527, 0.2465, True, 0.00823),
        (0.318, 0.2465, True, 0.0949),
        (0.5, 2.0, False, 0.75),
        (2.5, 2.0, False, -0.25),
        (1, 1, True, 0),
    ],
)
def test_skill_is_the_way_from_a_constant_answer_to_a_perfect_one(
    value: float, constant: float, high: bool, known: float
) -> None:
    assert skill(value, constant, better_high=high) == pytest.approx(known, abs=1e-4)


def test_a_metric_at_its_floor_is_marked() -> None:
    runs = {ROWS["each"]: {0: ended("each", 0, 0), 1: ended("each", 1, 0, accuracy=0.2)}}
    found = Comparison.of(runs, CONSTANT, ("whole",))
    assert found.unclear(found.lines[0]) == [("sign", "accuracy")]  # 0.5 on average
    assert table_lines(found)[-1].endswith(" 0.5! |")
    assert list(note_lines(found)) == ["! hardly better than the best constant answer: no evidence"]


def with_r2(gains: Mapping[str, Sequence[float]], r2: Mapping[str, float]) -> Comparison:
    """Of these gains in `whole`, and an r2 in `sign` that is the same for all seeds."""
    runs = {
        ROWS[name]: {
            seed: attrs.evolve(
                run := ended(name, seed, gain), metrics={"whole": run.metrics["whole"], "sign": {"r2": r2[name]}}
            )
            for seed, gain in enumerate(gains[name])
        }
        for name in r2
    }
    return Comparison.of(runs, {"whole": {"rmse": 2.5}, "sign": {"r2": 0.0}}, ("whole", "sign"))


@pytest.mark.parametrize(
    ("r2", "gains", "says", "whole"),
    [
        # The tasks alone are at the floor: any other row gains hundreds of percent over next to nothing.
        ((0.007, 0.025, 0.032), [5, 7, 6, 6], "better than encoder, {}: +4.50 points", "each (with it +52.25 points"),
        ((0.007, 0.025, 0.032), [1, 2, 1, 3], "not shown to be better than encoder, {}: +0.25", "each (with it +50.12"),
        ((0.007, 0.025, 0.900), [-5, -3, -4, -4], "worse than encoder, {}: -5.50", "each (with it +6247.25"),
        # What it is compared with is.
        (
            (0.500, 0.001, 0.500),
            [1, 2, 1, 3],
            "not shown to be better than encoder, {}: +0.25",
            "encoder (with it +50.02",
        ),
        # It is itself: without that metric it gains, and yet it has lost.
        (
            (0.500, 0.500, 0.001),
            [5, 7, 6, 6],
            "not shown to be better than encoder, {}: +4.50",
            "learned (with it -47.65",
        ),
    ],
)
def test_no_gain_is_claimed_of_a_metric_at_its_floor(
    r2: tuple[float, float, float], gains: Sequence[float], says: str, whole: str
) -> None:
    names = ("each", "encoder", "learned")
    found = with_r2({**USUAL, "learned": gains}, dict(zip(names, r2, strict=True)))
    says = says.format("of the static shapes of at most its size the best, and what a person would pick")
    (verdict,) = verdicts(found)
    assert verdict.startswith(f"learned: {says}")
    assert f" without sign r2, which is hardly better than the best constant answer in {whole}" in verdict
    (row,) = [each for each in found.as_json()["rows"] if each["name"] == "learned"]
    assert row["against"]["best"]["shown"] == says.startswith("better")
    assert row["against"]["best"]["left_out"] == ["sign.r2"]
    assert row["delta_m"]["shown"] == (gains[0] > 0 and r2[2] > 0.01)
    # The table has the whole Delta-m, with a mark.
    cells = next(cells for cells in table_cells(found) if cells[0] == "learned")
    assert cells[4].startswith(f"{fmean(line(found, 'learned').gains.values()):+.2f} ± ")
    assert cells[4].endswith("!") == ("encoder" not in whole)
    assert re.fullmatch(r"[+-]\d+\.\d\d ± \d+\.\d\d! \(encoder\)", cells[5])
    assert any(note.startswith("Δm with ! has such a metric in it") for note in note_lines(found))


def test_the_best_static_shape_is_none_by_what_it_gains_over_next_to_nothing() -> None:
    gains = {**USUAL, "all": [5.0, 5, 5, 5]}
    r2 = {"each": 0.007, "all": 0.021, "encoder": 0.03, "learned": 0.03}
    found = with_r2(gains, r2)
    assert line(found, "encoder").gains[0] > line(found, "all").gains[0]
    assert found.against(line(found, "learned"))["best"].other == "all"
    # But what a shape has lost itself is no reason to take it for the best.
    lost = with_r2(gains, {**r2, "each": 0.5, "all": 0.001, "encoder": 0.5, "learned": 0.5})
    assert lost.against(line(lost, "learned"))["best"].other == "encoder"


def test_where_all_metrics_are_at_their_floor_nothing_is_judged() -> None:
    found = study(USUAL)
    floor = attrs.evolve(found, constant={"whole": {"rmse": 1.0}, "part": {"rmse": 1.0}, "sign": {"accuracy": 0.9}})
    against = floor.against(line(floor, "learned"))["best"]
    assert (against.judged, against.better, against.worse) == (None, False, False)
    assert "nothing is left without whole rmse, part rmse, sign accuracy, which are hardly" in verdicts(floor)[0]


def test_rows_of_which_runs_stopped_before_their_last_epoch_are_told() -> None:
    rows = {name: ROWS[name] for name in ("each", "all", "encoder")}
    assert rows["each"].spec.train.epochs == 2
    for keep, said in (("best", []), ("average(0.5)", ["average(0.5)"])):
        kept = {
            name: attrs.evolve(row, spec=loads_source(row.spec.source, {"train.keep": keep}))
            for name, row in rows.items()
        }
        runs = {row: {seed: ended(name, seed, 0) for seed in range(3)} for name, row in kept.items()}
        assert list(note_lines(Comparison.of(runs, CONSTANT, ("whole",)))) == []
        for name, seed in (("all", 0), ("encoder", 0), ("encoder", 1), ("encoder", 2)):
            runs[kept[name]][seed] = attrs.evolve(runs[kept[name]][seed], stopped=1)
        found = Comparison.of(runs, CONSTANT, ("whole",))
        first, *more = note_lines(found)
        assert first == "`stop` ended runs before 2 epochs: all 1 to 2, encoder 1"
        assert len(more) == len(said)
        assert all(f"`keep = {each}`" in note for each, note in zip(said, more, strict=True))
        stopped = {row["name"]: [run["stopped"] for run in row["runs"]] for row in found.as_json()["rows"]}
        assert stopped == {"each": [None] * 3, "all": [1, None, None], "encoder": [1, 1, 1]}


def test_where_all_diverged_that_is_the_table() -> None:
    found = study({name: [None] * 3 for name in USUAL})
    assert [row.count(" diverged |") for row in table_lines(found)[3:]] == [6] * len(USUAL)
    assert list(note_lines(found)) == [f"{name} diverged with every seed" for name in USUAL]
    assert verdicts(found) == ["learned: nothing is claimed, as it diverged with 3 of 3 seeds."]
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["rows"][0]["delta_m"] is None


def test_a_metric_that_is_no_number_is_no_zero() -> None:
    runs = {ROWS["each"]: {0: ended("each", 0, 0)}, ROWS["all"]: {0: with_rmse("part", math.nan)}}
    found = Comparison.of(runs, CONSTANT, ("whole", "part"))
    assert line(found, "all").gain is None
    assert " - |" in table_lines(found)[-1]
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["rows"][1]["metrics"]["part"]["rmse"] is None


def text_of(found: Comparison) -> str:
    return "\n".join([*table_lines(found), "", *note_lines(found), *verdicts(found)]) + "\n"


@pytest.mark.parametrize("name", ["usual", "awkward"])
def test_the_table_is_as_it_was(name: str) -> None:
    given: dict[str, Mapping[str, Sequence[float | None]]] = {
        "usual": USUAL,
        "awkward": {**USUAL, "all": [None] * 4, "scratch": [4, None, 5, 7], "learned": [-80, -85, -90, -90]},
    }
    found, path = text_of(study(given[name])), EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_EXPECTED"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_the_json_has_all_that_the_table_has() -> None:
    found = json.loads(json.dumps(study(USUAL).as_json(), allow_nan=False))
    row = next(each for each in found["rows"] if each["name"] == "encoder")
    assert row["names"] == ["encoder", "last:1"]
    assert row["delta_m"]["mean"] == pytest.approx(1.5)
    assert [each["delta_m"] for each in row["runs"]] == pytest.approx([1, 2, 1.5, 1.5])
    assert row["against"]["best"]["row"] == "widened"
    assert row["runs"][2]["parameters"] == 184
    assert found["constant"] == CONSTANT


@pytest.mark.soak
def test_the_picture_is_a_png_and_the_same_of_the_same_numbers() -> None:
    nothing = size_chart(study({name: [None] for name in USUAL}))
    assert nothing.startswith(b"\x89PNG")
    one, other = (size_chart(study(each)) for each in (USUAL, {**USUAL, "all": [None] * 4}))
    assert one.startswith(b"\x89PNG")
    assert one == size_chart(study(USUAL)) != other


def test_the_page_of_a_study_has_its_table_its_verdicts_and_the_picture_with_its_words() -> None:
    gains = {**USUAL, **TAUGHT, "all": [None] * 4}
    found = study(gains)
    notes = list(note_lines(found))
    text = study_page(found, "<i>a&b</i>.mtl", ["of <b>"], notes, "mtsldsl baselines '<i>'", "cpu")
    page_rules.check(text)
    assert "<i>" not in text
    assert "<b>" not in text
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("(?s)<tr>(.*?)</tr>", unescape(text))]
    assert rows == table_cells(found)
    said = [unescape(each) for each in re.findall("<li>(.*?)</li>", text)]
    assert said == [*verdicts(found), *notes]
    (words,) = re.findall('<svg role="img" aria-label="([^"]*)"', text)
    assert "; learned, scratch, random 190, +6.00; " in words
    assert " all " not in words  # which has no gain
    assert all(name in words for name in gains if name != "all")
