"""`mtsldsl train --dry-run`: the beginning of a run, what it takes, and nothing written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mtsldsl import loads
from mtsldsl.cli import main
from mtsldsl.codegen import compile_spec
from mtsldsl.runtime.run.dry_run import DryRun
from tests import prepared
from tests.given import needs_data
from tests.runtime.two_sources import written

SPEC = """\
mtl 1
data arrays {
  path  = "rooms.npz"
  input = image(3, 8, 8)
  batch = 8
}
task depth {
  target = values(1)
  head   = conv2d(1, 1)
}
task kind {
  target = classes(2)
  head   = flatten | linear(2)
}
backbone {
  enc = conv2d(4, 3) | relu
}
train {
  epochs    = 6
  optimizer = adam(lr=1e-2)
}
structure mtsl {
  phases = [3]
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec and its data: 100 pictures, of which 72 are trained with and 8 validate."""
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "rooms.npz",
        image=random.random((100, 3, 8, 8), dtype=np.float32),
        depth=random.random((100, 1, 8, 8), dtype=np.float32),
        kind=random.integers(0, 2, 100),
    )
    (tmp_path / "rooms.mtl").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tried(*words: str) -> Result:
    return CliRunner().invoke(main, ["train", "rooms.mtl", "--dry-run", "--device", "cpu", *words])


def told(*words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event of the start, and that of the dry run."""
    done = tried("--json", *words)
    assert done.exit_code == 0, done.output
    start, found = map(json.loads, done.stdout.splitlines())
    return start, found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_process_tells_what_a_run_takes_and_leaves_nothing(folder: Path) -> None:
    temporary = folder.parent / f"{folder.name}-temporary"
    temporary.mkdir()
    before = files(folder)
    done = prepared.run(
        *("-m", "mtsldsl", "train", "rooms.mtl", "--dry-run", "--device", "cpu"),
        TMPDIR=str(temporary),
    )
    assert done.returncode == 0, done.stderr
    assert "rooms.mtl: 2 tasks" in done.stdout
    assert "run folder" not in done.stdout
    assert "dry run: 4 steps and one batch of validation made; nothing is written" in done.stdout
    assert " MB at most" in done.stdout
    assert "an epoch (9 steps and 1 batch of validation) takes about" in done.stdout
    assert files(folder) == before
    assert not list(temporary.iterdir())
    assert {path.name for path in folder.iterdir()} == {"rooms.npz", "rooms.mtl"}


def test_the_losses_are_those_of_a_run(folder: Path) -> None:
    """A run whose epoch has no more steps than the dry run makes has the same losses, bit for bit."""
    words = ("--set", "data.batch=18", "--structure", "none", "--set", "train.epochs=1")
    _, found = told(*words)
    done = CliRunner().invoke(
        main,
        ["train", "rooms.mtl", *words, "--structure", "none", "--device", "cpu", "--json", "--set", "train.epochs=1"],
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (epoch,) = (event for event in events if event["event"] == "epoch")
    (validation,) = (event for event in events if event["event"] == "validation")
    assert found["steps"] == found["epoch_steps"] == 4
    assert found["losses"] == epoch["losses"]
    assert found["validation"] == validation["losses"]  # a batch has all eight samples


def test_the_estimate_follows_from_what_is_counted(folder: Path) -> None:
    start, found = told("--set", "data.batch=2", "--set", "train.accumulate=3", "--structure", "none")
    assert start["folder"] is None
    assert start["method"] == "none"
    assert (found["epoch_steps"], found["epoch_batches"], found["epochs"]) == (12, 4, 6)
    assert min(found["step_seconds"], found["batch_seconds"], found["peak_memory_mb"]) > 0
    assert found["epoch_seconds"] == pytest.approx(12 * found["step_seconds"] + 4 * found["batch_seconds"])
    assert found["run_seconds"] == pytest.approx(6 * found["epoch_seconds"])


def test_an_epoch_of_one_step_is_tried_with_that_step(folder: Path) -> None:
    _, found = told("--set", "data.batch=72")
    assert (found["steps"], found["epoch_steps"], found["epoch_batches"]) == (1, 1, 1)
    assert found["step_seconds"] > 0


@needs_data
def test_every_source_has_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["train", path.name, "--dry-run", "--device", "cpu", "--json"])
    assert done.exit_code == 0, done.output
    start, found = (json.loads(line) for line in done.stdout.splitlines())
    assert set(start["tasks"]) == found["validation"].keys()
    assert set(start["tasks"]) <= found["losses"].keys()
    assert None not in found["losses"].values()


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        (["train.optimizer=sgd(lr=1e30)"], "MTL803", "rooms.mtl:7:1: error MTL803"),
        (["data.batch=200"], "MTL804", "fewer than a batch"),
        (["data.path=gone.npz"], "MTL601", "rooms.mtl:2:1: error MTL601"),
        (["data.input=image(3, 9, 9)"], "MTL602", "a sample of `image` of `rooms.npz` is 3 x 8 x 8"),
    ],
)
def test_what_would_go_wrong_is_said_with_its_place(folder: Path, settings: list[str], code: str, said: str) -> None:
    before = files(folder)
    done = tried(*(word for each in settings for word in ("--set", each)))
    assert done.exit_code == 1, done.output
    assert f"error {code}" in done.stderr
    assert said in done.stderr
    assert files(folder) == before


def test_a_task_without_a_label_is_said(folder: Path) -> None:
    with np.load("rooms.npz") as file:
        arrays = {**file, "depth": np.full((100, 1, 8, 8), np.nan, np.float32)}
    np.savez("rooms.npz", **arrays)
    done = tried()
    assert done.exit_code == 1
    assert "no training sample has a label of `depth` that counts" in done.stderr


@pytest.mark.parametrize("words", [["--in-place"], ["--nproc", "2"], ["--log", "csv"]])
def test_what_makes_no_sense_with_it_is_refused(folder: Path, words: list[str]) -> None:
    done = tried(*words)
    assert done.exit_code == 2
    assert f"leave {words[0]} out" in done.stderr
    resumed = CliRunner().invoke(main, ["train", "--resume", "runs/rooms/1", "--dry-run"])
    assert resumed.exit_code == 2
    assert "leave --resume out" in resumed.stderr


def test_quiet_says_nothing(folder: Path) -> None:
    done = tried("--quiet")
    assert (done.exit_code, done.output) == (0, "")


EVERY_SETTING = ("train.stop=patience(1)", "train.clip=1", "train.warmup=3", "train.accumulate=2")


@pytest.mark.parametrize("setting", EVERY_SETTING)
def test_it_goes_with_every_setting_of_the_training(setting: str, folder: Path) -> None:
    done = tried("--set", setting)
    assert done.exit_code == 0, done.output
    assert "batch of validation made; nothing is written" in done.stdout


def test_it_has_all_that_a_training_script_asks_of_a_session_before_its_end() -> None:
    settings = dict(each.split("=", 1) for each in EVERY_SETTING)
    text = compile_spec(loads(SPEC, overrides=settings))["train.py"]
    asked = set(re.findall(r"\bsession\.(\w+)", text))
    assert asked >= {"load_data", "start", "stops", "epoch", "end_epoch", "finish"}
    after = {"end_epoch", "finish"}  # which a dry run does not come to
    fields = {field.name for field in attrs.fields(DryRun)}
    assert asked - after <= fields | set(vars(DryRun))
    assert after & set(vars(DryRun)) == set()


def test_it_begins_with_the_weights_that_a_run_would_begin_with(folder: Path) -> None:
    done = CliRunner().invoke(main, ["train", "rooms.mtl", "--device", "cpu", "--quiet", "--set", "train.epochs=1"])
    assert done.exit_code == 0, done.output
    before = files(folder)
    trial = tried("--weights", "runs/rooms")
    assert trial.exit_code == 0, trial.output
    assert "4 of 4 parts begin with weights of runs/rooms" in trial.stdout
    assert files(folder) == before
