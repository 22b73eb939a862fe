"""The best weights of each task alone: all that its prediction depends on, whichever tasks were kept with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mtsldsl
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.checkpoint import keep_own_weights
from mtsldsl.runtime.run.folder import RunFolder
from tests.runtime.started import started

BACKBONE = """\
mtl 1

data scenes {
  input = image(3, 16, 16)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task normal {
  target = unit_vectors(3)
  head   = conv2d(3, 1) | resize_as(image)
}

backbone {
  stem = conv2d(4, 3) | relu
  top  = conv2d(4, 3) | relu
}
"""

SHARINGS = {
    "all": ["stem..top = all"],
    "the stem": ["stem = all", "top = each"],
    "two and one": ["stem..top = depth + edge, normal"],
    "each": ["stem..top = each"],
}


def training_of(lines: str) -> Training:
    spec = mtsldsl.loads(f"{BACKBONE}\ntrain {{\n  epochs = 1\n}}\n\nsharing {{\n{lines}}}\n")
    return started(spec, lambda named: torch.optim.SGD(named, lr=0.1))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_file_has_what_its_task_depends_on_and_no_layer_that_only_others_have(sharing: str, tmp_path: Path) -> None:
    lines = "".join(f"  {line}\n" for line in SHARINGS[sharing])
    training = training_of(lines)
    folder = RunFolder(tmp_path)
    folder.best.mkdir()
    keep_own_weights(folder, training, ["depth", "edge", "normal"])
    of_all = {task: load_file(folder.own_best / f"{task}.weights.safetensors") for task in ("depth", "edge", "normal")}
    model = training.model.state_dict()
    for task, kept in of_all.items():
        needed = {copy.name for copy in copies(training.spec) if task in copy.component}
        held = {".".join(name.split(".")[:2]) for name in kept}
        assert needed <= held
        assert {name for name in held - needed if not name.startswith("heads.")} == set()
        for name, value in kept.items():
            assert torch.equal(value, model[name])
    assert {path.name for path in folder.own_best.iterdir()} == {f"{task}.weights.safetensors" for task in of_all}


def test_weights_of_a_task_that_is_not_named_stay_as_they_were(tmp_path: Path) -> None:
    training = training_of("  stem..top = all\n")
    folder = RunFolder(tmp_path)
    folder.best.mkdir()
    keep_own_weights(folder, training, ["depth", "edge", "normal"])
    before = {path.name: path.read_bytes() for path in folder.own_best.iterdir()}
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(1)
    keep_own_weights(folder, training, ["edge"])
    changed = {path.name for path in folder.own_best.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"edge.weights.safetensors"}
