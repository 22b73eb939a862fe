"""A run that is asked to end, goes on from a checkpoint that is whole, is trained by one process, and says when it has
ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtsldsl.runtime.run.checkpoint import _unchanged
from tests import prepared
from tests.cli.test_train import left_in
from tests.faults.kills import facts, prepared_job
from tests.methods.each_learner import text

SPEC = text("mtsl", at=2, epochs=3)

ASKED = """\
import os, signal, sys
from mtsldsl.runtime.learning import training
from mtsldsl.runtime.structure import phase
from mtsldsl.runtime.run import session
from mtsldsl.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)
sent = []
training_class, backward = training.Training, training.Training.backward

def asked(self, *given):
    if (self.epoch, self.batches) == (1, 1) and AT == "step" and not sent:
        sent.append(os.kill(os.getpid(), SIGNAL))
    backward(self, *given)

def in_phase(*given):
    if AT == "phase":
        os.kill(os.getpid(), SIGNAL)
    return carry(*given)

evaluate = training_class.evaluate

def validating(self, *given):
    if self.epoch == 1 and AT == "validation":
        os.kill(os.getpid(), SIGNAL)
    return evaluate(self, *given)

carry = phase.carry_state
session.MOST_OFTEN = 0
training_class.backward, phase.carry_state, training_class.evaluate = asked, in_phase, validating
main(sys.argv[1:])
"""

PLACES = {
    "step": ("epoch-001-step-00002", "after step 2 of epoch 2"),
    "validation": ("epoch-001", "after epoch 1"),
    "phase": ("epoch-001-step-00003", "after step 3 of epoch 2"),
}
"""Where a run is asked to end, and where it goes on."""


def mtsldsl(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *words, cwd=place)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = prepared_job(tmp_path_factory.mktemp("whole") / "job", SPEC)
    done = mtsldsl(place, "train", "job.mtl", "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return place / "runs" / "job" / "1"


def goes_on(job: Path, whole: Path) -> str:
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert facts(job / "runs/job/1") == facts(whole)
    return done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", PLACES)
def test_a_signal_ends_a_run_where_it_goes_on_to_the_same_bits(
    at: str, number: signal.Signals, tmp_path: Path, whole: Path
) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    program = ASKED.replace("SIGNAL)", f"{int(number)})").replace("AT ==", f"{at!r} ==")
    done = prepared.run("-c", program, "train", "job.mtl", "--quiet", "--device", "cpu", cwd=job)
    assert done.returncode == 128 + number
    name, where = PLACES[at]
    assert done.stderr.splitlines()[-1] == f"stopped; go on {where} with `mtsldsl train --resume runs/job/1`"
    assert name in {path.name for path in (job / "runs/job/1/checkpoints").iterdir()}
    goes_on(job, whole)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    program = ASKED.replace("SIGNAL)", "2)").replace("AT ==", "'step' ==").replace(" and not sent", "")
    done = prepared.run("-c", program, "train", "job.mtl", "--quiet", "--device", "cpu", cwd=job)
    assert done.returncode == 130
    assert "stopped; go on after epoch 1 with" in done.stderr


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_run_goes_on_from_the_checkpoint_before_one_that_is_damaged(damage: str, tmp_path: Path, whole: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    assert mtsldsl(job, "train", "job.mtl", "--quiet", "--device", "cpu").returncode == 0
    latest = job / "runs/job/1/checkpoints/epoch-003"
    weights = latest / "optimizer.safetensors"
    content = weights.read_bytes()
    (job / "runs/job/1/report.html").unlink()
    if damage == "gone":
        weights.unlink()
    else:
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        weights.write_bytes(flipped if damage == "flipped" else content[:-9])
    said = goes_on(job, whole)
    assert "the checkpoint `runs/job/1/checkpoints/epoch-003` is damaged: optimizer.safetensors is not what was" in said
    assert "the run goes on from `epoch-002`" in said


def test_where_all_checkpoints_are_damaged_nothing_is_touched(tmp_path: Path, whole: Path) -> None:
    job = tmp_path / "job"
    shutil.copytree(whole.parents[2], job)
    (job / "runs/job/1/report.html").unlink()
    for path in (job / "runs/job/1/checkpoints").glob("*/state.json"):
        path.write_text("{}", encoding="utf-8")
    before = left_in(job / "runs/job/1")
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 1
    assert "error MTL805" in done.stderr
    assert left_in(job / "runs/job/1") == before


def test_two_processes_do_not_train_in_one_folder_and_a_dead_one_holds_nothing(tmp_path: Path, whole: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    waiting = (
        "import sys\n"
        "from mtsldsl.runtime.run import session\n"
        "saved = session.save_checkpoint\n"
        "def wait(folder, training, *rest):\n"
        "    place = saved(folder, training, *rest)\n"
        "    if training.epoch == 1 and not training.batches:\n"
        "        print('waits', flush=True)\n"
        "        sys.stdin.read()\n"
        "    return place\n"
        "session.save_checkpoint = wait\n"
        "from mtsldsl.cli import main\n"
        "main(['train', 'job.mtl', '--quiet', '--device', 'cpu'])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", waiting],
        cwd=job,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "waits\n"
        before = facts(job / "runs/job/1")
        second = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
        assert second.returncode == 1
        assert "error MTL817: another process is training in `runs/job/1`: process " in second.stderr
        assert str(first.pid) in second.stderr
        assert facts(job / "runs/job/1") == before
        assert mtsldsl(job, "eval", "runs/job/1", "--device", "cpu").returncode == 0
        first.kill()
    goes_on(job, whole)


def test_a_run_that_has_ended_says_so(whole: Path) -> None:
    before = facts(whole)
    done = mtsldsl(whole.parents[2], "train", "--resume", "runs/job/1")
    assert done.returncode == 0
    assert done.stdout == "runs/job/1 has ended: `mtsldsl log runs/job/1` tells what came of it\n"
    assert facts(whole) == before


def test_a_run_that_begins_again_has_what_it_was_asked_for(tmp_path: Path, whole: Path) -> None:
    """Weights, loggers and the person's file; and one that came further without a checkpoint loses nothing."""
    job = prepared_job(tmp_path / "job", SPEC)
    words = ("job.mtl", "--weights", str(whole), "--in-place", "--log", "csv", "--quiet", "--device", "cpu")
    assert mtsldsl(job, "train", *words, "--runs", "straight").returncode == 0
    evolved = (job / "job.mtl").read_bytes()
    (job / "job.mtl").write_text(SPEC, encoding="utf-8")
    killed = (
        "import os, sys\n"
        "from mtsldsl.runtime.run import session\n"
        "session.save_checkpoint = lambda *_: os.kill(os.getpid(), 9)\n"
        "from mtsldsl.cli import main\n"
        "main(['train', *sys.argv[1:]])\n"
    )
    assert prepared.run("-c", killed, *words, cwd=job).returncode == -9
    run = job / "runs/job/1"
    (run / "best" / "notes.txt").write_text("mine", encoding="utf-8")
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found, straight = facts(run), facts(job / "straight/job/1")
    events = [[{**event, "folder": ""} for event in each.pop("events")] for each in (found, straight)]
    assert events[0] == events[1]
    assert found == straight
    assert (run / "metrics.csv").exists()
    assert (run / "best" / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert (job / "job.mtl").read_bytes() == evolved
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "report.html").unlink()
    before = left_in(run)
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 1
    assert "error MTL801: `runs/job/1` has no checkpoint" in done.stderr
    assert left_in(run) == before


def test_what_a_person_keeps_among_the_best_weights_stays_and_nothing_is_written_through_a_link(
    tmp_path: Path, whole: Path
) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    assert mtsldsl(job, "train", "job.mtl", "--quiet", "--device", "cpu").returncode == 0
    run, elsewhere = job / "runs/job/1", job / "elsewhere"
    elsewhere.write_text("precious", encoding="utf-8")
    (run / "report.html").unlink()
    (run / "best" / "mine").mkdir()
    mine = [run / "best" / name for name in ("mine.mtl", "epoch2.weights.safetensors", "mine/notes.mtl", "a~b.mtl")]
    for path in mine:
        path.write_text("mine", encoding="utf-8")
    for name in ("mean.mtl", "mean.weights.safetensors"):
        (run / "best" / name).unlink()
        (run / "best" / f".{name}.partial").symlink_to(elsewhere)
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert all(path.read_text(encoding="utf-8") == "mine" for path in mine)
    assert elsewhere.read_text(encoding="utf-8") == "precious"
    for path in mine:
        path.unlink()
    assert facts(run) == facts(whole)


@pytest.mark.parametrize(
    "place", ["best/mean.weights.safetensors", "checkpoints/epoch-003/kept~best~mean.weights.safetensors"]
)
def test_best_weights_that_are_damaged_in_one_place_come_from_the_other(
    place: str, tmp_path: Path, whole: Path
) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    assert mtsldsl(job, "train", "job.mtl", "--quiet", "--device", "cpu").returncode == 0
    (job / "runs/job/1/report.html").unlink()
    os.truncate(job / "runs/job/1" / place, 10)
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr
    best, expected = (each / "best/mean.weights.safetensors" for each in (job / "runs/job/1", whole))
    assert best.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(("gone", "said"), [("code", None), ("evolution", "MTL801"), ("request.json", None)])
def test_what_is_gone_is_made_anew_or_named(gone: str, said: str | None, tmp_path: Path, whole: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    assert mtsldsl(job, "train", "job.mtl", "--quiet", "--device", "cpu").returncode == 0
    run = job / "runs/job/1"
    (run / "report.html").unlink()
    shutil.rmtree(run / gone) if (run / gone).is_dir() else (run / gone).unlink()
    if said is None:
        goes_on(job, whole)
        return
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 1
    assert f"error {said}: `runs/job/1/evolution/start.mtl` is gone" in done.stderr


def test_a_request_that_is_no_file_is_a_report(tmp_path: Path, whole: Path) -> None:
    job = tmp_path / "job"
    shutil.copytree(whole.parents[2], job)
    run = job / "runs/job/1"
    (run / "request.json").unlink()
    os.mkfifo(run / "request.json")
    (run / "events.jsonl").write_bytes(b"")
    shutil.rmtree(run / "checkpoints")
    done = mtsldsl(job, "train", "--resume", "runs/job/1", "--quiet", "--device", "cpu")
    assert done.returncode == 1
    assert "error MTL801: `runs/job/1/request.json` is not as a run writes it" in done.stderr


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    job = prepared_job(tmp_path / "job", SPEC)
    program = (
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from mtsldsl.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "main(['train', 'job.mtl', '--quiet', '--device', 'cpu'])\n"
    )
    done = prepared.run("-c", program, cwd=job)
    assert done.returncode == 1
    assert "error MTL703" in done.stderr
    assert not list((job / "runs" / "job").iterdir())


def test_best_weights_of_the_same_moment_are_told_apart(tmp_path: Path) -> None:
    """As on a file system whose times are coarse."""
    before, now = tmp_path / "epoch-001", tmp_path / "best.mtl"
    before.mkdir()
    (before / "state.json").write_text("{}", encoding="utf-8")
    for path, content in ((now, "later"), (before / "kept", "first")):
        path.write_text(content, encoding="utf-8")
        os.utime(path, ns=(10**18, 10**18))
    os.utime(before / "state.json", ns=(10**18 + 10**9, 10**18 + 10**9))
    assert not _unchanged(now, before / "kept")
    now.write_text("first", encoding="utf-8")
    os.utime(now, ns=(10**18, 10**18))
    assert _unchanged(now, before / "kept")
    os.utime(now, ns=(10**18 + 1, 10**18 + 1))
    assert not _unchanged(now, before / "kept")
