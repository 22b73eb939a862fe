"""Runs of a study: killed they go on to the same bits, and a run is told by what it means."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from mtsldsl import load_run
from mtsldsl.editing import load, loads
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.studies.baselines.trial import Trial, outcome
from mtsldsl.runtime.studies.baselines.trial import train as make
from mtsldsl.runtime.studies.baselines.trials import FailedTrialError, Trials
from tests import prepared
from tests.studies.study_specs import LADDER, SPEC, write_job

TRAIN = """\
import os, pathlib, signal
from mtsldsl.editing import load
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.studies.baselines.trial import train

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

whole = RunFolder.replace_folder
def after(self, *folders):  # a checkpoint is there
    whole(self, *folders)
    kill()

if {when!r} == "before the first checkpoint":
    RunFolder.replace_folder = kill
elif {when!r} == "after the first checkpoint":
    RunFolder.replace_folder = after
train(pathlib.Path({folder!r}), load("small.mtl"), "cpu", 1)
"""


def train(job: Path, folder: Path, when: str = "") -> int:
    return prepared.run("-c", TRAIN.format(folder=str(folder), when=when), cwd=job).returncode


def kept(folder: Path) -> bytes:
    return (folder / "1" / "best" / "mean.weights.safetensors").read_bytes()


def clock(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "cpu_seconds.json").read_text(encoding="utf-8"))
    return found


def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    write_job(tmp_path)
    straight, killed = tmp_path / "study" / "straight", tmp_path / "study" / "killed"
    assert train(tmp_path, straight) == 0
    assert train(tmp_path, killed, "after the first checkpoint") == -signal.SIGKILL
    assert outcome(killed) is None
    assert [path.name for path in (killed / "1" / "checkpoints").iterdir()] == ["epoch-001"]
    before = clock(killed)
    assert train(tmp_path, killed) == 0
    ends = [outcome(folder) for folder in (straight, killed)]
    one, other = ends
    assert one is not None
    assert other is not None
    assert kept(straight) == kept(killed)
    assert one.metrics == other.metrics
    assert one.sharing() == other.sharing()
    assert one.data == other.data
    assert other.cpu_seconds is not None
    assert clock(killed)["1"] == before["1"] < clock(killed)["2"] <= other.cpu_seconds


@pytest.mark.soak
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    write_job(tmp_path)
    folder = tmp_path / "study" / "all"
    assert train(tmp_path, folder, "before the first checkpoint") == -signal.SIGKILL
    assert outcome(folder) is None
    assert train(tmp_path, folder) == 0
    assert outcome(folder) is not None
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["1"]
    events = (folder / "1" / "events.jsonl").read_bytes()
    assert train(tmp_path, folder) == 0  # it has ended: nothing is made
    assert (folder / "1" / "events.jsonl").read_bytes() == events


def test_a_run_that_diverges_has_an_outcome_too(tmp_path: Path) -> None:
    spec = write_job(tmp_path)
    spec.write_text(spec.read_text(encoding="utf-8").replace("adam(lr=0.01)", "sgd(lr=1e30)"), encoding="utf-8")
    folder = tmp_path / "study" / "all"
    assert train(tmp_path, folder) == 0
    found = outcome(folder)
    assert found is not None
    assert "MTL803" in found.diverged
    assert found.metrics == {}


STOPPING = (
    "epochs    = 2\n  optimizer = adam(lr=0.01)",
    "epochs    = 9\n  stop      = patience(2)\n  optimizer = sgd(lr=1e-30)",
)
"""It learns nothing, and so its first epoch is the best."""


@pytest.mark.parametrize("when", ["", pytest.param("after the first checkpoint", marks=pytest.mark.soak)])
def test_a_run_that_stops_before_its_last_epoch_has_ended(when: str, tmp_path: Path) -> None:
    """And at the same epoch where it was killed before."""
    spec = load(write_job(tmp_path, SPEC.replace(*STOPPING)))
    folder = tmp_path / "study" / "all"
    if when:
        assert train(tmp_path, folder, when) == -signal.SIGKILL
        assert outcome(folder) is None
    assert train(tmp_path, folder) == 0
    found = outcome(folder)
    assert found is not None
    assert (spec.train.epochs, found.stopped) == (9, 3)
    assert found.metrics.keys() == {task.name for task in spec.tasks}
    assert clock(folder).keys() == {"1", "2", "3", "end"}
    assert found.cpu_seconds == clock(folder)["end"] >= clock(folder)["3"]


def test_a_run_is_told_by_what_it_means(tmp_path: Path) -> None:
    spec = load(write_job(tmp_path))
    trial = Trial("last:1", 3, spec, "cpu", 1)
    folder = trial.folder(tmp_path)
    assert folder.name.startswith("last-1-seed-3-")
    remarked = loads("# the same\n" + spec.source.text)
    others = [
        attrs.evolve(trial, threads=2),
        attrs.evolve(trial, device="cuda"),
        attrs.evolve(trial, spec=load(tmp_path / "small.mtl", {"train.epochs": 3})),
        attrs.evolve(trial, spec=spec.with_sharing(spec.sharing.apart())),
    ]
    folder.mkdir()
    assert {each.folder(tmp_path) for each in (trial, attrs.evolve(trial, row="each", spec=remarked))} == {folder}
    assert folder not in {each.folder(tmp_path) for each in others}


def test_a_run_that_is_taught_is_told_by_what_teaches_it_and_not_by_where_that_lies(tmp_path: Path) -> None:
    spec = load(write_job(tmp_path))
    here, there = (attrs.evolve(spec, train=attrs.evolve(spec.train, teachers=path)) for path in ("a/each", "b/each"))
    taught = Trial("all+teachers", 3, here, "cpu", 1, taught_by="0123456789ab")
    same = attrs.evolve(taught, spec=there)
    others = [attrs.evolve(taught, taught_by="ba9876543210"), attrs.evolve(taught, spec=spec, taught_by=None)]
    assert taught.key == same.key
    assert len({each.key for each in (taught, *others)}) == 3


@pytest.mark.soak
def test_a_run_that_was_killed_goes_on_where_it_was_moved_to_with_its_teachers(tmp_path: Path) -> None:
    spec = write_job(tmp_path)
    assert train(tmp_path, tmp_path / "study/each") == 0
    text = spec.read_text(encoding="utf-8")
    found = []
    for place in ("straight", "killed"):
        named = f'train {{\n  teachers = "{tmp_path / "study/each"}"'
        spec.write_text(text.replace("train {", named), encoding="utf-8")
        folder = tmp_path / "study" / place
        when = "after the first checkpoint" if place == "killed" else ""
        assert (train(tmp_path, folder, when) == 0) == (place == "straight")
        if when:
            (tmp_path / "study").rename(tmp_path / "moved")
            folder = tmp_path / "moved" / place
            spec.write_text(text.replace("train {", named.replace("/study/", "/moved/")), encoding="utf-8")
            assert train(tmp_path, folder) == 0
        found.append(kept(folder))
    assert found[0] == found[1]


@pytest.mark.soak
def test_what_keeps_a_run_from_being_made_ends_the_study(tmp_path: Path) -> None:
    spec = load(write_job(tmp_path), {"data.path": "gone.npz"})
    trials = Trials(tmp_path / "study", 1, lambda *told: None)
    with pytest.raises(FailedTrialError, match=r"(?s)^all, seed 4: .*MTL601.*gone\.npz"):
        trials.outcomes([Trial("all", 4, spec, "cpu", 1), Trial("each", 4, spec, "cpu", 1)])


@pytest.mark.soak
@pytest.mark.parametrize("forker", [False, True])
def test_a_process_that_is_killed_from_outside_is_said_to_be(tmp_path: Path, *, forker: bool) -> None:
    spec = load(write_job(tmp_path), {"train.epochs": 100_000, "structure.at": 99_999})
    trials = Trials(tmp_path / "study", 1, lambda *told: None)

    def kill() -> None:
        while not list(tmp_path.glob("study/*/1/events.jsonl")):
            pass
        (process,) = trials._running
        known: Any = vars(forkserver)["_forkserver"]
        wanted = known._forkserver_pid if forker else process.pid
        os.kill(wanted, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    said = "the process that it was forked from has been ended" if forker else "its process was ended by SIGKILL"
    with pytest.raises(FailedTrialError, match=f"^all, seed 4: {said}$"):
        trials.outcomes([Trial("all", 4, spec, "cpu", 1)])
    killer.join()


ENDLESS = """\
import os, pathlib, threading
from mtsldsl.editing import load
from mtsldsl.runtime.studies.baselines.trial import Trial
from mtsldsl.runtime.studies.baselines.trials import Trials

study = pathlib.Path("study")
spec = load("small.mtl", {"train.epochs": 100_000, "structure.at": 99_999})
trials = Trials(study, 1, print)
threading.Thread(target=trials.outcomes, args=[[Trial("all", 0, spec, "cpu", 1)]], daemon=True).start()
while not trials._running:
    pass
(process,) = trials._running
while not list(study.glob("*/1/events.jsonl")):
    pass
print(process.pid, flush=True)
os._exit(3)
"""


@pytest.mark.soak
def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    write_job(tmp_path)
    done = subprocess.run([sys.executable, "-c", ENDLESS], cwd=tmp_path, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 3
    process = int(done.stdout)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        pass
    assert not Path(f"/proc/{process}").exists()


@pytest.mark.soak
def test_the_networks_of_one_run_are_outcomes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what each shares, and its own size; the run is made once."""
    monkeypatch.chdir(tmp_path)
    spec = load(write_job(tmp_path, LADDER))
    smaller, larger = (Trial("learned", 0, spec, "cpu", 1, name) for name in ("0.6", "0.8"))
    assert smaller.key == larger.key
    folder = tmp_path / "study"
    make(folder, spec, "cpu", 1)
    own, one, other = (outcome(folder, name) for name in (None, "0.6", "0.8"))
    assert own is not None
    assert one is not None
    assert other is not None
    single = attrs.evolve(spec, sharing=spec.sharing.apart()).cost().parameters
    for each, budget in ((one, 0.6), (other, 0.8)):
        found = attrs.evolve(spec, sharing=each.sharing()).cost().parameters
        assert found == each.parameters <= budget * single
        assert each.data == own.data
    for network, name in ((own, "mean"), (one, "0.6"), (other, "0.8")):
        kept, model = load_run(folder, name)
        for split in ("test", "validation"):
            found = outcome(folder, None if name == "mean" else name, split)
            assert found is not None
            assert (found.metrics == network.metrics) == (split == "test")
            measured = evaluate(model, kept, getattr(load_data(kept), split), torch.device("cpu"), thresholds=None)
            for task, values in measured.metrics.items():
                assert found.metrics[task] == pytest.approx(values, rel=1e-6)
    assert own.metrics == other.metrics  # the one that is picked
    assert one.metrics != other.metrics
    assert one.made_by != other.made_by
