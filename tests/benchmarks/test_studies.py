"""What studies of groups and balances say is what their runs came to; how long anything takes is no matter here."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import attrs
import numpy as np
import pytest

from mtsldsl.editing import loads
from mtsldsl.sharing.overlapping import select_groups
from tests.benchmarks.loading import loaded

TASKS = ("segment", "depth", "normal", "edge")


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    with loaded("grouping_study") as module:
        yield module


@pytest.fixture(scope="module")
def study(script: Any) -> Any:
    """Two seeds, with results drawn at random: one metric a task, of which more is better."""
    chance = random.Random(3)

    def result(tasks: frozenset[str], **more: Any) -> Any:
        def metrics() -> dict[str, dict[str, float]]:
            return {task: {"miou": chance.uniform(0.1, 1.0)} for task in tasks}

        costs = {"seconds": 60.0 * len(tasks), "parameters": 1000 * len(tasks), "flops": 10**6}
        return script.Result(name="", key="", validation=metrics(), test=metrics(), **costs, **more)

    def affinity() -> dict[str, dict[str, float]]:
        return {task: {donor: chance.uniform(-1, 1) for donor in TASKS} for task in TASKS}

    seeds = [
        script.Seed({tasks: result(tasks) for tasks in script.SETS}, result(script.ALL, affinity=affinity()))
        for _ in range(2)
    ]
    return script.Study(seeds)


def rows(script: Any, study: Any) -> dict[str, Any]:
    return {row.name: row for row in script.rows_of(study)}


def mean_gain(study: Any, number: int, partition: tuple[frozenset[str], ...], split: str = "test") -> float:
    """Delta-m by hand."""
    gains = []
    for group in partition:
        for task in group:
            alone = fmean(getattr(seed.networks[frozenset({task})], split)[task]["miou"] for seed in study.seeds)
            value = getattr(study.seeds[number].networks[group], split)[task]["miou"]
            gains.append(100 * (value - alone) / alone)
    return fmean(gains)


def test_there_are_fifteen_partitions_and_fifteen_sets(script: Any) -> None:
    assert len(set(map(frozenset, script.PARTITIONS))) == len(script.PARTITIONS) == 15
    assert all(sorted(task for group in each for task in group) == sorted(TASKS) for each in script.PARTITIONS)
    assert len(set(script.SETS)) == 15


def test_a_network_has_the_tasks_of_its_set_and_shares_every_layer(script: Any) -> None:
    for tasks in script.SETS:
        spec = loads(script.text_of(tasks))
        assert set(spec.sharing.tasks) == tasks
        assert spec.structure is None
        assert all(len(spec.sharing[layer]) == 1 for layer in spec.backbone.layers)
    measured = loads(script.text_of(script.ALL, script.TRANSFERENCE))
    assert measured.structure is not None
    assert measured.structure.method == "transference"


def test_single_tasks_gain_nothing_on_average_and_all_together_what_their_network_does(script: Any, study: Any) -> None:
    found = rows(script, study)
    for name, partition in (
        ("every task alone, 4 networks", tuple(frozenset({task}) for task in TASKS)),
        ("all together, 1 network", (script.ALL,)),
    ):
        gains = [study.gain(seed, chosen[0]).mean for seed, chosen in script.pairs(study, found[name])]
        assert gains == pytest.approx([mean_gain(study, number, partition) for number in range(2)])
    alone = found["every task alone, 4 networks"].chosen
    assert fmean(
        study.gain(seed, each[0]).mean for seed, each in zip(study.seeds, alone, strict=True)
    ) == pytest.approx(0)


@pytest.mark.parametrize(("size", "count"), [(2, 7), (3, 6)])
def test_random_is_all_partitions_and_the_best_is_the_best_of_them_on_validation(
    script: Any, study: Any, size: int, count: int
) -> None:
    partitions = [each for each in script.PARTITIONS if len(each) == size]
    assert len(partitions) == count
    found = rows(script, study)
    at_random = found[f"at random, {size} networks"]
    best = found[f"best of {count} partitions, {size} networks"]
    bound = found[f"best of them on the test itself, {size} networks"]
    for number, seed in enumerate(study.seeds):
        worth = [mean_gain(study, number, each) for each in partitions]
        assert fmean(study.gain(seed, each).mean for each in at_random.chosen[number]) == pytest.approx(fmean(worth))
        on_validation = [mean_gain(study, number, each, "validation") for each in partitions]
        chosen = partitions[int(np.argmax(on_validation))]
        assert study.gain(seed, best.chosen[number][0]).mean == pytest.approx(mean_gain(study, number, chosen))
        assert study.gain(seed, bound.chosen[number][0]).mean == pytest.approx(max(worth))


def test_transference_chooses_with_what_the_same_seed_measured(script: Any, study: Any) -> None:
    found = rows(script, study)
    for size in (2, 3):
        for seed, (choice,) in script.pairs(study, found[f"by transference, {size} networks"]):
            assert set(choice.served) == set(select_groups(seed.measured.affinity, size))
            assert sorted(task for served in choice.served.values() for task in served) == sorted(TASKS)
            assert all(served <= group for group, served in choice.served.items())


def test_a_choice_is_written_as_in_a_spec_and_answers_with_its_own_groups(script: Any, study: Any) -> None:
    first, second = frozenset({"segment", "depth"}), frozenset({"depth", "normal", "edge"})
    choice = script.Choice({second: frozenset({"normal", "edge"}), first: first})
    assert str(choice) == "segment + depth, (depth) + normal + edge"
    metrics = study.seeds[0].metrics(choice, "test")
    assert metrics["depth"] == study.seeds[0].networks[first].test["depth"]
    assert metrics["normal"] == study.seeds[0].networks[second].test["normal"]


def test_what_is_trained_to_choose_and_to_use_is_counted(script: Any, study: Any) -> None:
    lines = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in script.table(study)}
    assert lines["all together, 1 network"][6:9] == ["0", "0.0", "4.0"]
    assert lines["every task alone, 4 networks"][8:] == ["4.0", "4 k", "4 |"]
    assert lines["by transference, 2 networks"][6:8] == ["1", "4.0"]
    assert lines["best of 7 partitions, 2 networks"][6:8] == ["14", "28.0"]  # all sets but all tasks
    assert lines["best of all 15 partitions"][6:8] == ["15", "32.0"]


def test_ranks_are_correlated_as_by_the_formula(script: Any) -> None:
    first, second = [0.3, -1.0, 2.0, 0.0, 5.0], [1.0, 2.0, 3.0, -4.0, 9.0]
    squares = sum((one - other) ** 2 for one, other in zip([2, 0, 3, 1, 4], [1, 2, 3, 0, 4], strict=True))
    assert script.spearman(first, second) == pytest.approx(1 - 6 * squares / (5 * 24))


def test_every_table_has_a_row_for_each_case(script: Any, study: Any) -> None:
    balances = {name: [seed.networks[script.ALL] for seed in study.seeds] for name in ("equal", "mgda")}
    timed = {
        name: [attrs.evolve(each, seconds=2.0 if name == "mgda" else 1.0) for each in found]
        for name, found in balances.items()
    }
    assert list(script.balances(study, timed))[-1].endswith("| 2.00 |")
    assert len(list(script.sets(study))) == 2 + 15
    assert len(list(script.measured(study))) == 2 + 4
    assert len(list(script.choices(study, [0, 1]))) == 2 + 2 * 2
    assert len(list(script.agreement(study))) == 4


@pytest.mark.soak
def test_all_tables_are_printed_from_a_file_that_has_every_run(
    script: Any, study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the file was made elsewhere; a run that is missing would have no data here."""
    results = tmp_path / "results.jsonl"
    words = ["--data", tmp_path / "nowhere", "--results", results, "--output", tmp_path, "--seeds", "0", "1"]
    monkeypatch.setattr("sys.argv", ["grouping_study.py", *map(str, words), "--balances", "mgda"])
    options = argparse.Namespace(device="cpu", threads=1)
    lines = {}
    for number, seed in enumerate(study.seeds):
        runs = {script.named(tasks): (script.text_of(tasks), {}, seed.networks[tasks]) for tasks in script.SETS}
        runs["measured"] = (script.text_of(script.ALL, script.TRANSFERENCE), {}, seed.measured)
        runs["mgda"] = (script.text_of(script.ALL), {"train.balance": "mgda"}, seed.networks[script.ALL])
        for name, (text, settings, result) in runs.items():
            run = script.Run(name, text, {"train.seed": str(number), **settings})
            lines[number, name] = {**attrs.asdict(result), "key": run.key(options)}
    results.write_text("".join(f"{json.dumps(line)}\n" for line in lines.values()))
    script.main()
    printed, said = capsys.readouterr()
    expected = [*script.table(study), *script.choices(study, [0, 1]), *script.measured(study), *script.sets(study)]
    assert [line for line in expected if line not in printed.splitlines()] == []
    assert said == ""
    (balance,) = (line for line in printed.splitlines() if line.startswith("| `mgda`"))
    (together,) = (line for line in printed.splitlines() if line.startswith("| all together"))
    assert balance.split(" | ")[1] == together.split(" | ")[1]
    assert len(results.read_text().splitlines()) == len(lines) == 34


@pytest.mark.soak
def test_a_rate_is_chosen_on_other_seeds_and_no_run_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        f"{kind}_{split}": chance.integers(0, most, (count, *shape)).astype(np.uint8)
        for split, count in (("train", 40), ("test", 20))
        for kind, most, shape in (("x", 256, (28, 28)), ("y", 10, ()))
    }
    np.savez(tmp_path / "garments.npz", **arrays)
    words = ["--data", tmp_path / "garments.npz", "--output", tmp_path / "runs", "--balances", "equal"]
    words += ["--rates", "1e30", "0.01", "--seeds", "0", "--seeds-of-rates", "10"]
    words += ["--set", "train.epochs=2", "--set", "data.images=70", "--set", "data.batch=8"]
    monkeypatch.setattr("sys.argv", ["multifashion.py", *map(str, words)])
    with loaded("multifashion") as script:
        script.main()
        printed, said = capsys.readouterr()
        assert "equal 1e+30 seed 10: diverged" in said
        results = [json.loads(line) for line in (tmp_path / "runs" / "results.jsonl").read_text().splitlines()]
        assert [each["name"] for each in results if not each["failed"]] == ["equal 0.01 seed 10", "equal 0.01 seed 0"]
        (folder,) = (tmp_path / "runs").glob("equal-0.01-seed-0-*")
        events = [json.loads(line) for line in (folder / "study" / "1" / "events.jsonl").read_text().splitlines()]
        (test,) = (event for event in events if event["event"] == "test")
        assert results[-1]["test"] == test["metrics"]
        epoch = test["epochs"]["left"]
        (validation,) = (event for event in events if event["event"] == "validation" and event["epoch"] == epoch)
        assert results[-1]["validation"] == validation["metrics"]
        assert results[-1]["gain"] == pytest.approx(validation["gain"])
        assert f"| `equal` | 0.01 | {100 * test['metrics']['left']['accuracy']:.1f} ± 0.0 |" in printed
        script.main()
        assert capsys.readouterr() == (printed, "")
