"""Looking ahead: gains against losses computed by hand, and that nothing is changed by it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import attrs
import pytest
import torch
from torch import Tensor

from mtsldsl import loads
from mtsldsl.methods.transference.learner import Transference
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.random_state import random_state
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class

CPU = torch.device("cpu")
TEXT = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = row(6)
}

task [a, b, c] {
  target = values(2)
  head   = dropout(0.5) | linear(outputs)
  loss   = mse
}

backbone {
  stem = linear(8) | batch_norm | relu
  last = linear(8) | relu
}

train {
  epochs    = 2
  optimizer = sgd(lr=0.1)
}

structure transference {
  every = 3
}

sharing {
  stem = all
  last = a + b, c
}
"""


def training(text: str = TEXT) -> Training:
    spec = loads(text)
    assert spec.structure is not None
    learner = Transference(spec.structure.settings)
    made = Training.start(
        spec,
        model_class(spec),
        learner,
        lambda named: torch.optim.SGD(named, lr=0.1, momentum=0.9),
        lambda _: None,
        CPU,
    )
    made.model.double()
    made.model.train()
    return made


def batch_of(seed: int, **without: int) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(16, 6, generator=generator, dtype=torch.float64)
    labels = {task: torch.randn(16, 2, generator=generator, dtype=torch.float64) for task in "abc"}
    for task in without:
        labels[task] = torch.full((16, 2), math.nan, dtype=torch.float64)
    return rows, labels


def probe_of(made: Training, rows: Tensor, labels: Mapping[str, Tensor], rate: float = 0.1) -> Probe:
    """A look ahead from a step on a batch."""
    random = random_state(CPU)
    outputs = made.forward(rows, ("a", "b", "c"))
    losses = made.losses(outputs, labels)
    made_of = made._probe(rows, random, labels, outputs, losses)
    return attrs.evolve(made_of, rate=rate)


def test_the_gain_is_that_of_a_step_made_by_hand() -> None:
    made = training()
    rows, labels = batch_of(0)
    torch.manual_seed(3)
    again = probe_of(made, rows, labels)
    gains = again.gains()
    assert gains.keys() == {(one, other) for one in "abc" for other in "abc"}
    # The same random numbers decide dropout before and after.
    by_hand = copy.deepcopy(made.model)
    torch.set_rng_state(again.random)
    losses = {task: (output - labels[task]).square().mean() for task, output in by_hand(rows).items()}
    for donor in "abc":
        gradients = torch.autograd.grad(losses[donor], list(by_hand.parameters()), retain_graph=True, allow_unused=True)
        moved = copy.deepcopy(made.model)
        with torch.no_grad():
            for (name, parameter), gradient in zip(moved.named_parameters(), gradients, strict=True):
                if gradient is not None and name.startswith(("stem", "last.a+b")):
                    parameter -= 0.1 * gradient
        torch.set_rng_state(again.random)
        after = {task: (output - labels[task]).square().mean() for task, output in moved(rows).items()}
        for recipient in "abc":
            wanted = 1 - after[recipient].item() / losses[recipient].item()
            assert gains[donor, recipient] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_nothing_is_changed_by_it() -> None:
    made = training()
    rows, labels = batch_of(0)
    probe = probe_of(made, rows, labels)
    state = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    random = torch.get_rng_state()
    probe.gains()
    probe.first_order()
    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert all(parameter.grad is None for parameter in made.model.parameters())


def test_tasks_that_are_the_same_help_each_other_as_they_help_themselves() -> None:
    made = training(TEXT.replace("dropout(0.5) | ", ""))
    rows, labels = batch_of(0)
    labels["b"] = labels["a"]
    made.model.get_submodule("heads.b").load_state_dict(made.model.get_submodule("heads.a").state_dict())
    gains = probe_of(made, rows, labels).gains()
    assert gains["a", "b"] == gains["a", "a"] > 0
    assert gains["b", "a"] == gains["b", "b"] == gains["a", "a"]


def test_tasks_that_want_the_opposite_harm_each_other() -> None:
    made = training()
    rows, labels = batch_of(0)
    probe = probe_of(made, rows, labels, rate=1e-4)

    def opposite(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"a": losses["a"], "b": 5 - losses["a"]}

    of = probe.losses_of
    gains = attrs.evolve(probe, losses=opposite(probe.losses), losses_of=lambda outputs: opposite(of(outputs))).gains()
    assert gains["a", "a"] > 0 > gains["a", "b"]
    assert gains["b", "b"] > 0 > gains["b", "a"]


def test_the_first_order_is_off_by_the_square_of_the_rate() -> None:
    made = training()
    rows, labels = batch_of(2)
    torch.manual_seed(0)
    probe = probe_of(made, rows, labels)
    off = []
    for rate in (1e-3, 5e-4):
        at = attrs.evolve(probe, rate=rate)
        exact, first = at.gains(), at.first_order()
        assert exact.keys() == first.keys()
        off.append(sum(abs(exact[pair] - first[pair]) for pair in exact))
    assert off[0] / off[1] == pytest.approx(4, rel=0.05)


def test_a_task_that_shares_nothing_with_another_does_nothing_to_it() -> None:
    made = training(TEXT.replace("stem = all\n", "stem = a + b, c\n"))
    rows, labels = batch_of(0)
    probe = probe_of(made, rows, labels)
    for gains in (probe.gains(), probe.first_order()):
        assert gains["a", "c"] == gains["c", "a"] == gains["c", "c"] == 0
        assert gains["a", "b"] != 0


def test_a_task_without_a_label_neither_gives_nor_takes() -> None:
    made = training()
    rows, labels = batch_of(0, b=1)
    gains = probe_of(made, rows, labels).gains()
    assert gains.keys() == {(one, other) for one in "ac" for other in "ac"}


def test_it_looks_ahead_every_so_many_steps_and_tells_the_mean_of_an_epoch() -> None:
    made = training()
    assert isinstance(made.learner, Transference)
    steps = [step for step in range(10) if made.learner.observing(attrs.evolve(made.position, step=step))]
    assert steps == [0, 3, 6, 9]
    rows, labels = batch_of(0)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        probe = probe_of(made, rows, labels)
        made.learner.observe(probe)
        found.append(probe.gains())
    means = (made.learner.sums / made.learner.counts).tolist()
    for row, recipient in enumerate("abc"):
        for column, donor in enumerate("abc"):
            assert means[row][column] == pytest.approx(sum(each[donor, recipient] for each in found) / 2)
