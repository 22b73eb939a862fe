"""Looking ahead by the optimizer's own step: against a real step of a real copy of network and optimizer."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from mtsldsl.language.optimization import OPTIMIZERS
from mtsldsl.runtime.learning.next_step import NextStep
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.training import Training
from tests.methods.transference.looking import (
    TEXT,
    batch_of,
    bits,
    losses_by_hand,
    make_step,
    optimizer_of,
    probe_of,
    state_of,
    training,
)

EVERY = (
    "sgd(lr=0.1)",
    "sgd(lr=0.1, weight_decay=0.3)",
    "sgd(lr=0.1, momentum=0.9)",
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.1)",
    "sgd(lr=0.1, momentum=0.8, dampening=0.5)",
    "adam(lr=0.02)",
    "adam(lr=0.02, betas=[0.5, 0.7], amsgrad=true, weight_decay=0.1)",
    "adamw(lr=0.02, weight_decay=0.5)",
    "radam(lr=0.02)",
    "radam(lr=0.02, weight_decay=0.5, decoupled_weight_decay=true)",
)


def test_every_optimizer_of_the_language_is_among_them() -> None:
    assert {each.partition("(")[0] for each in EVERY} == {rule.name for rule in OPTIMIZERS.rules}


def really(
    made: Training, probe: Probe, rows: torch.Tensor, labels: dict[str, torch.Tensor]
) -> dict[tuple[str, str], float]:
    """What each task's loss comes to by a step along each task's gradient, each on copies of its own."""
    found = {}
    for donor in probe.losses:
        model, optimizer = copy.deepcopy((made.model, made.optimizer))
        before = losses_by_hand(model, probe.random, rows, labels)
        optimizer.zero_grad()
        before[donor].backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if not name.startswith(("stem", "last.a+b")):
                parameter.grad = None
        optimizer.step()
        after = losses_by_hand(model, probe.random, rows, labels)
        found |= {(donor, each): 1 - after[each].item() / before[each].item() for each in probe.losses}
    return found


@pytest.mark.parametrize("steps", [0, 1, 7])
@pytest.mark.parametrize("optimizer", EVERY)
def test_the_gain_is_that_of_a_real_step_of_a_real_copy(optimizer: str, steps: int) -> None:
    made = training(train__optimizer=optimizer)
    for seed in range(steps):
        make_step(made, *batch_of(seed))
    rows, labels = batch_of(50)
    torch.manual_seed(3)
    probe = probe_of(made, rows, labels)
    before = bits(state_of(made))
    found = probe.gains_of_optimizer()
    assert bits(state_of(made)) == before
    wanted = really(made, probe, rows, labels)
    assert found.keys() == wanted.keys()
    for pair, value in wanted.items():
        assert found[pair] == pytest.approx(value, rel=1e-9, abs=1e-12), pair
    without_moments = "decay" not in optimizer and optimizer.startswith(("sgd", "radam"))
    plain = optimizer == "sgd(lr=0.1)" or (steps == 0 and without_moments)
    assert plain == (found["a", "b"] == pytest.approx(probe.gains()["a", "b"], rel=1e-9))


def test_a_plain_optimizer_makes_the_plain_step() -> None:
    made = training()
    probe = probe_of(made, *batch_of(0))
    assert probe.gains_of_optimizer() == pytest.approx(probe.gains(), rel=1e-9)


def test_each_group_of_parameters_has_its_own_options() -> None:
    made = training(train__optimizer="adamw(lr=0.02)")
    named = dict(made.model.named_parameters())
    first = [each for each in named if each.startswith("stem")]
    options = {"lr": 0.3, "weight_decay": 0.0, "betas": (0.1, 0.2)}
    others = [each for name, each in named.items() if name not in first]
    groups = [{"params": [named[name] for name in first], **options}, {"params": others}]
    made.optimizer = optimizer_of(made.spec.train.optimizer, groups)
    for seed in range(3):
        make_step(made, *batch_of(seed))
    rows, labels = batch_of(50)
    probe = probe_of(made, rows, labels)
    assert probe.gains_of_optimizer() == pytest.approx(really(made, probe, rows, labels), rel=1e-9)


@pytest.mark.parametrize("factor", [1, -1])
def test_momentum_alone_can_make_every_gain_positive_or_negative(factor: int) -> None:
    text = TEXT.replace("dropout(0.5) | ", "").replace("last = a + b, c", "last = all")
    made = training(text, train__optimizer="sgd(lr=0.01, momentum=0.9)")
    rows, labels = batch_of(0)
    make_step(made, rows, labels)
    probe = probe_of(made, rows, labels)
    shared = [each for name, each in made.model.named_parameters() if not name.startswith("heads")]
    gradients = torch.autograd.grad(sum(probe.losses.values()), shared, retain_graph=True)
    for parameter, gradient in zip(shared, gradients, strict=True):
        made.optimizer.state[parameter]["momentum_buffer"] = factor * 5 * gradient
    gains = probe.gains_of_optimizer()
    assert all(factor * gain > 0 for gain in gains.values()), gains
    assert all(probe.gains()[each, each] > 0 for each in "abc")


def test_a_parameter_without_a_gradient_stays_whatever_its_momentum() -> None:
    made = training(train__optimizer="sgd(lr=0.1, momentum=0.9)")
    make_step(made, *batch_of(0))
    named = dict(made.model.named_parameters())
    moved = NextStep(made.optimizer, named).along({"stem.a+b+c.norm1.bias": torch.zeros(8, dtype=torch.float64)})
    assert moved.keys() == {"stem.a+b+c.norm1.bias"}
    assert not torch.equal(moved["stem.a+b+c.norm1.bias"], named["stem.a+b+c.norm1.bias"])


IMAGES = """\
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

backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  last = conv2d(6, 3) | relu
}

train {
  epochs    = 1
  optimizer = adam(lr=0.01)
}

structure transference {}

sharing {
  stem..last = all
}
"""


def test_the_step_of_a_fused_optimizer_is_right_for_weights_of_any_layout_in_memory() -> None:
    made = training(IMAGES)
    made.model.float()
    generator = torch.Generator().manual_seed(0)
    layouts = (torch.contiguous_format, torch.channels_last)
    weight = made.model.get_parameter("last.depth+edge.conv1.weight")
    assert weight.stride() == weight.to(memory_format=torch.channels_last).stride() != weight.contiguous().stride()
    moved = []
    gradient = torch.randn(weight.shape, generator=generator)
    for layout in layouts:
        given = gradient.to(memory_format=layout)
        moved.append(NextStep(made.optimizer, {"w": weight}).along({"w": given})["w"])
    assert torch.equal(*moved)
    model, optimizer = copy.deepcopy((made.model, made.optimizer))
    real = model.get_parameter("last.depth+edge.conv1.weight")
    real.grad = gradient.to(memory_format=torch.channels_last)
    optimizer.step()
    assert torch.equal(moved[0], real)
    assert all(one != other for one, other in pairwise(each.stride() for each in (weight.contiguous(), weight)))
