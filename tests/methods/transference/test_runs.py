"""Runs from the command line: what is measured is told, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import prepared
from tests.cli.test_train import KILLED, disturbed

TEXT = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 48
  batch  = 8
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
  epochs = 3
}

structure transference {
  every = 2
}

sharing {
  stem = all
  last = depth + edge, segment
}
"""


def trained(folder: Path, text: str, *more: str) -> Path:
    folder.mkdir()
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "job.mtl", "--quiet", "--device", "cpu", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "job" / "1"


def events(run: Path) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "look_ahead"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("transference") / "job", TEXT)


def test_weights_are_those_of_a_run_that_measures_nothing(run: Path, tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", TEXT, "--structure", "none")
    for name in ("best/mean.weights.safetensors", "checkpoints/epoch-003/weights.safetensors"):
        assert (run / name).read_bytes() == (plain / name).read_bytes(), name
    assert "structure transference" in (run / "spec.mtl").read_text(encoding="utf-8")


def test_every_epoch_has_its_numbers(run: Path) -> None:
    found = events(run)
    assert [event["epoch"] for event in found] == [1, 2, 3]
    assert found[0]["tasks"] == ["depth", "edge", "segment"]
    for event in found:
        counts = {count for row in event["looks"] for count in row}
        assert counts <= {2, 3}  # of five steps
        assert all(isinstance(value, float) for row in event["gained"] for value in row)
        assert event["first_order_error"] is None


def test_the_command_tells_the_mean_the_last_epoch_and_the_curve(run: Path, tmp_path: Path) -> None:
    said = prepared.run("-m", "mtsldsl", "affinity", str(run), "--json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (found["format_version"], found["tasks"]) == (1, ["depth", "edge", "segment"])
    measured = events(run)
    for row, recipient in enumerate(found["tasks"]):
        for column, donor in enumerate(found["tasks"]):
            pairs = [(each["gained"][row][column], each["looks"][row][column]) for each in measured]
            mean = sum(value * count for value, count in pairs) / sum(count for _, count in pairs)
            assert found["affinity"][recipient][donor] == pytest.approx(mean)
            assert found["last"][recipient][donor] == pairs[-1][0]
            assert [each["affinity"][recipient][donor] for each in found["curve"]] == [value for value, _ in pairs]
    drawing = tmp_path / "affinity.svg"
    shown = prepared.run("-m", "mtsldsl", "affinity", str(run), "--plot", str(drawing))
    assert shown.returncode == 0, shown.stderr
    assert "segment" in shown.stdout
    assert drawing.read_text(encoding="utf-8").startswith("<svg")


def test_an_epoch_without_a_look_ahead_is_left_out(tmp_path: Path) -> None:
    seldom = trained(tmp_path / "job", TEXT, "--set", "structure.every=100")
    found = json.loads(prepared.run("-m", "mtsldsl", "affinity", str(seldom), "--json").stdout)
    assert [each["epoch"] for each in found["curve"]] == [1]
    assert found["last"] == found["affinity"] == found["curve"][0]["affinity"]
    assert found["looks"] == 1


def test_a_run_that_measured_nothing_is_an_error(run: Path, tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", TEXT.replace("epochs = 3", "epochs = 1"), "--structure", "none")
    said = prepared.run("-m", "mtsldsl", "affinity", str(plain))
    assert said.returncode == 1
    assert "MTL804" in said.stderr
    assert "structure transference" in said.stderr
    wrong = prepared.run("-m", "mtsldsl", "affinity", str(run), "--plot", "a.txt")
    assert wrong.returncode == 2


def test_the_first_order_says_how_far_it_is_off(tmp_path: Path) -> None:
    found = events(trained(tmp_path / "job", TEXT.replace("every = 2", "every = 2\n  step  = gradient")))
    assert all(0 <= event["first_order_error"] < 1e-3 for event in found)


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "job.mtl").write_text(TEXT, encoding="utf-8")
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu"]
    assert disturbed(*arguments, action=f"if training.epoch == 2: {KILLED}", cwd=folder).returncode == -9
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert events(folder / "runs" / "job" / "1") == events(run)
