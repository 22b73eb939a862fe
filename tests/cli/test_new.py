"""`mtsldsl new`, as processes: what it writes checks and trains as it is, and nothing is overwritten."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtsldsl.cli.new import KINDS
from mtsldsl.editing import load
from tests import prepared

ROOT = Path(__file__).parents[2]

SHORT = {
    "scenes": ["data.images=32", "data.input=image(3, 32, 32)", "structure.similarity=cka(samples=16)"],
    "images": [],
    "table": [],
    "allocation": ["train.epochs=1"],
    "ladder": ["train.epochs=2"],
}
FIRST_PHASE = ["train.epochs=1", "structure.phases=[1]"]
BY_EPOCHS = [kind for kind in KINDS if kind not in ("allocation", "ladder")]
"""Those whose structure changes at the epochs of a list alone."""


def mtsldsl(*arguments: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = prepared.run("-m", "mtsldsl", *arguments, cwd=cwd, COLUMNS="120")
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize(
    "kind", [pytest.param(each, marks=[pytest.mark.soak] * (each not in ("images", "table"))) for each in KINDS]
)
def test_what_it_writes_checks_and_trains_as_it_is(kind: str, tmp_path: Path) -> None:
    mtsldsl("new", "jobs/first", "--from", kind, cwd=tmp_path)
    mtsldsl("check", "jobs/first.mtl", cwd=tmp_path)
    mtsldsl("fmt", "--check", "jobs/first.mtl", cwd=tmp_path)
    first = FIRST_PHASE if kind in BY_EPOCHS else []
    settings = [part for setting in (*SHORT[kind], *first) for part in ("--set", setting)]
    printed = mtsldsl("train", "jobs/first.mtl", "--json", "--device", "cpu", *settings, cwd=tmp_path).stdout
    events = [json.loads(line) for line in printed.splitlines()]
    (test,) = [event for event in events if event["event"] == "test"]
    assert list(test["metrics"]) == [task.name for task in load(tmp_path / "jobs" / "first.mtl").tasks]
    assert any(event["event"] == "phase" for event in events)
    if kind == "table":  # the run's own copy of the spec finds the example from here too
        mtsldsl("eval", "runs/first/1", "--device", "cpu", cwd=tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("kind", BY_EPOCHS)
def test_it_can_be_tried_for_two_epochs_and_says_which_phases_are_left_out(kind: str, tmp_path: Path) -> None:
    mtsldsl("new", "first", "--from", kind, cwd=tmp_path)
    structure = load(tmp_path / "first.mtl").structure
    assert structure is not None
    late = ", ".join(str(phase) for phase in structure.settings.phases if phase > 2)
    said = f"first.mtl: the phases at epochs {late} are left out: training ends at epoch 2\n"
    assert mtsldsl("check", "first.mtl", "--set", "train.epochs=2", cwd=tmp_path).stderr == said
    if kind == "table":
        done = mtsldsl("train", "first.mtl", "--set", "train.epochs=2", "--quiet", "--device", "cpu", cwd=tmp_path)
        assert done.stderr == said
        assert load(tmp_path / "runs" / "first" / "1" / "spec.mtl").train.epochs == 2


@pytest.mark.soak
def test_an_allocation_that_is_tried_for_two_epochs_is_written_at_the_end(tmp_path: Path) -> None:
    mtsldsl("new", "first", "--from", "allocation", cwd=tmp_path)
    short = ["--set", "train.epochs=2", "--device", "cpu"]
    done = mtsldsl("train", "first.mtl", "--json", *short, cwd=tmp_path)
    assert done.stderr == "first.mtl: the phase at epoch 10 is left out: training ends at epoch 2\n"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["epoch"] for event in events if event["event"] == "phase"] == [2]


@pytest.mark.soak
def test_the_ladder_of_the_example_finds_which_tasks_follow_from_one_sum(tmp_path: Path) -> None:
    """And what the first lines of the starter say of it is so."""
    mtsldsl("new", "rungs", "--from", "ladder", cwd=tmp_path)
    assert mtsldsl("check", "--pedantic", "rungs.mtl", cwd=tmp_path).stderr == ""
    mtsldsl("train", "rungs.mtl", "--quiet", "--device", "cpu", cwd=tmp_path)
    spec = load(tmp_path / "runs/rungs/1/spec.mtl")
    assert {frozenset({"kind", "amount", "size"}), frozenset({"cost", "risk"})} == set(spec.sharing.partition("last"))
    text = (tmp_path / "rungs.mtl").read_text(encoding="utf-8")
    (words,) = re.findall("(?m)^#   mtsldsl (eval .*)$", text)
    assert "the network `0.35`" in mtsldsl(*shlex.split(words), "--device", "cpu", cwd=tmp_path).stdout


@pytest.mark.soak
def test_the_tasks_of_the_example_come_to_use_different_parts_of_the_network(tmp_path: Path) -> None:
    """By the commands of the page on it, one after the other."""
    page = (ROOT / "docs" / "allocation.md").read_text(encoding="utf-8")
    said: dict[str, str] = {}
    for line in re.findall(r"(?m)^\$ mtsldsl (.*)$", page):
        words = shlex.split(line)
        more = ["--device", "cpu"] if words[0] == "train" else []
        said.setdefault(words[0], mtsldsl(*words, *more, cwd=tmp_path).stdout)
    assert re.search(r"(?m)^  mix1: tasks use \d\.\d of \d alternatives", said["train"])
    assert "alternatives" in said["show"]
    assert re.search(r"(?m)^off +mix1 ", said["diff"])
    spec = load(tmp_path / "runs" / "routes" / "1" / "spec.mtl")
    used = {task: frozenset(spec.sharing.uses("mix1", task)) for task in spec.sharing.tasks}
    assert len(set(used.values())) > 1
    assert all(len(uses) < len(spec.backbone.alternatives("mix1")) for uses in used.values())
    assert frozenset[str]().union(*used.values()) < set(spec.backbone.alternatives("mix1"))
    assert {decision.kind for decision in spec.history} == {"allocate"}
    assert {decision.epoch for decision in spec.history} == {10, 20}
    mtsldsl("eval", "runs/routes/1", "--device", "cpu", cwd=tmp_path)
    for task in spec.sharing.tasks:
        mtsldsl("eval", "runs/routes/1", "--of", task, "--device", "cpu", cwd=tmp_path)


def test_the_command_that_it_recommends_is_one_for_the_shell(tmp_path: Path) -> None:
    *_, last = mtsldsl("new", "my jobs/first", "--from", "scenes", cwd=tmp_path).stdout.splitlines()
    assert last == "train it with: mtsldsl train 'my jobs/first.mtl'"


@pytest.mark.parametrize("name", ["jobs/", "jobs"])
def test_a_folder_is_no_name(name: str, tmp_path: Path) -> None:
    if name == "jobs":
        (tmp_path / name).mkdir()
    said = mtsldsl("new", name, "--from", "table", cwd=tmp_path, status=2).stderr
    assert "is a folder: name the spec too, such as jobs/first" in " ".join(said.split())
    assert content(tmp_path) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_wrote_and_how_to_go_on(kind: str, tmp_path: Path) -> None:
    printed = mtsldsl("new", "first.mtl", "--from", kind, cwd=tmp_path).stdout.splitlines()
    assert printed[:-1] == [f"wrote {name}" for name in sorted(content(tmp_path))]
    assert printed[-1] == "train it with: mtsldsl train first.mtl"


def test_the_comments_name_the_files_that_were_written(tmp_path: Path) -> None:
    mtsldsl("new", "jobs/STEM", "--from", "images", cwd=tmp_path)
    text = (tmp_path / "jobs" / "STEM.mtl").read_text(encoding="utf-8")
    assert text.startswith("# jobs/STEM: ")
    assert '  path    = "jobs/STEM.npz"\n' in text
    assert "mtsldsl train jobs/STEM.mtl" in text
    assert "NAME" not in text


def test_an_example_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        mtsldsl("new", name, "--from", "table", cwd=tmp_path)
    with np.load(tmp_path / "first.npz") as first, np.load(tmp_path / "second.npz") as second:
        assert first.files == second.files == ["row", "kind", "amount", "risk"]
        assert all(np.array_equal(first[name], second[name]) for name in first.files)


def test_the_answers_of_the_examples_are_no_constants(tmp_path: Path) -> None:
    for kind in ("images", "table", "allocation", "ladder"):
        mtsldsl("new", kind, "--from", kind, cwd=tmp_path)
        with np.load(tmp_path / f"{kind}.npz") as arrays:
            assert all(len(arrays[name]) == len(arrays[arrays.files[0]]) > 48 for name in arrays.files)
            for task in load(tmp_path / f"{kind}.mtl").tasks:
                answers = arrays[task.name]
                most = np.unique(answers, return_counts=True)[1].max()
                assert most < 0.9 * answers.size, f"{task.name} of {kind}"


@pytest.mark.parametrize("taken", ["first.mtl", "first.npz"])
def test_no_file_is_overwritten_and_then_none_is_written(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("mine\n", encoding="utf-8")
    done = mtsldsl("new", "first", "--from", "table", cwd=tmp_path, status=1)
    assert f"error MTL706: {taken} is there already" in done.stderr
    assert content(tmp_path) == {taken: b"mine\n"}


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "first.mtl").symlink_to(tmp_path / "elsewhere")
    mtsldsl("new", "first", "--from", "scenes", cwd=tmp_path, status=1)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file\n", encoding="utf-8")
    done = mtsldsl("new", "jobs/first", "--from", "scenes", cwd=tmp_path, status=1)
    assert "MTL703" in done.stderr
    assert "remedy" in done.stderr


@pytest.mark.parametrize(
    "name", ["two words", "1st", "class", "a-b", "_hidden", "jobs/.mtl", ".", "..", "", 'q"/x', "é"]
)
def test_a_name_that_python_could_not_import_is_wrong_usage(name: str, tmp_path: Path) -> None:
    assert "Invalid value" in mtsldsl("new", name, "--from", "table", cwd=tmp_path, status=2).stderr
    assert content(tmp_path) == {}


@pytest.mark.parametrize("arguments", [["first"], ["first", "--from", "nothing"], ["--from", "table"]])
def test_what_to_start_from_has_to_be_said(arguments: list[str], tmp_path: Path) -> None:
    mtsldsl("new", *arguments, cwd=tmp_path, status=2)
    assert content(tmp_path) == {}


def test_it_never_loads_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from mtsldsl.cli import main\n"
        "main(['new', 'first', '--from', 'images'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    assert set(content(tmp_path)) == {"first.mtl", "first.npz"}
