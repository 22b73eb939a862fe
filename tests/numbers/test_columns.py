"""`mtsldsl eval --json` gives the metrics of every column, and what has no label has no number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mtsldsl import load_run
from mtsldsl.runtime.data import load_data
from tests.cli.test_train import mtsldsl
from tests.numbers import independent

SPEC = """\
mtl 1

data arrays {
  path  = "columns.npz"
  input = row(4)
  batch = 8
}

task several {
  target  = values(3)
  head    = linear(3)
  metrics = [rmse, r2]
}

task answers {
  target  = binary(2)
  head    = linear(2)
  metrics = [f1, accuracy]
}

backbone {
  hidden = linear(6) | relu
}

train {
  epochs = 3
}
"""


def test_columns_are_those_of_scikit_learn_on_the_networks_own_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(120, 4)).astype(np.float32)
    several = (rows[:, :3] * [1000, 1, 0.01] + generator.normal(size=(120, 3))).astype(np.float32)
    several[generator.random(several.shape) < 0.3] = np.nan
    answers = (rows[:, :2] > 0).astype(np.float32)
    answers[:, 1] = np.nan
    answers[::3, 1] = rows[::3, 1] > 0.2
    np.savez(tmp_path / "columns.npz", row=rows, several=several, answers=answers)
    (tmp_path / "columns.mtl").write_text(SPEC, encoding="utf-8")
    mtsldsl("train", "columns.mtl", "--quiet", cwd=tmp_path)
    found = json.loads(mtsldsl("eval", "runs/columns/1", "--json", cwd=tmp_path))
    monkeypatch.chdir(tmp_path)
    spec, model = load_run("runs/columns/1")
    test = load_data(spec).test.fields
    with torch.no_grad():
        outputs = model(test["row"])
    for task, kind in (("several", "values"), ("answers", "binary")):
        p, t = outputs[task].double().numpy(), test[task].double().numpy()
        wanted = independent.metrics(kind, p, t, np.isfinite(t))
        for name, value in found["metrics"][task].items():
            assert found["columns"][task][name] == pytest.approx(wanted[name], rel=1e-4, abs=1e-6), name
            assert value == pytest.approx(np.mean(wanted[name]), rel=1e-4, abs=1e-6), name
    alone = json.loads(mtsldsl("eval", "runs/columns/1", "--json", "--of", "several", cwd=tmp_path))
    assert list(alone["metrics"]) == ["several"]
