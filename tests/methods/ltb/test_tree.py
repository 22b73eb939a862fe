"""Learning to branch: samples, gradients by hand, the tree of the most probable choices, and runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from mtsldsl import load, load_run, loads
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.checking import check
from mtsldsl.methods.ltb.learner import Ltb
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, model_class
from mtsldsl.runtime.network.choosing import choose, run_choosing
from mtsldsl.runtime.structure.phase import structural_phase
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.methods.split.test_runs import PAIRS, Quiet, pairs
from tests.runtime.started import CPU, step
from tests.scenes import rooms

TEXT = (
    rooms(48)
    + """
task segment {
  target = classes(5)
  head   = concat(enc) | conv2d(5, 1) | resize_as(image)
}

backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  enc  = conv2d(6, 3) | relu
  last = concat(stem) | conv2d(6, 3) | batch_norm | relu
}

train {
  epochs = 4
}

structure ltb {
  choose  = 2
  retrain = false
}
"""
)
LAYERS = ("stem", "enc", "last")


def trained(text: str = TEXT, steps: int = 5) -> tuple[Training, Any]:
    """A training after some steps of an epoch, and its data."""
    spec = loads(text)
    assert spec.structure is not None
    data = load_data(spec)
    training = Training.start(
        spec,
        model_class(spec),
        Ltb(spec.structure.settings),
        lambda named: torch.optim.Adam(named, lr=1e-2),
        lambda _: None,
        CPU,
    )
    training.model.train()
    for _, batch in zip(range(steps), batches(data.train, 4, shuffle=True, device=CPU), strict=False):
        (tasks,) = training.sets()
        outputs = training.forward(batch["image"], tasks)
        losses = training.losses(outputs, batch)
        training.penalty(batch, outputs, losses)
        step(training, losses)
    return training, data


def prefer(training: Training, chosen: dict[str, list[int]]) -> None:
    """Let every copy choose the one of that number at each layer."""
    for layer, numbers in chosen.items():
        with torch.no_grad():
            training.learner.logits[layer].copy_(2.0 * torch.nn.functional.one_hot(torch.tensor(numbers), 3))


def test_what_is_chosen_is_read_and_every_number_has_the_gradient_of_the_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(4, 5, generator=generator, requires_grad=True) for _ in range(3)]
    row = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    weights = torch.randn(4, 5, generator=generator)
    found = torch.autograd.grad((choose(row, values) * weights).sum(), [row, values[1]])
    wanted = torch.autograd.grad(
        (torch.einsum("i,inc->nc", row, torch.stack(values)) * weights).sum(), [row, values[1]]
    )
    assert torch.equal(choose(row, values), values[1])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_computes_what_its_sample_says_and_moves_the_choices() -> None:
    training, data = trained(steps=0)
    images = next(iter(batches(data.train, 4, shuffle=True, device=CPU)))
    choices = training.learner.choices(training.position)
    again = training.learner.choices(training.position)
    for key, matrix in choices.items():
        assert torch.equal(matrix, again[key])
        assert torch.equal(matrix.detach().sort(1).values, torch.tensor([[0.0, 0.0, 1.0]] * 3))
    # What is read further up is what the copies between have chosen.
    for reader in ("last", "heads"):
        through = choices[reader, "enc" if reader == "last" else "last"]
        if reader == "last":
            torch.testing.assert_close(choices["last", "stem"], through @ choices["enc", "stem"])
        else:
            torch.testing.assert_close(choices["heads", "enc"], through @ choices["last", "enc"])
    outputs = training.forward(images["image"], tuple(training.spec.sharing.tasks))
    losses = training.losses(outputs, images)
    training.backward(losses, None)
    for layer in LAYERS:
        gradient = training.learner.logits[layer].grad
        assert gradient is not None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=3, max_size=3))
def test_the_network_of_the_tree_gives_what_the_most_probable_choices_do(
    searched: tuple[Training, Tensor], numbers: list[list[int]]
) -> None:
    training, images = searched
    prefer(training, dict(zip(LAYERS, numbers, strict=True)))
    spec, model = training.presented()
    training.model.eval()
    model.eval()
    stem, enc, last = (torch.eye(3)[row] for row in numbers)
    through = {("enc", "stem"): stem, ("last", "enc"): enc, ("last", "stem"): enc @ stem}
    through |= {("heads", "last"): last, ("heads", "enc"): last @ enc}
    with torch.no_grad():
        wanted = run_choosing(training.model, training.spec, images, spec.sharing.tasks, through)
        found = model(images)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[task], wanted[task]) for task in found)
    at = {task: place for place, task in enumerate(spec.sharing.tasks)}
    for layer, row in zip(reversed(LAYERS), reversed(numbers), strict=True):
        at = {task: row[place] for task, place in at.items()}
        for one in at:
            for other in at:
                assert (other in spec.sharing.component(layer, one)) == (at[one] == at[other])


@pytest.fixture(scope="module")
def searched() -> tuple[Training, Tensor]:
    """A search after some steps, and images."""
    training, data = trained()
    return training, next(iter(batches(data.validation, 4, shuffle=False, device=CPU)))["image"]


def test_the_tree_that_is_taken_computes_the_same_and_goes_on_with_the_optimizer() -> None:
    training, data = trained()
    prefer(training, {"stem": [1, 1, 0], "enc": [2, 2, 1], "last": [0, 0, 1]})
    images = next(iter(batches(data.validation, 4, shuffle=False, device=CPU)))["image"]
    _, before = training.presented()
    moments = training.optimizer.state[training.model.get_submodule("last.depth").get_parameter("conv1.weight")]
    for _ in range(2):
        training.end_epoch({})
    assert training.learner.due(training.position)
    structural_phase(training, training.learner, data, Quiet())
    sharing = training.spec.sharing
    assert [sorted(map(sorted, sharing.partition(layer))) for layer in LAYERS] == [
        [["depth", "edge", "segment"]],
        [["depth", "edge", "segment"]],
        [["depth", "edge"], ["segment"]],
    ]
    before.eval()
    training.model.eval()
    with torch.no_grad():
        for task, wanted in before(images).items():
            assert torch.equal(training.model(images)[task], wanted)
    kept = training.model.get_submodule("last.depth+edge").get_parameter("conv1.weight")
    assert torch.equal(training.optimizer.state[kept]["exp_avg"], moments["exp_avg"])
    assert not training.learner.due(training.position)
    assert training.presented() == (training.spec, training.model)


def test_a_tree_that_is_trained_anew_begins_as_a_run_of_its_spec_does() -> None:
    training, data = trained(TEXT.replace("retrain = false", "retrain = true"))
    prefer(training, {"stem": [1, 1, 0], "enc": [2, 2, 1], "last": [0, 0, 1]})
    for _ in range(2):
        training.end_epoch({})
    structural_phase(training, training.learner, data, Quiet())
    fresh = build_model(training.spec).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in training.model.state_dict().items())
    assert not any(parameter in training.optimizer.state for parameter in training.model.parameters())


def test_a_balance_of_gradients_moves_the_choices_too() -> None:
    training, _ = trained(TEXT.replace("epochs = 4", "epochs = 4\n  balance = pcgrad"), steps=3)
    assert all(training.learner.logits[layer].detach().any() for layer in LAYERS)


def test_tasks_of_several_sources_are_refused() -> None:
    own = TEXT.replace("data scenes {", "data scenes small {").replace(
        "task depth {",
        "data scenes large {\n  input  = image(3, 16, 16)\n  images = 48\n}\n\ntask depth {\n  data = large",
    )
    own = own.replace("task edge {", "task edge {\n  data = small").replace(
        "task segment {", "task segment {\n  data = small"
    )
    with pytest.raises(MtlError) as raised:
        loads(own)
    assert [each.code for each in raised.value.diagnostics] == ["MTL505"]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("", "", []),
        ("choose  = 2", "choose  = 4", ["MTL932"]),
        ("choose  = 2", "choose  = 5", ["MTL501"]),
        ("choose  = 2", "choose  = 2\n  temperature = anneal(1, 2)", ["MTL202"]),
        ("structure ltb", "sharing {\n  stem..last = all\n}\n\nstructure ltb", ["MTL931"]),
    ],
)
def test_what_is_doubtful_or_wrong_is_said(old: str, new: str, codes: list[str]) -> None:
    report = check(Source("s.mtl", TEXT.replace(old, new)), pedantic=True)
    assert [each.code for each in report.diagnostics] == codes


@pytest.mark.soak
def test_a_run_that_was_killed_goes_on_to_the_same_bytes_in_the_search_and_after_it(tmp_path: Path) -> None:
    folders = []
    for name, epoch in (("whole", 0), ("search", 1), ("tree", 3)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "job.mtl").write_text(TEXT.replace("retrain = false", "retrain = true"), encoding="utf-8")
        action = f"if training.epoch == {epoch}: {KILLED}"
        done = disturbed("train", "job.mtl", "--quiet", "--device", "cpu", action=action, cwd=folder)
        assert done.returncode == (-9 if epoch else 0), done.stderr
        if epoch:
            done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=folder)
            assert done.returncode == 0, done.stderr
        folders.append(folder / "runs" / "job" / "1")
    whole, *others = folders
    for again in others:
        for name in ("spec.mtl", "best/mean.mtl", "best/mean.weights.safetensors"):
            assert (again / name).read_bytes() == (whole / name).read_bytes(), name
        for part in ("weights", "optimizer", "learner"):
            one, other = (
                load_file(run / "checkpoints" / "epoch-004" / f"{part}.safetensors") for run in (whole, again)
            )
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)
    spec, _ = load_run(whole)
    assert spec.sharing == load(whole / "spec.mtl").sharing


@pytest.mark.soak
def test_tasks_of_two_kinds_part(tmp_path: Path) -> None:
    pairs(tmp_path)
    start = PAIRS.index("structure split")
    block = "structure ltb {\n  choose = 20\n  lr = 0.02\n  temperature = anneal(10, 0.5)\n}\n"
    text = PAIRS[:start].replace("epochs    = 10", "epochs    = 21") + block
    (tmp_path / "pairs.mtl").write_text(text, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", "pairs.mtl", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evolved = (tmp_path / "runs" / "pairs" / "1" / "spec.mtl").read_text(encoding="utf-8")
    assert re.search(r"stem = a \+ b, c \+ d\n", evolved)
    assert re.search(r"last = a \+ b, ", evolved)
    assert re.search(r"meet\(epoch=20, layer=stem, tasks=c \+ d, probability=0\.\d+\)", evolved)
    assert "structural phase after epoch 20: now " in done.stdout


def test_the_best_epoch_of_a_search_is_a_network_with_a_spec_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "job.mtl").write_text(TEXT, encoding="utf-8")
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu"]
    done = disturbed(*arguments, action=f"if training.epoch == 1: {KILLED}", cwd=tmp_path)
    assert done.returncode == -9
    spec, model = load_run(tmp_path / "runs" / "job" / "1")
    own, _ = load_run(tmp_path / "runs" / "job" / "1", "depth")
    assert own.sharing == spec.sharing
    assert set(model(torch.zeros(1, 3, 16, 16))) == {"depth", "edge", "segment"}
