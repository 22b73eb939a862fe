"""`mtsldsl log` in real processes: what a run's record tells, and a record that is damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.run.record_lines import record_lines
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.cli.test_what_is_printed import SHOWN, STEERING, harmless

SPEC = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 80
  batch  = 4
}

task depth {
  target = values(1)
  head   = dropout(0.3) | conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task segment {
  target = classes(5)
  head   = conv2d(5, 1) | resize_as(image)
}

backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  last = conv2d(6, 3) | relu
}

train {
  epochs  = 3
  balance = random
}

structure mtsl {
  phases    = [2]
  threshold = 0.1
}

sharing {
  stem = all
}
"""
TRAIN = ("train", "job.mtl", "--quiet", "--device", "cpu")


def job(folder: Path, text: str = SPEC) -> Path:
    folder.mkdir()
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    return folder


def log(run: Path, *more: str) -> str:
    done = prepared.run("-m", "mtsldsl", "log", str(run), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def of(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in record(run) if event["event"] == kind]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run, and what it printed while it went on."""
    folder = job(tmp_path_factory.mktemp("log") / "job")
    done = prepared.run("-m", "mtsldsl", "train", "job.mtl", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "job" / "1", done.stdout


def test_the_log_is_what_the_run_printed_and_the_weights(trained: tuple[Path, str]) -> None:
    run, printed = trained
    told = log(run)
    assert told.startswith(printed)
    assert "structural phase after epoch 2: now" in printed
    title, head, *rows = told.removeprefix(printed).strip().splitlines()
    assert title == "weights of the tasks by balance random, the mean of up to 8 steps of an epoch"
    assert head.split() == ["epoch", "1", "2", "3", "least", "most"]
    weighed = of(run, "balance")
    for task, row in zip(("depth", "edge", "segment"), rows, strict=True):
        every = [event["weights"][task] for event in weighed]
        means = [sum(found) / len(found) for found in every]
        flat = [weight for found in every for weight in found]
        assert row.split()[0] == task
        assert list(map(float, row.split()[1:])) == pytest.approx([*means, min(flat), max(flat)], rel=1e-3)


def test_each_epoch_has_an_event_of_eight_steps(trained: tuple[Path, str]) -> None:
    found = of(trained[0], "balance")
    assert [event["epoch"] for event in found] == [1, 2, 3]
    for event in found:
        assert event["steps"] == [1, 3, 5, 7, 8, 10, 12, 14]  # of fourteen
        for numbers in zip(*event["weights"].values(), strict=True):
            assert sum(numbers) == pytest.approx(3, rel=1e-4)
            assert len(set(numbers)) == 3


def test_json_is_the_record(trained: tuple[Path, str]) -> None:
    found = json.loads(log(trained[0], "--json"))
    assert found == {"format_version": 1, "events": record(trained[0])}


@pytest.mark.soak
def test_a_run_that_was_killed_goes_on_to_the_same_weights_and_says_so(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    folder = job(tmp_path / "again")
    assert disturbed(*TRAIN, action=f"if training.epoch == 1: {KILLED}", cwd=folder).returncode == -9
    run = folder / "runs" / "job" / "1"
    half = log(run)
    assert "epoch   1" in half
    assert "epoch   2" not in half
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", str(run), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert of(run, "balance") == of(trained[0], "balance")
    assert log(run).splitlines().count("going on after epoch 1") == 1


def test_the_weights_of_the_spec_are_no_event(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", SPEC.replace("balance = random", "balance = equal"))
    prepared.run("-m", "mtsldsl", *TRAIN, "--structure", "none", "--set", "train.epochs=1", cwd=folder)
    run = folder / "runs" / "job" / "1"
    assert of(run, "epoch")
    assert not of(run, "balance")
    assert "weights of the tasks" not in log(run)


def copied(run: Path, folder: Path, *lines: str) -> Path:
    """The run with this record."""
    shutil.copytree(run, folder)
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def test_an_old_run_without_the_event_is_told_as_well(trained: tuple[Path, str], tmp_path: Path) -> None:
    run, printed = trained
    older = [json.dumps(event) for event in record(run) if event["event"] != "balance"]
    assert log(copied(run, tmp_path / "old", *older)) == printed


def test_what_was_warned_of_and_kinds_of_later_versions(trained: tuple[Path, str], tmp_path: Path) -> None:
    events = [
        {"event": "warning", "about": "data", "text": "few labels"},
        {"event": "of_a_later_version", "epoch": 1},
        {"event": "other_data", "differences": ["it has other values"]},
        {"event": "left_alone", "epoch": 2, "file": "net.mtl", "reason": "it was edited", "evolved": "runs/spec.mtl"},
    ]
    run = copied(trained[0], tmp_path / "run", *map(json.dumps, events))
    assert log(run).splitlines() == [
        "warning: few labels",
        "warning: the data is not what it was when the run started: it has other values",
        "net.mtl is left alone: it was edited; the evolved spec is runs/spec.mtl",
    ]
    assert json.loads(log(run, "--json"))["events"] == events


def test_of_many_epochs_and_tasks_the_table_stays_small(trained: tuple[Path, str], tmp_path: Path) -> None:
    weights = {f"task{place:02d}": [1.0, None] for place in range(40)}
    events = [{"event": "balance", "epoch": epoch, "steps": [1, 2], "weights": weights} for epoch in range(1, 301)]
    _, _, head, *rows = log(copied(trained[0], tmp_path / "run", *map(json.dumps, events))).splitlines()
    assert head.split() == ["epoch", "1", "44", "86", "129", "172", "215", "257", "300", "least", "most"]
    assert len(rows) == 7
    assert rows[-1] == "and 34 tasks more"


def test_a_last_line_that_a_kill_cut_off_is_left_out(trained: tuple[Path, str], tmp_path: Path) -> None:
    run = copied(trained[0], tmp_path / "run", '{"event": "resume", "epoch": 4}')
    with (run / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"event": "epo')
    assert log(run) == "going on after epoch 4\n"


DAMAGED = {
    "no JSON": b'{"event": "resume", "epo\n',
    "no text": b"\xff\xfe\x00\n",
    "no object": b"[1]\n",
    "without its kind": b'{"epoch": 1}\n',
    "another kind of kind": b'{"event": []}\n',
    "too deep": b"[" * 100_000 + b"\n",
    "without its fields": b'{"event": "epoch"}\n',
    "other values": b'{"event": "epoch", "epoch": 1, "losses": 3, "lr": 0.1, "epoch_seconds": 1}\n',
    "words for numbers": b'{"event": "balance", "epoch": 1, "steps": [1], "weights": {"a": ["x"]}}\n',
    "numbers for tasks": b'{"event": "balance", "epoch": 1, "steps": 4, "weights": {"a": [1.0]}}\n',
    "an empty line": b"\n",
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_said_to_be_one(line: bytes, trained: tuple[Path, str], tmp_path: Path) -> None:
    run = copied(trained[0], tmp_path / "run", '{"event": "resume", "epoch": 1}')
    with (run / "events.jsonl").open("ab") as stream:
        stream.write(line)
    with pytest.raises(MtlError, match=r"MTL801.*line 2 of"):
        list(record_lines(run / "events.jsonl"))


def test_nothing_is_told_of_a_damaged_record(trained: tuple[Path, str], tmp_path: Path) -> None:
    run = copied(trained[0], tmp_path / "run", '{"event": "resume", "epoch": 1}', "broken")
    for more in ((), ("--json",)):
        done = prepared.run("-m", "mtsldsl", "log", str(run), *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert "error MTL801: line 2 of" in done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_record_or_a_run_there_is_nothing_to_tell(trained: tuple[Path, str], tmp_path: Path) -> None:
    run = copied(trained[0], tmp_path / "run")
    gone = copied(trained[0], tmp_path / "gone")
    (gone / "events.jsonl").unlink()
    for path in (run, gone, tmp_path, tmp_path / "nowhere"):
        done = prepared.run("-m", "mtsldsl", "log", str(path))
        assert done.returncode == 1
        assert "MTL801" in done.stderr


def test_nothing_in_a_record_steers_the_terminal(trained: tuple[Path, str], tmp_path: Path) -> None:
    events = [
        {"event": "warning", "about": "data", "text": STEERING},
        {"event": "validation", "epoch": 1, "metrics": {STEERING: {STEERING: 1.0}}, "best": [STEERING], "gain": 1.0},
        {"event": "balance", "epoch": 1, "steps": [1], "weights": {STEERING: [1.0]}},
    ]
    told = log(copied(trained[0], tmp_path / "run", *map(json.dumps, events)))
    assert told.count(SHOWN) == 4
    assert harmless(told)


def test_torch_is_not_needed_to_tell(trained: tuple[Path, str]) -> None:
    program = (
        "import sys\nfrom mtsldsl.cli import main\n"
        f"try:\n    main(['log', {str(trained[0])!r}])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch is loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
