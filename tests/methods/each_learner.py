"""A small spec for every structure learner, of all that a run may have beside it: two inputs, a layer that is frozen and
one with a rate of its own, steps of several batches, a running mean, a task that stops, and one whose head begins with
an earlier layer than those of the others. A new learner has a line here, and is held by the tests that go over all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtsldsl import load
from mtsldsl.methods.registry import METHODS
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.loss_scale import LossScale
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.folder import RunFolder
from tests.runtime.in_process import Unreported

BLOCKS = {
    "mtsl": "phases = [AT]\n  threshold = 0\n  align = 0.1\n  similarity = cka(samples=40)",
    "allocation": "on = 0.6\n  lr = 0.5\n  budget = 0.4\n  disconnection_weight = 0.1\n  write = [AT]",
    "transference": "every = 2\n  groups = 2\n  epochs = AT",
    "split": "phases = [AT]\n  every = 1\n  patience = 1\n  threshold = 0.9",
    "branch": "at = AT\n  similarity = rsa(samples=40)\n  budget = 0.85",
    "ltb": "choose = AT\n  lr = 0.5",
    "ladder": "budgets = [0.6]",
}
"""What stands in its block `structure`: it decides at the end of the epoch AT."""

TOGETHER = ("transference", "split")
"""Those that begin with layers that all share."""

TEXT = """\
mtl 1

data arrays {
  path  = "visits.npz"
  input = [image(1, 4, 4), row(12)]
  batch = 8
}

task a {
  target = values(2)
  head   = linear(2)
  loss   = mse
}

task b {
  target = values(1)
  head   = linear(1)
  loss   = mse
}

task early {
  target = values(1)
  field  = chance
  head   = both | concat(row) | linear(1)
  loss   = mse
  stop   = patience(1)
}

backbone {
  seen = conv2d(2, 3, stride=2) | batch_norm | relu | flatten
  wide = row | linear(6) | tanh
  both = seen | concat(wide) | linear(8) | batch_norm | tanh
  last = LAST
}

train {
  epochs     = EPOCHS
  accumulate = 2
  optimizer  = adam(lr=0.02)
  keep       = last
  ema        = 0.5
}

tuning {
  seen  = frozen
  both  = rate(0.5)
  early = rate(20)
}

structure METHOD {
  BLOCK
}
"""


def text(method: str, at: int = 1, epochs: int = 2) -> str:
    """The spec of a learner that decides at the end of an epoch of so many."""
    assert BLOCKS.keys() == METHODS.keys(), "each method has a line in BLOCKS"
    last = "parallel(unit=linear(8) | tanh, copies=3)" if method == "allocation" else "linear(8) | tanh"
    balance = "  balance    = relative\n" if method == "ladder" else ""
    found = (
        TEXT.replace("  keep       = last\n", f"{balance}  keep       = last\n")
        .replace("LAST", last)
        .replace("METHOD", method)
        .replace("BLOCK", BLOCKS[method])
    )
    found = found.replace("AT\n", f"{at}\n").replace("AT]", f"{at}]").replace("EPOCHS", str(epochs))
    return f"{found}\nsharing {{\n  seen..last = all\n}}\n" if method in TOGETHER else found


def visits(folder: Path) -> None:
    """`visits.npz` with 72 samples, and targets that depend on them a little, but for one that nobody can learn."""
    chance = np.random.default_rng(0)
    image = chance.random((72, 1, 4, 4), dtype=np.float32)
    row = chance.normal(size=(72, 12)).astype(np.float32)
    a, b = row[:, :2] + image.mean((1, 2, 3))[:, None], row[:, 2:3] * row[:, 3:4]
    luck = chance.normal(size=(72, 1)).astype(np.float32)
    np.savez(folder / "visits.npz", image=image, row=row, a=a.astype(np.float32), b=b.astype(np.float32), chance=luck)


class EndedError(Exception):
    """A run that a test ends, as a kill would, with the checkpoint of its epoch."""


class Ending(Unreported):
    """A run in this process that ends after an epoch."""

    after: int | None = None

    def end_epoch(self, training: Training, validation: Evaluation) -> None:
        super().end_epoch(training, validation)
        if training.epoch == self.after:
            raise EndedError


def run(
    folder: Path,
    text: str,
    ends: Sequence[int] = (),
    ended: Callable[[], object] = lambda: None,
    until: int | None = None,
) -> RunFolder:
    """The run of a text over `visits.npz`, `runs/job/1`: ended after each of these epochs, and gone on with from there
    as another process would, after what is then done; at last ended `until` then, or by itself."""
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    session = Ending.create(load(folder / "job.mtl"), "job", folder / "runs", "cpu", "quiet")
    for end in (*ends, until):
        assert isinstance(session, Ending)
        session.after = end
        try:
            Code.of(session.spec).run().main(session)
        except EndedError:
            session.close()
            if end == until:
                return session.folder
            ended()
            session = Ending.resume(session.folder.path, "cpu", "quiet")
    session.close()
    return session.folder


def enlarged_or_not(folder: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], Any]) -> list[Any]:
    """What is made in a folder with gradients as they are, and in another one with gradients enlarged as for fp16."""
    found = []
    for scale in (None, LossScale(2.0**12)):
        place = folder / str(scale)
        place.mkdir()
        monkeypatch.chdir(place)
        monkeypatch.setattr(LossScale, "of", lambda _, scale=scale: scale)
        visits(place)
        found.append(made(place))
    return found
