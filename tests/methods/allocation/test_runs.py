"""Runs from the command line: what they write, that they go on to the same bytes, and that what is kept is what was
evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtsldsl import build_model, load
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.run.best import load_run
from mtsldsl.runtime.run.checkpoint import load_weights
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.methods.allocation.specs import spec

CPU = torch.device("cpu")


def write_data(folder: Path) -> None:
    """Rows of which `a` and `b` are read beside each other, and others of `c`."""
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(80, 6)).astype("float32"), rng.normal(size=(60, 6)).astype("float32")
    np.savez(folder / "small.npz", row=small, a=small[:, :3].argmax(1), b=small[:, 3:5] + small[:, :2])
    np.savez(folder / "large.npz", row=large, c=(large[:, 0] > 0).astype(int))


MORE = "write = [2]\n  temperature = constant(1)\n  budget = 0.5\n  budget_weight = 2\n  disconnection_weight = 3"


def run_of(folder: Path, *, stop: int | None = None) -> Path:
    """A run of four epochs in a folder, killed after one of them and resumed where that is said."""
    folder.mkdir()
    write_data(folder)
    (folder / "job.mtl").write_text(spec(MORE, lr=0.1).source.text, encoding="utf-8")
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1"]
    if stop is None:
        done = prepared.run("-m", "mtsldsl", *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    else:
        assert disturbed(*arguments, action=f"if training.epoch == {stop}: {KILLED}", cwd=folder).returncode == -9
        done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--threads", "1", "--resume", "runs/job/1", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "runs" / "job" / "1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("allocation") / "whole")


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_what_is_left_lives_and_goes_on_changing(run: Path) -> None:
    """Else the tests below would say little."""
    uses = []
    for event in events(run, "allocation"):
        rows = event["probabilities"]["mix2"]
        uses.append([frozenset(place for place, p in enumerate(row) if p >= 0.5) for row in rows])
    first, last = uses
    assert frozenset().union(*first) < frozenset(range(4))
    assert all(first)
    assert all(last)
    assert first != last
    assert len(set(last)) > 1


def test_the_spec_says_what_is_used_and_the_history_how_it_came(run: Path) -> None:
    evolved = load(run / "spec.mtl")
    said = {}
    for decision in evolved.history:
        fields: dict[str, Any] = {**decision.fields}
        said |= {(fields["layer"], task): fields["uses"] for task in fields["task"]}
    assert {each.epoch for each in evolved.history} <= {2, 4}
    assert said, "nothing was allocated: the test needs another seed"
    for (layer, task), uses in said.items():
        assert evolved.sharing.uses(layer, task) == uses
    weights = build_model(evolved).state_dict().keys()
    live = {use.alternative for use in evolved.sharing["mix2"]}
    assert {name.split(".")[1] for name in weights if name.startswith("mix2.")} == live


def test_the_record_has_the_probabilities_of_every_phase(run: Path) -> None:
    found = events(run, "allocation")
    assert [event["epoch"] for event in found] == [2, 4]
    evolved = load(run / "spec.mtl")
    for layer, names in found[-1]["alternatives"].items():
        for task, row in zip(found[-1]["tasks"], found[-1]["probabilities"][layer], strict=True):
            assert tuple(name for name, p in zip(names, row, strict=True) if p >= 0.5) == evolved.sharing.uses(
                layer, task
            )


@pytest.mark.parametrize("stop", [pytest.param(1, marks=pytest.mark.soak), 2, pytest.param(3, marks=pytest.mark.soak)])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(run: Path, stop: int, tmp_path: Path) -> None:
    again = run_of(tmp_path / "again", stop=stop)
    same = ["spec.mtl", "best/mean.mtl", "best/mean.weights.safetensors", "code/model.py"]
    same += [f"best/tasks/{task}.{end}" for task in "abc" for end in ("mtl", "weights.safetensors")]
    same += [f"checkpoints/epoch-004/{part}.safetensors" for part in ("weights", "learner", "optimizer")]
    for name in same:
        assert (again / name).read_bytes() == (run / name).read_bytes(), name


def test_what_is_kept_is_what_was_evaluated(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parents[2])
    kept, model = load_run(run)
    chosen = [event for event in events(run, "best") if not event["own"]][-1]
    then = next(event for event in events(run, "validation") if event["epoch"] == chosen["epoch"])
    found = evaluate(model, kept, load_data(kept).validation, CPU)
    assert found.losses == then["losses"]
    assert json.loads(json.dumps(found.metrics)) == then["metrics"]


@pytest.mark.parametrize("task", ["a", "b", "c"])
def test_a_task_keeps_the_network_of_its_own_best_epoch(run: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parents[2])
    kept, model = load_run(run, of=task)
    epoch = [event for event in events(run, "best") if event["own"] and event["tasks"] == [task]][-1]["epoch"]
    then = next(event for event in events(run, "validation") if event["epoch"] == epoch)
    found = evaluate(model, kept, load_data(kept).validation, CPU, [task], whole=False)
    assert found.losses[task] == then["losses"][task]


def test_the_commands_take_the_run_and_its_spec(run: Path) -> None:
    folder = run.parents[2]
    for arguments in (
        ["eval", "runs/job/1"],
        ["eval", "runs/job/1", "--of", "b"],
        ["show", "runs/job/1/spec.mtl"],
        ["diff", "--history", "job.mtl", "runs/job/1"],
        ["check", "--pedantic", "runs/job/1/best/mean.mtl"],
        ["compile", "runs/job/1/spec.mtl", "-o", "evolved"],
    ):
        done = prepared.run("-m", "mtsldsl", *arguments, cwd=folder)
        assert done.returncode in (0, 1 if arguments[0] == "diff" else 0), (arguments, done.stderr)
    state = build_model(load(run / "spec.mtl"))
    load_weights(run / "checkpoints" / "epoch-004" / "weights.safetensors", state)
