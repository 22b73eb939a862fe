"""Trainings whose balance looks ahead, driven as a generated train.py does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from mtsldsl.editing import loads
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.training import Training
from tests.runtime.started import CPU, started

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

sharing {
  stem = all
  last = a + b, c
}
"""


def training(balance: str, *replaced: tuple[str, str], rate: float = 0.1, precision: str = "fp32") -> Training:
    text = TEXT
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    spec = loads(text, overrides={"train.balance": balance, "train.precision": precision})
    made = started(spec, lambda named: torch.optim.SGD(named, lr=rate, momentum=0.9))
    made.model.train()
    return made


def batch_of(seed: int, without: Iterable[str] = ()) -> dict[str, Tensor]:
    """Random rows and labels; some tasks may have none."""
    generator = torch.Generator().manual_seed(seed)
    batch = {"row": torch.randn(16, 6, generator=generator)}
    for task in "abc":
        batch[task] = torch.randn(16, 2, generator=generator)
    for task in without:
        batch[task] = torch.full((16, 2), math.nan)
    return batch


def gradients(made: Training, batch: Mapping[str, Tensor], sets: Sequence[Sequence[str]] | None = None) -> None:
    """Those of a step, of all tasks at once or of one set after the other; the step is counted."""
    for tasks in made.sets() if sets is None else map(tuple, sets):
        with autocast(made.spec.train.precision, CPU):
            outputs = made.forward(batch[made.spec.data.input], tuple(tasks))
        losses = made.losses(outputs, batch)
        penalty = made.penalty(batch, outputs, losses)
        made.zero_grad(tuple(tasks))
        made.backward(losses, penalty)


def learn(made: Training, epochs: Iterable[int], without: Mapping[int, Iterable[str]] = {}) -> None:
    """Epochs of three steps; in steps named by their number some tasks have no label."""
    for epoch in epochs:
        for step in range(3 * epoch, 3 * epoch + 3):
            gradients(made, batch_of(step, without.get(step, ())))
            made.optimizer.step()
        made.end_epoch({"a": 1.0, "b": 0.5, "c": 2.0})
