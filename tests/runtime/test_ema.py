"""`ema`: a run trains as it does without, and what it evaluates and keeps is the running mean of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from mtsldsl import load, load_run, loads
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.ema import average_of, update
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.learning.learned import OptimizerFactory
from mtsldsl.runtime.learning.trained import SchedulerFactory
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.averaging import mean
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.structure.learner import Carry, Learner, Prepared
from mtsldsl.runtime.structure.phase import structural_phase
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Copy
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.runtime.in_process import TASKS, Unreported, events, of, rows
from tests.runtime.started import started
from tests.runtime.test_phase import Hesitant, Record

TEXT = (
    TASKS
    + """
backbone {
  stem = linear(8) | batch_norm | tanh
}

train {
  epochs     = 3
  accumulate = 2
  optimizer  = adam(lr=0.05)
  keep       = last
  ema        = 0.9
}
"""
)
PLAIN = TEXT.replace("  ema        = 0.9\n", "")
SPEC = loads(TEXT)
MERGING = "\nstructure mtsl {\n  phases = [2]\n  threshold = 0.01\n}\n"


class Seen(Unreported):
    """A run whose network is looked at after every step."""

    def start(
        self,
        model_class: type[nn.Module],
        learner: Learner,
        make_optimizer: OptimizerFactory,
        make_scheduler: SchedulerFactory,
    ) -> Training:
        made = super().start(model_class, learner, make_optimizer, make_scheduler)
        self.training, self.states = made, list[dict[str, Tensor]]()
        self.handle = register_optimizer_step_post_hook(lambda *_: self.states.append(copied(made.model)))
        return made


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def seen(folder: Path, text: str) -> Seen:
    """A run over rows, `runs/job/1` in the folder."""
    folder.mkdir(exist_ok=True)
    rows(folder)
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    session = Seen.create(load(folder / "job.mtl"), "job", folder / "runs", "cpu", "quiet")
    assert isinstance(session, Seen)
    try:
        Code.of(session.spec).run().main(session)
    finally:
        session.handle.remove()
    session.close()
    return session


def test_what_is_kept_is_the_running_mean_by_hand_and_training_is_what_it_is_without(tmp_path: Path) -> None:
    one, other = seen(tmp_path / "one", TEXT), seen(tmp_path / "other", PLAIN)
    assert len(one.states) == len(other.states) == 15
    assert other.training.averaged is None
    by_hand: dict[str, Tensor] = {name: value.double() for name, value in one.states[0].items()}
    for state in one.states[1:]:
        for name, value in state.items():
            by_hand[name] = 0.9 * by_hand[name] + 0.1 * value.double()
    kept = load_file(one.folder.best / "mean.weights.safetensors")
    counts = {name for name in kept if name.endswith("num_batches_tracked")}
    assert counts
    for name, value in kept.items():
        wanted = one.states[-1][name] if name in counts else by_hand[name].to(value)
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-6)
    assert not all(torch.allclose(value, one.states[-1][name]) for name, value in kept.items())

    for left, right in zip(one.states, other.states, strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left)
    told = [events(session.folder.path) for session in (one, other)]
    assert [each["losses"] for each in of(told[0], "epoch")] == [each["losses"] for each in of(told[1], "epoch")]
    spec, network = load_run(one.folder.path)
    found = evaluate(network, spec, load_data(one.spec).validation, torch.device("cpu"))
    last = of(told[0], "validation")[-1]
    assert last["losses"] == found.losses
    assert last["losses"] != of(told[1], "validation")[-1]["losses"]
    assert not any("average" in path.name for path in other.folder.path.rglob("*.safetensors"))


class Merging(Hesitant):
    """Shares the stem, and leaves its new copy as it is or sets the weights of one layer of it."""

    def __init__(self, takes: bool, sets: float | None) -> None:
        super().__init__(takes)
        self.sets = sets
        self.reached: list[Evaluation] = []

    def prepare(self, carry: Carry, view: View) -> Prepared:
        if self.sets is not None:
            (copy,) = carry.made
            nn.init.constant_(next(carry.new_model.get_submodule(copy.name).parameters()), self.sets)
        return super().prepare(carry, view)

    def accept(self, before: Evaluation, after: Evaluation) -> bool:
        self.reached += [before, after]
        return super().accept(before, after)


def phase(folder: Path, learner: Merging, monkeypatch: pytest.MonkeyPatch) -> tuple[Training, dict[str, Tensor], Any]:
    """A training in which tasks come to share the stem, or not: with its running mean before, and its data."""
    rows(folder)
    monkeypatch.chdir(folder)
    spec = loads(TEXT)
    data = load_data(spec)
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    generator = torch.Generator().manual_seed(0)
    assert training.averaged is not None
    for _ in range(3):
        for value in training.model.parameters():
            value.data += torch.randn(value.shape, generator=generator) / 9
        training.average()
    former = copied(training.averaged.module)
    structural_phase(training, learner, data, Record())
    return training, former, data


@pytest.mark.parametrize("sets", [None, 0.25])
def test_a_merged_copy_has_the_mean_of_its_members_means_but_what_the_learner_made_of_it(
    sets: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Merging(True, sets)
    training, former, data = phase(tmp_path, learner, monkeypatch)
    assert training.averaged is not None
    assert int(training.averaged.n_averaged) == 3
    now = training.averaged.module.state_dict()
    assert now.keys() == training.model.state_dict().keys() != former.keys()
    merged = Copy("stem", frozenset("ab")).name
    learned = dict(training.model.named_parameters())
    assert {name for name in learned if name.startswith(f"{merged}.")}
    for name, value in now.items():
        if name in former:
            assert torch.equal(value, former[name])
        elif name in learned:
            rest = name.removeprefix(f"{merged}.")
            wanted = mean([former[f"{Copy('stem', frozenset(task)).name}.{rest}"] for task in "ab"])
            made = sets is not None and rest == next(iter(training.model.get_submodule(merged).named_parameters()))[0]
            assert torch.equal(value, torch.full_like(value, 0.25) if made else wanted)
    before, after = learner.reached
    network, cpu = training.network, torch.device("cpu")
    assert network is training.averaged.module
    assert after.losses == evaluate(network, training.spec, data.validation, cpu).losses
    assert after.losses != evaluate(training.model, training.spec, data.validation, cpu).losses
    assert before.losses != after.losses
    training.average()  # it goes on with the evolved network


def test_a_phase_that_is_refused_leaves_the_mean_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, former, _ = phase(tmp_path, Merging(False, None), monkeypatch)
    now = training.network.state_dict()
    assert now.keys() == former.keys()
    assert all(torch.equal(now[name], former[name]) for name in former)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    text = TEXT + MERGING
    whole = seen(tmp_path / "whole", text).folder.path
    assert any(each["accepted"] for each in of(events(whole), "phase"))
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(text, encoding="utf-8")
    killed = disturbed(
        "train", "job.mtl", "--quiet", "--device", "cpu", action=f"if training.epoch == 2: {KILLED}", cwd=tmp_path
    )
    assert killed.returncode == -9
    done = prepared.run("-m", "mtsldsl", "train", "--quiet", "--resume", "runs/job/1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "runs/job/1"
    for part in ("weights", "average", "optimizer"):
        one, other = (load_file(each / f"checkpoints/epoch-003/{part}.safetensors") for each in (whole, again))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    kept = [(each / "best/mean.weights.safetensors").read_bytes() for each in (whole, again)]
    assert kept[0] == kept[1]


@given(st.floats(0.01, 0.99), st.lists(st.floats(-9, 9), min_size=1, max_size=6))
def test_the_first_step_is_the_mean_of_itself_and_each_further_one_has_the_rest(
    decay: float, values: list[float]
) -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    average = average_of(model, attrs.evolve(SPEC, train=attrs.evolve(SPEC.train, ema=decay)))
    assert average is not None
    wanted = values[0]
    for number, value in enumerate(values):
        wanted = decay * wanted + (1 - decay) * value if number else value
        for tensor in model.state_dict().values():
            tensor.fill_(value)
        update(average, model)
    for name, tensor in average.module.state_dict().items():
        expected = values[-1] if name.endswith("num_batches_tracked") else wanted
        torch.testing.assert_close(tensor, torch.full_like(tensor, expected), rtol=1e-4, atol=1e-4)


def test_without_it_a_spec_is_what_it_was() -> None:
    assert digest(loads(PLAIN)) == digest(loads(PLAIN.replace("keep", "ema = none\n  keep"))) != digest(loads(TEXT))
