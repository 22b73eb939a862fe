"""`accumulate`: a step of several batches is that of one large batch, under every balance and with every loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mtsldsl.editing import loads
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS, Balance
from mtsldsl.runtime.learning.parts import Batch
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.step import Penalty, Step
from mtsldsl.runtime.learning.training import Training
from tests import prepared
from tests.runtime.looking_ahead import gradients
from tests.runtime.started import started

AVAILABLE = [rule.name for rule in BALANCES.rules if all(find_spec(each) for each in SOLVERS.get(rule.name, ()))]

OF_THE_LAST_BATCH = {"famo", "it_mtl"}
"""They look ahead on the last batch of a step alone."""

TEXT = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = row(6)
  batch = 8
}

task a {
  target = values(2)
  head   = linear(2)
  loss   = mse
}

task b {
  target = values(2)
  head   = linear(2)
  loss   = rmse
  weight = 0.5
}

task c {
  target = classes(3, ignore=9)
  head   = linear(3)
  loss   = class_balanced(beta=0.9)
}

task d {
  target = binary(1)
  head   = linear(1)
  loss   = balanced_bce
  weight = 2
}

backbone {
  stem = linear(8) | tanh
  last = linear(8) | tanh
}

train {
  epochs    = 2
  optimizer = sgd(lr=0.1)
}

sharing {
  stem = a + b, c + d
  last = a + b, c, d
}
"""


def training(balance: str, text: str = TEXT) -> Training:
    spec = loads(text, overrides={"train.balance": balance})
    made = started(spec, lambda named: torch.optim.SGD(named, lr=0.1, momentum=0.9))
    made.model.train()
    made.epoch_steps = 3
    return made


def samples(seed: int) -> dict[str, Tensor]:
    """48 rows: the first batches have no label of `a`, none has many of `c`."""
    generator = torch.Generator().manual_seed(seed)
    found = {
        "row": torch.randn(48, 6, generator=generator),
        "a": torch.randn(48, 2, generator=generator),
        "b": torch.randn(48, 2, generator=generator),
        "c": torch.randint(0, 3, (48,), generator=generator),
        "d": torch.randint(0, 2, (48, 1), generator=generator).float(),
    }
    found["a"][:20] = torch.nan
    found["b"][8:16, 0] = torch.nan
    found["c"][torch.rand(48, generator=generator) < 0.7] = 9
    return found


def one_by_one(made: Training, batches: Sequence[Batch]) -> None:
    """A step of each batch, as a train.py without `accumulate` makes it."""
    for batch in batches:
        gradients(made, batch)
        made.optimizer.step()


def steps(made: Training, batches: Sequence[Batch], accumulate: int) -> None:
    """Steps of several batches, as a generated train.py makes them."""
    for batch in made.in_steps(batches, accumulate):
        gradients(made, batch)
        if made.step_is_whole:
            made.optimizer.step()


def cut(whole: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    return [{name: each[at : at + size] for name, each in whole.items()} for at in range(0, 48, size)]


def weights(made: Training) -> Tensor:
    return torch.cat([each.detach().flatten() for each in made.model.parameters()])


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name not in OF_THE_LAST_BATCH])
def test_a_step_of_several_batches_is_that_of_one(name: str) -> None:
    """With labels that are missing in some of them, and losses that weigh classes or take a root."""
    one, several = training(name), training(name)
    torch.manual_seed(0)
    one_by_one(one, [samples(0), samples(1), samples(2)])
    torch.manual_seed(0)
    steps(several, [part for seed in range(3) for part in cut(samples(seed), 8)], 6)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert (one.steps, one.batches) == (several.steps, several.batches) == (3, 3)
    begun = training(name)
    assert (weights(one) - weights(begun)).abs().max() > 1e-3
    assert bool(one.weighed.steps) != one.balance.constant
    for step, found in one.weighed.steps.items():
        assert {task: float(each) for task, each in several.weighed.steps[step].items()} == pytest.approx(
            {task: float(each) for task, each in found.items()}, rel=1e-3, abs=1e-4
        )
    state, wanted = several.balance.state_dict(), one.balance.state_dict()
    assert state.keys() == wanted.keys()
    for key, value in state.items():
        assert torch.allclose(value.double(), wanted[key].double(), rtol=1e-3, atol=1e-4, equal_nan=True), key


OTHER_LOSSES = {
    "of several sums": {
        "values(2)\n  head   = linear(2)\n  loss   = rmse": "values(2, valid=positive)\n  head   = linear(2) | softplus\n  loss   = silog",
        "class_balanced(beta=0.9)": "dice",
        "balanced_bce": "dice(smooth=0.1)",
    },
    "of one": {
        "rmse": "huber(delta=0.5)",
        "class_balanced(beta=0.9)": "cross_entropy(weight=[1, 0.2, 3], label_smoothing=0.1)",
        "balanced_bce": "focal",
    },
}


@pytest.mark.parametrize("name", ["equal", "uncertainty", "pcgrad"])
@pytest.mark.parametrize("losses", OTHER_LOSSES)
def test_so_is_it_with_every_other_loss(losses: str, name: str) -> None:
    text = TEXT
    for written, instead in OTHER_LOSSES[losses].items():
        assert written in text
        text = text.replace(written, instead)
    one, several = training(name, text), training(name, text)
    one_by_one(one, [samples(0), samples(1), samples(2)])
    steps(several, [part for seed in range(3) for part in cut(samples(seed), 8)], 6)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert (weights(one) - weights(training(name, text))).abs().max() > 1e-3


@pytest.mark.parametrize("name", sorted(OF_THE_LAST_BATCH))
def test_what_looks_ahead_does_so_once_a_step(name: str) -> None:
    """Without a root and without missing labels, and with batches that are all the same, the last is as all are."""
    text = TEXT.replace("rmse", "mse")
    batch = {name: each[40:] for name, each in samples(0).items()}
    batch["c"] = torch.arange(8) % 3
    large = {name: torch.cat([each] * 6) for name, each in batch.items()}
    one, several = training(name, text), training(name, text)
    one_by_one(one, [large] * 4)
    steps(several, [batch] * 24, 6)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert several.weighed.steps.keys() == one.weighed.steps.keys()


@pytest.mark.parametrize("name", sorted(OF_THE_LAST_BATCH))
def test_that_is_on_its_last_batch(name: str) -> None:
    text = TEXT.replace("rmse", "mse")
    first, last = ({key: each[at : at + 8] for key, each in samples(0).items()} for at in (32, 40))
    looked = []
    made = training(name, text)
    observe = type(made.balance).observe

    def noted(balance: Balance, probe: Probe) -> None:
        with torch.no_grad():
            seen = probe.run()["a"]
            looked.append([bool(torch.equal(seen, made.model(batch["row"])["a"])) for batch in (first, last)])
        observe(balance, probe)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(made.balance), "observe", noted)
        steps(made, [first, last, last, first], 2)
    assert looked == [[False, True], [True, False]]


class Drawing(Penalty):
    """A learner with a loss of its own, by the samples that it sees."""

    def penalty(self, step: Step) -> Tensor:
        outputs = torch.cat([each.flatten(1) for each in step.outputs.values()], 1)
        return 0.1 * outputs.square().sum(1).mean()


@pytest.mark.parametrize("name", ["equal", "relative", "pcgrad"])
def test_a_loss_of_the_learner_counts_as_the_mean_over_the_batches(name: str) -> None:
    one, several = training(name), training(name)
    one.learner, several.learner = Drawing(), Drawing()
    one_by_one(one, [samples(0)])
    steps(several, cut(samples(0), 12), 4)
    without = training(name)
    one_by_one(without, [samples(0)])
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(weights(one), weights(without), rtol=1e-3, atol=1e-4)


def test_sets_of_tasks_that_share_nothing_add_up_as_well() -> None:
    one, several = training("equal"), training("equal")
    for made in (one, several):
        made.least = 0.0
    assert len(list(one.sets())) == 2
    one.batches = one.steps = 0
    one_by_one(one, [samples(0), samples(1)])
    steps(several, [part for seed in range(2) for part in cut(samples(seed), 12)], 4)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)


IMAGES = """\
mtl 1

data scenes {
  input  = image(3, 12, 12)
  images = 64
  batch  = 8
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = rmse
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | relu
  last = conv2d(6, 3) | relu
}

train {
  epochs = 2
}

sharing {
  stem..last = all
}
"""


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_fused_optimizer_gets_gradients_that_lie_in_memory_as_weights_do(name: str) -> None:
    """Those of convolutions do not lie as their shape says; a fused step reads both as they lie."""
    generator = torch.Generator().manual_seed(1)
    whole = {
        "image": torch.rand(8, 3, 12, 12, generator=generator).contiguous(memory_format=torch.channels_last),
        "depth": torch.rand(8, 1, 12, 12, generator=generator) + 0.1,
        "edge": torch.randint(0, 2, (8, 1, 12, 12), generator=generator).float(),
    }
    one, several = (
        started(
            loads(IMAGES, overrides={"train.balance": name}), lambda named: torch.optim.Adam(named, lr=1e-2, fused=True)
        )
        for _ in range(2)
    )
    for made in (one, several):
        made.model.train()
        made.epoch_steps = 2
    torch.manual_seed(0)
    one_by_one(one, [whole, whole])
    torch.manual_seed(0)
    steps(several, [{key: each[at::2] for key, each in whole.items()} for at in (0, 1)] * 2, 2)
    for made in (one, several):
        moved = [each for each in made.model.parameters() if each.grad is not None]
        assert moved
        assert all(each.grad.stride() == each.stride() for each in moved if each.grad is not None)
    assert name in OF_THE_LAST_BATCH or torch.allclose(weights(several), weights(one), rtol=1e-3, atol=1e-4)


def test_the_last_step_of_an_epoch_has_what_is_left() -> None:
    one, several = training("relative"), training("relative")
    large = samples(0)
    one_by_one(one, [{name: each[part] for name, each in large.items()} for part in (slice(32), slice(32, 48))])
    steps(several, cut(large, 8), 4)
    assert several.steps == 2
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)


def test_all_tasks_that_count_their_weight_take_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a call of torch.autograd.grad, one a task, would not be."""

    def grad(*_: object, **__: object) -> None:
        raise AssertionError("gradients are asked for one by one")

    made = training("equal", TEXT.replace("rmse", "mse"))
    made.epoch = 1  # in the first one the tasks' gradients are measured too
    monkeypatch.setattr(torch.autograd, "grad", grad)
    steps(made, cut(samples(0), 8), 3)
    assert made.steps == 2


def data(folder: Path, count: int = 140) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(count, 6)).astype(np.float32)
    fields = {
        "row": rows,
        "a": np.where(rows[:, 5:] > 0, rows[:, :2] * 2, np.nan),
        "b": np.tanh(rows[:, 2:4]),
        "c": (rows[:, 0] > 0).astype(np.int64),
    }
    fields["d"] = (rows[:, 1:2] > 0).astype(np.float32)
    np.savez(folder / "none.npz", **fields)


def test_a_run_of_several_batches_a_step_is_that_of_large_batches(tmp_path: Path) -> None:
    """`mtsldsl train` with 4 times 8 samples beside 32: the same losses epoch by epoch, the same steps."""
    data(tmp_path)
    spec = tmp_path / "parts.mtl"
    spec.write_text(TEXT)
    events = []
    for name, setting in (("parts", "train.accumulate=4"), ("whole", "data.batch=32")):
        words = "train", str(spec), "--runs", str(tmp_path / name), "--quiet", "--set", setting
        assert prepared.run("-m", "mtsldsl", *words, cwd=tmp_path).returncode == 0
        lines = (tmp_path / name / "parts" / "1" / "events.jsonl").read_text().splitlines()
        events.append([json.loads(line) for line in lines])
    parts, whole = ([each["losses"] for each in made if each["event"] == "epoch"] for made in events)
    assert len(parts) == 2
    for one, other in zip(parts, whole, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
