"""Trainings of tiny networks, and looks ahead from their steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtsldsl import loads
from mtsldsl.ir import Spec
from mtsldsl.language import Named
from mtsldsl.language.optimization import TORCH_OPTIMIZERS
from mtsldsl.methods.transference.learner import Transference
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.probe import Gains, Probe
from mtsldsl.runtime.learning.random_state import random_state
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.structure.learner import Learner
from tests.runtime.started import CPU

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

LOOKS: Mapping[str, Callable[[Probe], Gains]] = {
    "sgd": Probe.gains,
    "optimizer": Probe.gains_of_optimizer,
    "gradient": Probe.first_order,
}
"""What each `step` takes of a probe."""


def optimizer_of(named: Named, parameters: NamedParameters | Iterable[dict[str, object]]) -> torch.optim.Optimizer:
    """The optimizer of a spec, fused where it can be, as generated code makes it."""
    made = TORCH_OPTIMIZERS[named.name]
    fused = {"fused": True} if made.fused else {}
    optimizer: torch.optim.Optimizer = getattr(torch.optim, made.name)(parameters, **named.arguments, **fused)
    return optimizer


def training(text: str = TEXT, learner: Learner | None = None, **settings: str) -> Training:
    """A training of the spec that is about to make its first step, by default in double precision."""
    spec = loads(text, overrides={key.replace("__", "."): value for key, value in settings.items()})
    assert spec.structure is not None
    made = Training.start(
        spec,
        model_class(spec),
        learner or Transference(spec.structure.settings),
        lambda named: optimizer_of(spec.train.optimizer, named),
        lambda _: None,
        CPU,
    )
    if spec.train.precision == "fp32":
        made.model.double()
    made.model.train()
    return made


def batch_of(seed: int, without: str = "", spec: Spec | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Random samples, with labels of all tasks but those `without`."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(16, *(spec.data.shape if spec else (6,)), generator=generator, dtype=torch.float64)
    shapes = {task.name: task.head.shape for task in spec.tasks} if spec else dict.fromkeys("abc", (2,))
    labels = {task: torch.randn(16, *shape, generator=generator, dtype=torch.float64) for task, shape in shapes.items()}
    return rows, {task: torch.full_like(each, math.nan) if task in without else each for task, each in labels.items()}


def probe_of(made: Training, rows: Tensor, labels: Mapping[str, Tensor]) -> Probe:
    """A look ahead from a step on a batch."""
    random = random_state(CPU)
    with autocast(made.spec.train.precision, CPU):
        outputs = made.forward(rows, tuple(labels))
    losses = made.losses(outputs, labels)
    return made._probe(rows, random, labels, outputs, losses)


def make_step(
    made: Training, rows: Tensor, labels: Mapping[str, Tensor], served: tuple[str, ...] | None = None
) -> None:
    """A step as a generated train.py makes it."""
    for tasks in made.sets(served):
        with autocast(made.spec.train.precision, CPU):
            outputs = made.forward(rows, tasks)
        losses = made.losses(outputs, labels)
        penalty = made.penalty(labels, outputs, losses)
        made.require_finite(losses, penalty)
        made.zero_grad(tasks)
        made.backward(losses, penalty)
    made.optimizer.step()


def losses_by_hand(model: nn.Module, random: Tensor, rows: Tensor, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The squared errors with those random numbers."""
    torch.set_rng_state(random)
    return {task: (output - labels[task]).square().mean() for task, output in model(rows).items()}


def state_of(made: Training) -> dict[str, Any]:
    """All that a look ahead must leave as it is."""
    return {
        "network": made.model.state_dict(),
        "gradients": {name: each.grad for name, each in made.model.named_parameters()},
        "optimizer": made.optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }


def bits(value: object) -> object:
    """The same with the bytes of each tensor."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape, value.detach().numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [bits(each) for each in value]
    return value
