"""A small job for studies of baselines: arrays of rows, three tasks, and a learner."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPEC = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(6)
  batch = 16
}

task [whole, part] {
  target  = values(1)
  head    = linear(outputs)
  metrics = [rmse]
}

task sign {
  target  = classes(2)
  head    = linear(outputs)
  metrics = [accuracy]
}

backbone {
  wide   = linear(8) | relu
  narrow = linear(4) | relu
}

train {
  epochs    = 2
  optimizer = adam(lr=0.01)
}

structure branch {
  at     = 1
  budget = 0.7
}

sharing {
  wide   = all
  narrow = all
}
"""

LADDER = SPEC.replace("branch {\n  at     = 1\n  budget = 0.7", "ladder {\n  budgets = [0.6, 0.8]").replace(
    "epochs    = 2", "epochs    = 4\n  balance   = relative"
)
"""The same with a learner that gives two networks in one run."""


def write_job(folder: Path, text: str = SPEC) -> Path:
    """The spec and its data in a folder; the path of the spec."""
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(160, 6)).astype(np.float32)
    total = rows.sum(1, keepdims=True)
    np.savez(folder / "rows.npz", row=rows, whole=total, part=rows[:, :3].sum(1, keepdims=True), sign=total[:, 0] > 0)
    path = folder / "small.mtl"
    path.write_text(text, encoding="utf-8")
    return path
