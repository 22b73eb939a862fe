"""Runs whose balance looks ahead or back: killed and resumed they end in the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prepared
from tests.cli.test_train import KILLED, disturbed

TEXT = """\
mtl 1

data scenes {{
  input  = image(3, 16, 16)
  images = 48
  batch  = 8
}}

task depth {{
  target = values(1)
  head   = dropout(0.3) | conv2d(1, 1) | resize_as(image)
}}

task edge {{
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}}

task segment {{
  target = classes(5)
  head   = conv2d(5, 1) | resize_as(image)
}}

backbone {{
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  last = conv2d(6, 3) | relu
}}

train {{
  epochs  = 2
  balance = {balance}
}}

sharing {{
  stem = all
  last = depth + edge, segment
}}
"""


@pytest.mark.parametrize("balance", [pytest.param("it_mtl(every=2)", marks=pytest.mark.soak), "famo"])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(balance: str, tmp_path: Path) -> None:
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1"]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.mtl").write_text(TEXT.format(balance=balance), encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", *arguments, cwd=tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    killed = disturbed(*arguments, action=f"if training.epoch == 1: {KILLED}", cwd=tmp_path / "killed")
    assert killed.returncode == -9
    again = ("-m", "mtsldsl", "train", "--quiet", "--threads", "1", "--resume", "runs/job/1")
    done = prepared.run(*again, cwd=tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    whole, resumed = (
        tmp_path / name / "runs" / "job" / "1" / "checkpoints" / "epoch-002" for name in ("whole", "killed")
    )
    for name in ("weights", "balance", "optimizer"):
        assert (whole / f"{name}.safetensors").read_bytes() == (resumed / f"{name}.safetensors").read_bytes(), name
