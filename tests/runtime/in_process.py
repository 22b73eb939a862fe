"""A run in this process: the generated `train.py` of a spec, driven by a real session; most over rows of chance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mtsldsl import load
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.session import Session

TASKS = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(6)
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
"""
"""The beginning of a spec that reads `rows.npz`: its data and two tasks."""


class Unreported(Session):
    """A run that ends with its last epoch: its test and report, which take longer than all before, are not looked at."""

    def finish(self, training: Training, data: Splits[Any]) -> None:
        pass


def rows(folder: Path) -> None:
    """`rows.npz` with 120 rows of six numbers, and two targets that depend on them a little."""
    chance = np.random.default_rng(0)
    row = chance.normal(size=(120, 6)).astype(np.float32)
    noise = chance.normal(size=(120, 3)).astype(np.float32)
    a, b = row[:, :2] + noise[:, :2], row[:, 2:3] * row[:, 3:4] + noise[:, 2:]
    np.savez(folder / "rows.npz", row=row, a=a, b=b)


def trained(folder: Path, text: str) -> list[dict[str, Any]]:
    """The events of a run of this text, whose folder is `runs/job/1`."""
    rows(folder)
    path = folder / "job.mtl"
    path.write_text(text, encoding="utf-8")
    return trained_file(path)


def trained_file(path: Path, changes: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The same of a file whose data lies where it says, with these settings."""
    session = Unreported.create(load(path, changes or {}), "job", path.parent / "runs", "cpu", "quiet")
    Code.of(session.spec).run().main(session)
    session.close()
    return events(session.folder.path)


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def of(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in found if event["event"] == kind]


@contextmanager
def rates_seen() -> Iterator[list[float]]:
    """While open, the learning rate of the first group of each step that an optimizer makes."""
    seen: list[float] = []

    def see(optimizer: Optimizer, *_: Any) -> None:
        seen.append(float(optimizer.param_groups[0]["lr"]))

    handle = register_optimizer_step_pre_hook(see)
    try:
        yield seen
    finally:
        handle.remove()


def clipped(*layers: str) -> str:
    """A spec of these layers whose gradients are clipped, and whose rates fall."""
    lines = "\n".join(f"  {layer}" for layer in layers)
    return f"""{TASKS}
backbone {{
{lines}
}}

train {{
  epochs    = 4
  balance   = relative
  clip      = 0.1
  optimizer = adam(lr=0.05)
  scheduler = multistep([1, 3])
  keep      = last
}}
"""
