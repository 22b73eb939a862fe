"""Runs that split: outputs stay what they are to the last bit, and a killed run goes on to the same bytes."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtsldsl import load, load_run, loads
from mtsldsl.ir import Decision, Spec
from mtsldsl.methods.split.learner import Split
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.learning.learned import named_parameters
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.network.optimizer_state import parameter_state
from mtsldsl.runtime.run.display import QuietDisplay
from mtsldsl.runtime.structure.phase import structural_phase
from mtsldsl.sharing import Copy
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.runtime.started import CPU, step
from tests.scenes import SEGMENT, rooms

TEXT = (
    rooms(48)
    + SEGMENT
    + """
backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  pool = max_pool2d(2)
  last = conv2d(6, 3) | batch_norm | relu
}

train {
  epochs = 3
}

structure split {
  phases    = [1, 2]
  every     = 2
  threshold = 1
  patience  = 1
}

sharing {
  stem = all
  pool = all
  last = depth + edge, segment
}
"""
)


class Quiet:
    """A run that nobody watches."""

    watcher = QuietDisplay()

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def say(self, kind: str, **fields: Any) -> None:
        self.said.append((kind, fields))

    def structure_changed(self, spec: Spec, epoch: int, decisions: Sequence[Decision], *, same: bool = False) -> None:
        assert not same  # the best epoch is chosen anew


def trained(spec: Spec, steps: int = 6) -> tuple[Training, Any]:
    """A training after some steps of an epoch, and its data."""
    assert spec.structure is not None
    data = load_data(spec)
    training = Training.start(
        spec,
        model_class(spec),
        Split(spec.structure.settings),
        lambda named: torch.optim.Adam(named, lr=1e-2),
        lambda _: None,
        CPU,
    )
    training.model.train()
    for _, batch in zip(range(steps), batches(data.train, 4, shuffle=True, device=CPU), strict=False):
        outputs = training.forward(batch["image"], tuple(spec.sharing.tasks))
        losses = training.losses(outputs, batch)
        training.penalty(batch, outputs, losses)
        step(training, losses)
    training.end_epoch({})
    return training, data


def computed(training: Training, images: Tensor) -> dict[str, Tensor]:
    training.model.eval()
    with torch.no_grad():
        return dict(training.model(images))


def test_every_output_is_what_it_was_and_both_copies_are_the_one_they_come_from() -> None:
    training, data = trained(loads(TEXT))
    images = next(iter(batches(data.validation, 4, shuffle=False, device=CPU)))["image"]
    before, spec = computed(training, images), training.spec
    state = copy.deepcopy(training.model.state_dict())
    moments = parameter_state(training.optimizer, named_parameters(training.model, training.balance, training.learner))
    structural_phase(training, training.learner, data, Quiet())
    assert training.spec.sharing == spec.sharing.apart()
    layers = [each.fields["layer"] for each in training.spec.history]
    assert layers == ["last", "pool", "stem", "pool", "stem"]
    after = computed(training, images)
    assert before.keys() == after.keys()
    for task in before:
        assert torch.equal(before[task], after[task]), task
    new = parameter_state(training.optimizer, named_parameters(training.model, training.balance, training.learner))
    for name, value in training.model.state_dict().items():
        former = name if name in state else former_name(spec, name)
        assert value.equal(state[former]), name
        if former in moments:
            assert new[name].keys() == moments[former].keys()
            assert all(torch.equal(new[name][key], kept) for key, kept in moments[former].items()), name


def former_name(spec: Spec, name: str) -> str:
    """The tensor of the network before that a tensor comes from."""
    own = Copy.holding(name)
    (task,) = own.component
    whole = Copy(own.layer, spec.sharing.component(own.layer, task))
    return whole.name + name.removeprefix(own.name)


def test_the_cosines_are_those_of_the_gradients_computed_one_by_one() -> None:
    training, data = trained(loads(TEXT), steps=1)
    spec = training.spec
    by_hand = Training.start(
        spec, model_class(spec), Split(training.learner.settings), training.make_optimizer, lambda _: None, CPU
    )
    by_hand.model.train()
    batch = next(iter(batches(data.train, 4, shuffle=True, device=CPU)))
    gradients: dict[str, list[Tensor]] = {}
    for task in spec.sharing.tasks:
        by_hand.model.zero_grad(set_to_none=True)
        by_hand.losses(by_hand.model(batch["image"]), batch).values[task].backward()
        gradients[task] = [each.grad for each in by_hand.model.get_submodule("stem.depth+edge+segment").parameters()]
    found = training.learner.cosines(1)["stem"][-1]
    for row, one in enumerate(spec.sharing.tasks):
        for column, other in enumerate(spec.sharing.tasks):
            vectors = [torch.cat([each.flatten().double() for each in gradients[task]]) for task in (one, other)]
            wanted = torch.nn.functional.cosine_similarity(*vectors, dim=0)
            assert found[row, column] == pytest.approx(float(wanted), abs=1e-6)
    assert np.isnan(training.learner.cosines(1)["pool"]).all()
    assert np.isnan(training.learner.cosines(2)["stem"]).all()  # an epoch in which nothing was seen


def test_what_would_be_beyond_the_budget_stays_and_is_said_to() -> None:
    spec = loads(TEXT.replace("  patience  = 1\n", "  patience  = 1\n  budget    = 0.8\n"))
    training, data = trained(spec)
    quiet = Quiet()
    structural_phase(training, training.learner, data, quiet)
    assert training.spec.sharing == spec.sharing.split("last", ["edge"])  # the heads' side comes first
    most = 0.8 * attrs.evolve(spec, sharing=spec.sharing.apart()).cost().parameters
    stem = training.spec.cost().layers["stem"].one.parameters
    assert training.spec.cost().parameters <= most < training.spec.cost().parameters + stem
    told = {fields["layer"]: fields["beyond_budget"] for kind, fields in quiet.said if kind == "disagreement"}
    assert told == {"last": False, "stem": True}


def run(folder: Path, *more: str) -> Path:
    folder.mkdir()
    (folder / "job.mtl").write_text(TEXT, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "job.mtl", "--quiet", "--device", "cpu", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "job" / "1"


@pytest.mark.soak
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "--set", "structure.patience=2")
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "job.mtl").write_text(TEXT, encoding="utf-8")
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu", "--set", "structure.patience=2"]
    assert disturbed(*arguments, action=f"if training.epoch == 1: {KILLED}", cwd=folder).returncode == -9
    again = folder / "runs" / "job" / "1"
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("spec.mtl", "best/mean.mtl", "best/mean.weights.safetensors"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    for part in ("weights", "optimizer", "learner"):
        one, other = (
            load_file(where / "checkpoints" / "epoch-003" / f"{part}.safetensors") for where in (whole, again)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    evolved = load(again / "spec.mtl")
    assert {each.epoch for each in evolved.history} == {2}  # the first phase comes before two epochs are over
    spec, _ = load_run(again, "depth")  # a task's own best epoch is one of the network as it is at the end
    assert spec.sharing == evolved.sharing


PAIRS = """\
mtl 1

data arrays {
  path  = "pairs.npz"
  input = x(8)
  batch = 32
}

task [a, b, c, d] {
  target = values(1)
  head   = linear(outputs)
  loss   = mse
}

backbone {
  stem = linear(4) | tanh
  last = linear(4) | tanh
}

train {
  epochs    = 10
  optimizer = adam(lr=3e-3)
}

structure split {
  phases   = [9]
  every    = 1
  patience = 3
}

sharing {
  stem = all
  last = all
}
"""


def pairs(folder: Path) -> None:
    """Samples of four tasks in two pairs: a and b ask for the same, c and d for something else."""
    generator = np.random.default_rng(0)
    rows, weights = generator.normal(size=(600, 8)), generator.normal(size=(8, 4))
    hidden = np.tanh(rows @ weights)
    kinds = hidden[:, :2].sum(1, keepdims=True), hidden[:, 2:].sum(1, keepdims=True)
    labels = {task: kinds[task in "cd"] + 0.05 * generator.normal(size=(600, 1)) for task in "abcd"}
    np.savez(folder / "pairs.npz", x=rows.astype(np.float32), **labels)


def test_tasks_of_two_kinds_part_and_those_of_one_kind_stay_together(tmp_path: Path) -> None:
    pairs(tmp_path)
    (tmp_path / "pairs.mtl").write_text(PAIRS, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "pairs.mtl", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evolved = (tmp_path / "runs" / "pairs" / "1" / "spec.mtl").read_text(encoding="utf-8")
    assert re.findall(r"(\w+) = (a \+ b, c \+ d)", evolved) == [("stem", "a + b, c + d"), ("last", "a + b, c + d")]
    assert re.findall(r"split\(epoch=9, layer=(\w+), tasks=c \+ d, cosine=-0\.\d+\)", evolved) == ["last", "stem"]
    assert "stem: a + b and c + d part" in done.stdout
    page = (tmp_path / "runs" / "pairs" / "1" / "report.html").read_text(encoding="utf-8")
    assert "cosines of gradients at stem" in page
