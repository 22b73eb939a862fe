"""`mtsldsl baselines`: what it refuses, and a real study that is stopped, killed, and goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from tests import page_rules
from tests.studies.study_specs import SPEC, write_job


def refused(folder: Path, *words: str, text: str = SPEC) -> str:
    path = write_job(folder, text)
    done = CliRunner().invoke(main, ["baselines", str(path), *words], prog_name="mtsldsl")
    assert done.exit_code in (1, 2), done.output
    assert not (folder / "runs").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--seeds", "3..1"), "`3..1` has no seeds"),
        (("--seeds", "0..1000"), "or more than 1000"),
        (("--seeds", "1,0..2"), "a seed is given twice"),
        (("--seeds", "-1"), "`-1` is no seed"),
        (("--budgets", "half"), "`half` is no number"),
        (("--budgets", "1.5"), "above 0 to 1"),
        (("--rows", "each,most"), "there are no rows `most`"),
        (("--rows", "last:9"), "the network has 2 layers"),
        (("--set", "train.epoch=1"), "did you mean `train.epochs`"),
        (("--jobs", "0"), "Invalid value for '--jobs'"),
        (("--set", "data.path=gone.npz"), "MTL601"),
    ],
)
def test_what_cannot_be_studied_is_refused_before_anything_trains(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    assert says in refused(tmp_path, *words)


def test_of_one_task_there_is_nothing_to_share(tmp_path: Path) -> None:
    text = SPEC.replace("[whole, part]", "whole")
    start = text.index("task sign")
    text = text[:start] + text[text.index("backbone") :]
    text = text[: text.index("structure")] + text[text.index("sharing") :]
    assert "has one task" in refused(tmp_path, text=text)


def study(*words: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mtsldsl", "baselines", "small.mtl", *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, warned = process.communicate()
    return process.returncode, said, warned


def without_time(found: dict[str, Any], drop: Sequence[str] = ("cpu_seconds", "folder", "picture", "report")) -> Any:
    """What a study printed as JSON, without what another run of it has otherwise."""
    if isinstance(found, dict):
        return {name: without_time(value) for name, value in found.items() if name not in drop}
    return [without_time(each) for each in found] if isinstance(found, list) else found


@pytest.mark.soak
def test_a_study_that_was_stopped_and_killed_comes_to_the_same(tmp_path: Path) -> None:
    write_job(tmp_path)
    words = ("--rows", "each,all,scratch", "--seeds", "0,1", "--set", "train.epochs=4")
    status, whole, _ = ended(study(*words, "--json", "--jobs", "2", "-o", "straight", cwd=tmp_path))
    assert status == 0
    for number, end in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with study(*words, "--json", "-o", "cut", cwd=tmp_path) as process:
            assert process.stderr is not None
            process.stderr.readline()  # a run has ended, and another one is under way
            process.send_signal(number)
            warned = process.stderr.read()
            assert process.wait() == end
        told = f"stopped; go on with `mtsldsl baselines small.mtl {' '.join(words)} --output cut --json`"
        assert (told in warned) == (number == signal.SIGINT)
    status, again, _ = ended(study(*words, "--json", "-o", "cut", cwd=tmp_path))
    assert status == 0
    one, other = json.loads(whole), json.loads(again)
    assert without_time(one) == without_time(other)
    assert all(row["cpu_seconds"] > 0 for row in other["rows"])
    kept = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).glob("*/*/best/*.safetensors"))
        for name in ("straight", "cut")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == len({run["folder"] for row in one["rows"] for run in row["runs"]})
    for path in kept[0]:
        assert (tmp_path / "straight" / path).read_bytes() == (tmp_path / "cut" / path).read_bytes()
    assert (tmp_path / other["picture"]).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / other["report"]).read_text(encoding="utf-8")
    page_rules.check(page)
    assert unescape(page).count(f"mtsldsl baselines small.mtl {' '.join(words)} --output cut") == 1
    status, table, warned = ended(study(*words, "-o", "cut", cwd=tmp_path))
    assert (status, warned) == (0, "")  # nothing is made again
    assert table.splitlines()[0] == "small.mtl: 4 epochs, balance relative, as the spec says none, seeds 0, 1, on cpu"
    assert sum(line.startswith("| ") for line in table.splitlines()) == 3 + len(one["rows"])


@pytest.mark.soak
def test_a_study_says_which_rows_stopped_before_their_last_epoch(tmp_path: Path) -> None:
    write_job(tmp_path, SPEC.replace("adam(lr=0.01)", "sgd(lr=1e-30)"))
    words = ("--rows", "each,learned", "--seeds", "0", "--set", "train.epochs=9", "--set", "train.stop=patience(1)")
    status, said, warned = ended(study(*words, "-o", "study", cwd=tmp_path))
    assert status == 0, warned
    head, *lines = said.splitlines()
    assert head.startswith("small.mtl: 9 epochs at most, ")
    assert "`stop` ended runs before 9 epochs: each 2, learned 2" in lines
    for path in (tmp_path / "study").glob("*/1/events.jsonl"):
        kinds = [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]
        assert (kinds.count("epoch"), kinds.count("stopped")) == (2, 1)


@pytest.mark.soak
def test_what_is_taught_has_the_tasks_alone_of_its_seed_as_teachers(tmp_path: Path) -> None:
    write_job(tmp_path)
    words = ("--rows", "each,scratch", "--seeds", "3", "--teachers", "--json", "-o", "study")
    status, said, warned = ended(study(*words, cwd=tmp_path))
    assert status == 0, warned
    rows = {row["name"]: row for row in json.loads(said)["rows"]}
    assert [*rows] == ["each", "learned", "scratch", "each+teachers", "scratch+teachers"]
    for name in ("each+teachers", "scratch+teachers"):
        assert rows[name]["teachers_cpu_seconds"] == rows["each"]["cpu_seconds"]
        for run, alone in zip(rows[name]["runs"], rows["each"]["runs"], strict=True):
            record = (tmp_path / run["folder"] / "1/events.jsonl").read_text(encoding="utf-8")
            events = [json.loads(line) for line in record.splitlines()]
            (taught,) = [event for event in events if event["event"] == "taught"]
            assert taught["path"] == str(tmp_path / alone["folder"] / "1")
            assert taught["tasks"] == ["whole", "part", "sign"]
            assert run["seed"] == alone["seed"]
    assert rows["scratch+teachers"]["runs"][0]["metrics"] != rows["scratch"]["runs"][0]["metrics"]
    (tmp_path / "study").rename(tmp_path / "moved")
    status, again, warned = ended(study(*words[:-1], "moved", cwd=tmp_path))
    assert (status, warned) == (0, "")  # nothing is made again
    assert without_time(json.loads(again)) == without_time(json.loads(said))


@pytest.mark.soak
def test_a_run_of_a_study_is_one_of_train(tmp_path: Path) -> None:
    write_job(tmp_path)
    status, _, warned = ended(study("--rows", "all", "--seeds", "3", "-o", "study", cwd=tmp_path))
    assert status == 0, warned
    settings = ("--set", "train.seed=3", "--set", "train.balance=relative")
    command = [
        sys.executable,
        "-m",
        "mtsldsl",
        "train",
        "small.mtl",
        "--structure",
        "none",
        "--sharing",
        "all",
        *settings,
    ]
    subprocess.run([*command, "--quiet", "--device", "cpu", "--threads", "1"], cwd=tmp_path, check=True)
    (found,) = (tmp_path / "study").glob("all-seed-3-*/1")
    one, other = found / "best", tmp_path / "runs" / "small" / "1" / "best"
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*.safetensors"))
    assert "mean.weights.safetensors" in names
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.soak
def test_two_studies_of_one_folder_make_a_run_once(tmp_path: Path) -> None:
    write_job(tmp_path)
    words = ("--rows", "each,all", "--seeds", "0", "-o", "study")
    with study(*words, cwd=tmp_path) as one, study(*words, cwd=tmp_path) as other:
        ends = [ended(process) for process in (one, other)]
    assert [status for status, _, _ in ends] == [0, 0]
    assert ends[0][1] == ends[1][1]
    runs = sorted((tmp_path / "study").glob("*-seed-0-*/*/events.jsonl"))
    assert len(runs) == 2
    for path in runs:
        kinds = [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]
        assert kinds.count("start") == 1
