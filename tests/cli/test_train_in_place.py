"""`train --in-place`: the person's file follows the run, wherever that goes on, and is never left alone in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.editing import load
from tests.cli.test_train import KILLED, disturbed, mtsldsl

MINE = """\
# Is it bright? Is it red?
mtl 1

data arrays {
  path  = "mine.npz"
  input = image(3, 8, 8)
  batch = 8
}

task bright {
  target = binary(1)
  head   = conv2d(1, 1)
}

task red {
  target = binary(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(4, 3) | batch_norm | relu
  enc1 = conv2d(4, 3) | batch_norm | relu
}

train {
  epochs    = 3
  optimizer = sgd(lr=0.1, momentum=0.9)  # as ever
}

structure mtsl {
  phases    = [1, 2]
  threshold = 0.0
}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with the spec `mine.mtl` and its data."""
    folder = tmp_path / "job"
    folder.mkdir()
    image = np.random.default_rng(0).random((32, 3, 8, 8), dtype=np.float32)
    bright, red = (image.mean(1, keepdims=True) > 0.5), image[:, :1] > 0.5
    np.savez(folder / "mine.npz", image=image, bright=bright.astype(np.uint8), red=red.astype(np.uint8))
    (folder / "mine.mtl").write_text(MINE, encoding="utf-8")
    return folder


TRAIN = ("train", "mine.mtl", "--in-place", "--quiet", "--device", "cpu")


def test_the_persons_file_is_written_and_keeps_its_text(job: Path) -> None:
    mtsldsl(*TRAIN, cwd=job)
    text, spec = (job / "mine.mtl").read_text(encoding="utf-8"), load(job / "mine.mtl")
    assert text.startswith(MINE)
    assert [line.fields["layer"] for line in spec.history] == ["stem", "enc1"]
    assert spec.sharing == load(job / "runs" / "mine" / "1" / "spec.mtl").sharing


def test_a_run_that_goes_on_from_another_folder_writes_the_same_file(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert disturbed(*TRAIN, action=KILLED, cwd=job).returncode == -9
    begun = (job / "mine.mtl").read_text(encoding="utf-8")
    assert [line.fields["layer"] for line in load(job / "mine.mtl").history] == ["stem"]
    (other / "mine.mtl").write_text(begun, encoding="utf-8")
    shutil.copy(job / "mine.npz", other)
    mtsldsl("train", "--resume", "../job/runs/mine/1", "--quiet", "--device", "cpu", cwd=other)
    assert (other / "mine.mtl").read_text(encoding="utf-8") == begun
    assert [line.fields["layer"] for line in load(job / "mine.mtl").history] == ["stem", "enc1"]


def test_the_history_goes_on_counting_in_a_second_run_also_where_that_was_resumed(job: Path) -> None:
    mtsldsl(*TRAIN, "--set", "structure.phases=[3]", cwd=job)
    assert disturbed(*TRAIN, "--set", "structure.phases=[2]", action=KILLED, cwd=job).returncode == -9
    assert [(line.epoch, line.fields["layer"]) for line in load(job / "mine.mtl").history] == [(3, "stem")]
    mtsldsl("train", "--resume", "runs/mine/2", "--quiet", "--device", "cpu", cwd=job)
    assert [(line.epoch, line.fields["layer"]) for line in load(job / "mine.mtl").history] == [
        (3, "stem"),
        (3 + 2, "enc1"),
    ]
    events = [json.loads(line) for line in (job / "runs/mine/2/events.jsonl").read_text("utf-8").splitlines()]
    assert [event["epoch"] for event in events if event["event"] == "phase"] == [2]


@pytest.mark.parametrize("display", [["--quiet"], ["--json"]])
def test_a_file_that_is_left_alone_is_named_on_stderr_then_and_at_the_end(job: Path, display: list[str]) -> None:
    arguments = [each for each in TRAIN if each != "--quiet"] + display
    done = disturbed(*arguments, action="Path('mine.mtl').write_text('mtl')", cwd=job)
    assert done.returncode == 0
    assert (job / "mine.mtl").read_text(encoding="utf-8") == "mtl"
    warning, again = done.stderr.splitlines()
    assert warning == again
    assert warning.startswith(f"{job / 'mine.mtl'} is left alone: ")
    assert warning.endswith("; the evolved spec is runs/mine/1/spec.mtl")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events.count("left_alone") == (1 if display == ["--json"] else 0)


def test_a_file_that_was_left_alone_stays_so_when_the_run_goes_on(job: Path) -> None:
    broken = f"Path('mine.mtl').write_text('mtl') if training.epoch == 1 else {KILLED}"
    assert disturbed(*TRAIN, action=broken, cwd=job).returncode == -9
    (job / "mine.mtl").write_text(MINE, encoding="utf-8")
    done = disturbed("train", "--resume", "runs/mine/1", "--quiet", "--device", "cpu", action="pass", cwd=job)
    assert done.returncode == 0
    assert (job / "mine.mtl").read_text(encoding="utf-8") == MINE
    (warning,) = done.stderr.splitlines()
    assert "left alone" in warning


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "sharing.stem=all"], "follows the sharing that the file has"),
        (["--set", "backbone.stem=conv2d(8, 3)"], "follows the backbone that the file has"),
        (["--structure", "none"], "without a `structure`"),
        (["--sharing", "each"], "leave --sharing out"),
    ],
)
def test_what_would_make_the_file_another_than_the_run_is_refused_at_once(
    job: Path, options: list[str], said: str
) -> None:
    (job / "mine.mtl").write_text(f"{MINE}sharing {{\n  stem = each\n}}\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["train", str(job / "mine.mtl"), "--in-place", *options])
    assert done.exit_code == 2
    assert said in done.output
    assert not (job / "runs").exists()
