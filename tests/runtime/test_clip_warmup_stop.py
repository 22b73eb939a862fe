"""`clip`, `warmup` and `stop`: a real run has the weights of the same steps by hand, and ends where it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from mtsldsl import loads
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.learning.warmup import warmed_up
from tests import prepared
from tests.runtime.in_process import TASKS
from tests.runtime.looking_ahead import gradients
from tests.runtime.started import started

TEXT = (
    TASKS.replace("linear(1)\n", "linear(1)\n  weight = 3\n")
    + """
backbone {
  stem = linear(8) | tanh
}

train {
  epochs    = 30
  optimizer = sgd(lr=0.1, momentum=0.9)
  scheduler = step(step_size=1, gamma=0.7)
  clip      = 8
  warmup    = 25
  stop      = patience(2)
}

sharing {
  stem = all
}
"""
)


def run(folder: Path, text: str, *words: str) -> list[dict[str, Any]]:
    """The events of a run over rows of which nothing can be learned."""
    chance = np.random.default_rng(0)
    sizes = {"row": 6, "a": 2, "b": 1}
    np.savez(folder / "rows.npz", **{name: chance.normal(size=(120, size)) for name, size in sizes.items()})
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "train", *(words or ("job.mtl",)), "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout, encoding="utf-8")
    lines = (folder / "runs/job/1/events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def kinds(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


def test_a_run_makes_the_steps_that_are_made_by_hand_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = run(tmp_path, TEXT)
    epochs = len(kinds(events, "epoch"))
    assert 3 <= epochs < 30
    assert [(each["epoch"], each["patience"]) for each in kinds(events, "stopped")] == [(epochs, 2)]
    assert kinds(events, "test")[0]["epochs"] == {"a": epochs - 2, "b": epochs - 2}
    assert f"stopped after epoch {epochs}: 2 epochs without a better one" in (tmp_path / "said").read_text()
    gains = [each["gain"] for each in kinds(events, "validation")]
    assert gains.index(max(gains)) + 1 == epochs - 2

    monkeypatch.chdir(tmp_path)
    spec = loads(TEXT)
    train = load_data(spec).train
    made = started(spec, lambda named: torch.optim.SGD([each for _, each in named], lr=0.0))
    made.model.train()
    made.epoch_steps = 10
    weights = list(made.model.parameters())
    momenta = [torch.zeros_like(each) for each in weights]
    step, clipped, rates = 0, 0, []
    for epoch in range(epochs):
        for batch in batches(
            train, 8, seed=0, epoch=epoch, shuffle=True, augment=(), device=made.device, drop_last=True
        ):
            step += 1
            gradients(made, batch)
            norm = torch.stack([each.grad.square().sum() for each in weights if each.grad is not None]).sum().sqrt()
            clipped += bool(norm > 8)
            rate = 0.1 * 0.7**epoch * min(1, step / 25)
            with torch.no_grad():
                for each, momentum in zip(weights, momenta, strict=True):
                    assert each.grad is not None
                    momentum.mul_(0.9).add_(each.grad * min(1.0, 8 / float(norm)))
                    each -= rate * momentum
        rates.append(rate)
    assert 0 < clipped < step
    kept = load_file(tmp_path / f"runs/job/1/checkpoints/epoch-{epochs:03d}/weights.safetensors")
    for name, each in made.model.state_dict().items():
        torch.testing.assert_close(kept[name], each, rtol=1e-4, atol=1e-6)
    assert [each["lr"] for each in kinds(events, "epoch")] == pytest.approx(rates)

    again = run(tmp_path, TEXT, "--resume", "runs/job/1")
    assert [(each["epoch"], each["patience"]) for each in kinds(again, "stopped")] == [(epochs, 2)]
    assert kinds(again, "test")[0] == kinds(events, "test")[0]


def test_it_does_not_stop_before_it_is_decided_who_shares_what(tmp_path: Path) -> None:
    text = TEXT.replace("sharing {\n  stem = all\n}\n", "structure mtsl {\n  phases = [9]\n}\n")
    text = text.replace("patience(2)", "patience(1)\n  keep = last").replace("gamma=0.7", "gamma=0.3")
    events = run(tmp_path, text)
    last = kinds(events, "stopped")[0]["epoch"]
    assert [each["epoch"] for each in kinds(events, "phase") if each["accepted"]] == [9]
    gains = [[each["gains"][task] for each in kinds(events, "validation")] for task in "ab"]
    better = [any(gain[epoch] > max(gain[:epoch]) for gain in gains) for epoch in range(1, 8)]
    assert not all(better)  # it would have stopped without a phase to come
    rest = [any(gain[epoch] > max(gain[8:epoch]) for gain in gains) for epoch in range(9, last)]
    assert rest == [True] * (last - 10) + [False]
    assert kinds(events, "test")[0]["epochs"] == {"a": last, "b": last}


@pytest.mark.soak
def test_with_patience_enough_it_has_all_its_epochs(tmp_path: Path) -> None:
    events = run(tmp_path, TEXT.replace("patience(2)", "patience(3)").replace("epochs    = 30", "epochs    = 3"))
    assert len(kinds(events, "epoch")) == 3
    assert kinds(events, "stopped") == []


@given(st.integers(1, 50), st.integers(0, 40), st.lists(st.floats(1e-6, 10), min_size=1, max_size=3))
def test_the_rate_rises_in_a_straight_line_and_is_given_back(step: int, warmup: int, rates: list[float]) -> None:
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates])
    with warmed_up(optimizer, step, warmup):
        seen = [group["lr"] for group in optimizer.param_groups]
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert seen == pytest.approx([rate * (step / warmup if step < warmup else 1) for rate in rates])
    if step >= warmup:
        assert seen == rates
