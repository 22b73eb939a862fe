"""Specs of small networks of alternatives, and trainings of them."""

from __future__ import annotations

import torch

from mtsldsl import loads
from mtsldsl.ir import Spec
from mtsldsl.methods.allocation.learner import Allocation
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class

CPU = torch.device("cpu")

TEXT = """\
mtl 1

data arrays small {{
  path  = "small.npz"
  input = row(6)
  batch = 8
}}

data arrays large {{
  path  = "large.npz"
  input = row(6)
  batch = 4
}}

task a {{
  data   = small
  target = classes(3)
  head   = linear(outputs)
}}

task b {{
  data   = small
  target = values(2)
  head   = linear(outputs)
}}

task c {{
  data   = large
  target = classes(2)
  head   = linear(outputs)
}}

backbone {{
  stem = linear(5) | relu
  mix1 = parallel(wide=linear(8) | relu | linear(5), thin=linear(5), skip=identity)
  norm = layer_norm | relu
  mix2 = parallel(unit=linear(5) | relu, copies=4)
}}

train {{
  epochs   = {epochs}
  sampling = round_robin
  seed     = 3
}}

structure allocation {{
  on = {on}
  lr = {lr}
  {more}
}}

sharing {{
  stem = all
  norm = all
}}
"""


def spec(more: str = "", *, epochs: int = 4, on: float = 0.5, lr: float = 0.01, sharing: str = "") -> Spec:
    """Two tasks of one data block and one of another, two layers of alternatives; further keys of `structure`, and
    further lines of `sharing`."""
    text = TEXT.format(epochs=epochs, on=on, lr=lr, more=more)
    return loads(text.replace("  norm = all\n", f"  norm = all\n{sharing}"))


def training(given: Spec) -> tuple[Training, Allocation]:
    """A training of the spec on the CPU, with plain gradient descent for the network."""
    assert given.structure is not None
    learner = Allocation(given.structure.settings)
    made = Training.start(
        given, model_class(given), learner, lambda named: torch.optim.Adam(named, lr=0.01), lambda _: None, CPU
    )
    return made, learner
