from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from mtsldsl.editing import load
from mtsldsl.runtime.data import FieldKind, Samples, batches, load_data
from mtsldsl.runtime.learning.reestimation import BATCHES, reestimate
from mtsldsl.runtime.run.best import load_run
from mtsldsl.runtime.run.events import Phase, Validation
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.session import Session
from tests.runtime.hand_built import images, make_model, make_spec

CPU = torch.device("cpu")
TASKS = ["p", "q"]


def samples(count: int) -> Samples:
    return Samples({"image": images(count, 5)}, {"image": FieldKind.IMAGE})


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.named_buffers()}


@pytest.mark.parametrize("count", [24, 8 * BATCHES + 40])
def test_statistics_are_the_mean_and_variance_over_the_first_batches_of_the_seed(count: int) -> None:
    spec, model = make_spec(TASKS), make_model(make_spec(TASKS))
    reestimate([(spec, model)], samples(count), CPU)
    order = batches(samples(count), 8, seed=spec.train.seed, shuffle=True, drop_last=True)
    seen = torch.cat([batch["image"] for batch in islice(order, BATCHES)])
    assert len(seen) == 8 * min(BATCHES, count // 8)
    for task in TASKS:
        convolution, norm = model.get_submodule(f"a.{task}")[:2]
        with torch.no_grad():
            values = convolution(seen).double().movedim(1, -1).reshape(-1, 4).numpy()
        np.testing.assert_allclose(norm.running_mean, values.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(norm.running_var, (values**2).mean(0) - values.mean(0) ** 2, rtol=1e-4)


def test_nothing_else_changes_and_a_second_time_changes_nothing() -> None:
    spec, model = make_spec(TASKS), make_model(make_spec(TASKS))
    model.train()
    model.get_submodule("b.p").eval()
    modes = {name: module.training for name, module in model.named_modules()}
    before, weights = buffers(model), {name: value.clone() for name, value in model.named_parameters()}
    random = torch.get_rng_state()
    reestimate([(spec, model)], samples(40), CPU)
    assert torch.equal(torch.get_rng_state(), random)  # dropout is off
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())
    once = buffers(model)
    for name, value in once.items():
        assert torch.equal(value, before[name]) == name.endswith("num_batches_tracked"), name
    reestimate([(spec, model)], samples(40), CPU)
    for name, value in buffers(model).items():
        torch.testing.assert_close(value, once[name], rtol=1e-5, atol=1e-6)


def test_the_loss_in_evaluation_is_then_that_of_the_batch_statistics() -> None:
    # one batch that holds everything: normalised by its own statistics or by the estimated ones, it is the same
    spec = make_spec(TASKS)
    spec = attrs.evolve(spec, data=attrs.evolve(spec.data, batch=16))
    model, data = make_model(spec), samples(16)
    reestimate([(spec, model)], data, CPU)
    model.eval()
    estimated = model(data.fields["image"])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    own = model(data.fields["image"])
    for task in TASKS:
        torch.testing.assert_close(estimated[task], own[task], rtol=1e-4, atol=1e-4)


def test_a_norm_that_is_not_run_and_one_that_tracks_nothing_stay_as_they_are() -> None:
    spec, model = make_spec(TASKS), make_model(make_spec(TASKS))
    model.idle = nn.BatchNorm2d(3)
    model.idle.running_mean.fill_(7.0)
    model.get_submodule("a.q")[1] = nn.BatchNorm2d(4, track_running_stats=False)
    reestimate([(spec, model)], samples(16), CPU)
    assert model.idle.running_mean.tolist() == [7.0] * 3
    assert model.idle.running_var.tolist() == [1.0] * 3
    assert model.get_submodule("a.q")[1].running_mean is None


@pytest.mark.soak
def test_after_a_merge_a_run_goes_on_with_statistics_of_the_network_that_it_has(tmp_path: Path) -> None:
    settings = {
        "data.images": 64,
        "data.batch": 8,
        "train.epochs": 2,
        "structure.phases": "[2]",
        "structure.threshold": -1,
        "structure.similarity": "cka(samples=16)",
        "structure.transfer": "average",
    }
    scenes = load(Path(__file__).parents[2] / "specs" / "scenes.mtl", settings)
    launch(Session.create(scenes, "scenes", tmp_path, "cpu", "quiet"))
    run = tmp_path / "scenes" / "1"
    events = list(read_events(run / "events.jsonl"))
    (phase,) = (event for event in events if isinstance(event, Phase))
    assert phase.evidence["merges"]
    # nothing was learned since the merge: what is kept is what was evaluated after it
    assert phase.after is not None
    assert phase.after["losses"] == [event.losses for event in events if isinstance(event, Validation)][-1]
    spec, model = load_run(run)
    kept = buffers(model)
    assert any(name.endswith("running_var") for name in kept)
    reestimate([(spec, model)], load_data(spec).train, CPU)
    for name, value in buffers(model).items():
        torch.testing.assert_close(value, kept[name], rtol=1e-4, atol=1e-5)


def test_a_norm_that_a_module_calls_by_keyword_is_estimated_as_any_other() -> None:
    class ByKeyword(nn.BatchNorm2d):
        def __call__(self, values: torch.Tensor) -> torch.Tensor:
            return super().__call__(input=values)

    spec, model = make_spec(TASKS), make_model(make_spec(TASKS))
    named = copy.deepcopy(model)
    norm = ByKeyword(4)
    norm.load_state_dict(named.get_submodule("a.q")[1].state_dict())
    named.get_submodule("a.q")[1] = norm
    for each in (model, named):
        reestimate([(spec, each)], samples(16), CPU)
    for one, other in zip(buffers(model).values(), buffers(named).values(), strict=True):
        assert torch.equal(one, other)


def test_a_norm_that_its_own_module_keeps_frozen_stays_as_it_is() -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Frozen:
            return super().train(False)

    spec, model = make_spec(TASKS), make_model(make_spec(TASKS))
    frozen = Frozen(4).train()
    frozen.running_mean.fill_(0.5)
    model.get_submodule("a.q")[1] = frozen
    reestimate([(spec, model)], samples(16), CPU)
    assert frozen.running_mean.tolist() == [0.5] * 4
    assert not frozen.training
