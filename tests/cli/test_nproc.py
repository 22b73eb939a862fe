"""`mtsldsl train --nproc 2`: what one process does, from two, on real runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mtsldsl import load

TEXT = """\
mtl 1

data scenes {
  input  = image(3, 16, 16)
  images = 64
  batch  = 8
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
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
  stem = conv2d(6, 3, stride=2) | relu
  last = conv2d(6, 3) | relu
}

train {
  epochs  = 4
  balance = pcgrad
}

structure mtsl {
  phases     = [1, 2]
  similarity = cka(samples=32)
  threshold  = 0.5
  align      = 0
}
"""


def mtsldsl(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mtsldsl", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The run of one process and that of two."""
    folder = tmp_path_factory.mktemp("nproc")
    (folder / "job.mtl").write_text(TEXT, encoding="utf-8")
    for count in (1, 2):
        done = mtsldsl("train", "job.mtl", "--nproc", count, "--device", "cpu", "--runs", f"runs{count}", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.count("run folder: ") == 1
        assert done.stdout.splitlines()[-1].startswith("done in")
    return {count: folder / f"runs{count}" / "job" / "1" for count in (1, 2)}


def test_two_processes_decide_what_one_does_and_learn_the_same(runs: dict[int, Path]) -> None:
    one, two = (load(runs[count] / "spec.mtl") for count in (1, 2))
    assert one.sharing == two.sharing
    assert one.history != ()
    assert [(each.epoch, each.fields["layer"], each.fields["tasks"]) for each in one.history] == [
        (each.epoch, each.fields["layer"], each.fields["tasks"]) for each in two.history
    ]
    for kind, key in (("epoch", "losses"), ("validation", "losses"), ("test", "losses")):
        found, wanted = (events(runs[count], kind) for count in (2, 1))
        assert len(found) == len(wanted) > 0
        for each, other in zip(found, wanted, strict=True):
            assert each[key] == pytest.approx(other[key], rel=1e-3)
    assert [event["processes"] for event in events(runs[2], "start")] == [2]
    assert [event.get("processes") for event in events(runs[1], "start")] == [None]


FRAGILE = """\
import os
import torch

class Fragile(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 2 * 5 and os.environ.get("RANK") == "1" and os.path.exists("dies"):
            os.kill(os.getpid(), 9)
        return x
"""


@pytest.mark.soak
def test_a_run_whose_process_died_says_so_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """It dies in the third epoch."""
    (tmp_path / "person.py").write_text(FRAGILE, encoding="utf-8")
    alone = TEXT[: TEXT.index("structure mtsl")]
    text = alone.replace("| relu\n  last", '| relu | module("person:Fragile", out=[6, 8, 8])\n  last')
    (tmp_path / "job.mtl").write_text(f"{text}\nsharing {{\n  stem..last = all\n}}\n", encoding="utf-8")
    given = "--nproc", 2, "--device", "cpu", "--quiet"
    whole = mtsldsl("train", "job.mtl", *given, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "dies").touch()
    done = mtsldsl("train", "job.mtl", *given, cwd=tmp_path)
    assert done.returncode == 128 + 9, done.stderr
    again = "go on with `mtsldsl train --resume RUN --nproc 2`, where RUN is its folder"
    assert done.stderr == f"process 2 of 2 was ended by signal 9: {again}\n"
    run, other = (tmp_path / "runs" / "job" / number for number in "21")
    assert (run / "checkpoints" / "epoch-002").exists()
    (tmp_path / "dies").unlink()
    single = tmp_path / "single" / "job" / "1"
    shutil.copytree(run, single)
    again = mtsldsl("train", "--resume", run, *given, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    for name in ("weights", "optimizer"):
        kept = Path("checkpoints") / "epoch-004" / f"{name}.safetensors"
        assert (run / kept).read_bytes() == (other / kept).read_bytes()
    assert [event["epoch"] for event in events(run, "epoch")] == [1, 2, 3, 4]
    in_one = mtsldsl("train", "--resume", single, "--device", "cpu", "--quiet", cwd=tmp_path)
    assert in_one.returncode == 0, in_one.stderr
    found, wanted = (load_file(each / "checkpoints/epoch-004/weights.safetensors") for each in (single, other))
    assert all(each.allclose(wanted[name], rtol=1e-3, atol=1e-4) for name, each in found.items())
    assert any(not each.equal(wanted[name]) for name, each in found.items())


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "job.mtl").write_text(TEXT.replace("edge {", "depth {"), encoding="utf-8")
    alone, done = (mtsldsl("train", "job.mtl", "--nproc", count, cwd=tmp_path) for count in (1, 2))
    assert (done.returncode, done.stderr) == (alone.returncode, alone.stderr)
    assert "error MTL" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_run_without_a_checkpoint_is_refused_as_by_one_process(tmp_path: Path) -> None:
    for place in ("code", "checkpoints", "best", "evolution"):
        (tmp_path / "run" / place).mkdir(parents=True)
    for name in ("spec.mtl", "events.jsonl"):
        (tmp_path / "run" / name).write_text("", encoding="utf-8")
    alone, done = (mtsldsl("train", "--resume", "run", "--nproc", count, cwd=tmp_path) for count in (1, 2))
    assert "error MTL801" in done.stderr
    assert (done.returncode, done.stderr) == (alone.returncode, alone.stderr)
