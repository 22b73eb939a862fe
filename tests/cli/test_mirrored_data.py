"""Pictures that are mirrored with numbers that are not: a run says so, and so do a trial of one and `data`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.editing import load
from mtsldsl.ir.pedantic import warnings
from mtsldsl.runtime.run.beginning import Read
from tests import prepared

SPEC = """\
mtl 1
data arrays {
  path    = "faces.npz"
  input   = image(3, 8, 8)
  augment = [hflip]
  batch   = 8
}
task nose {
  target = values(2)
  head   = flatten | linear(2)
}
backbone {
  stem = conv2d(2, 3) | relu
}
train {
  epochs = 1
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    image = chance.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    np.savez("faces.npz", image=image, nose=chance.normal(size=(40, 2)).astype(np.float32))
    Path("faces.mtl").write_text(SPEC, encoding="utf-8")
    return tmp_path


def said_by_check() -> str:
    (known,) = [each for each in warnings(load(Path("faces.mtl"))) if each.code == "MTL954"]
    return f"{known.cause}; {known.remedy}"


def test_a_run_and_data_say_what_check_says(folder: Path) -> None:
    chosen = load(Path("faces.mtl"))
    told = list(Read.of(chosen).warnings(chosen, torch.device("cpu")))  # what a run and a trial of one begin with
    assert [(each.about, each.text) for each in told if "hflip" in each.text] == [("data", said_by_check())]
    assert f"warning: {said_by_check()}\n" in CliRunner().invoke(main, ["data", "faces.mtl"]).output


@pytest.mark.soak
def test_processes_of_a_run_and_of_a_trial_say_it(folder: Path) -> None:
    wanted = f"warning: {said_by_check()}\n"
    for words in (["--dry-run"], ["--quiet"]):
        done = prepared.run("-m", "mtsldsl", "train", "faces.mtl", "--device", "cpu", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert wanted in done.stderr + done.stdout
    events = [json.loads(line) for line in Path("runs/faces/1/events.jsonl").read_text(encoding="utf-8").splitlines()]
    (said,) = [each for each in events if each["event"] == "warning" and "hflip" in each["text"]]
    assert said["about"] == "data"


def test_who_knows_better_says_so_once(folder: Path) -> None:
    path = folder / "faces.mtl"
    path.write_text(SPEC.replace("[hflip]", "[hflip]  # mtl: ignore MTL954"), encoding="utf-8")
    assert "hflip" not in CliRunner().invoke(main, ["data", str(path)]).output
