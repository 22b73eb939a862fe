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
from tests.ir.specs import TASKS, text
from tests.runtime.started import started

SHARINGS = {
    "all": "stem..dec2 = all",
    "the stem": "stem = all",
    "two and two": "stem..dec2 = depth + edge, normal + segment",
    "each": "stem..dec2 = each",
}


def training_of(line: str) -> Training:
    spec = mtsldsl.loads(text(f"sharing {{\n  {line}\n}}\n"))
    return started(spec, lambda named: torch.optim.SGD(named, lr=0.1))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_file_has_what_its_task_depends_on_and_no_layer_that_only_others_have(sharing: str, tmp_path: Path) -> None:
    training = training_of(SHARINGS[sharing])
    folder = RunFolder(tmp_path)
    folder.best.mkdir()
    keep_own_weights(folder, training, list(TASKS), training.spec.source)
    of_all = {task: load_file(folder.own_best / f"{task}.weights.safetensors") for task in TASKS}
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
    training = training_of(SHARINGS["all"])
    folder = RunFolder(tmp_path)
    folder.best.mkdir()
    keep_own_weights(folder, training, list(TASKS), training.spec.source)
    before = {path.name: path.read_bytes() for path in folder.own_best.iterdir()}
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(1)
    keep_own_weights(folder, training, ["edge"], training.spec.source)
    changed = {path.name for path in folder.own_best.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"edge.weights.safetensors"}
