"""Losses of other scales are told of once, where they matter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtsldsl import loads
from mtsldsl.runtime.learning.loss_scales import remark_on_scales
from tests import prepared
from tests.runtime.in_process import of, trained_file
from tests.runtime.test_clip_warmup_stop import TEXT

PLAIN = TEXT.replace("stop      = patience(2)", "").replace("epochs    = 30", "epochs    = 2")


@pytest.mark.parametrize(
    ("losses", "changes", "said"),
    [
        ({"a": 1.0, "b": 33.0}, {}, None),  # b has a weight of 3
        ({"a": 1.0, "b": 34.0}, {}, "`b` counts up to 102 times as much as that of `a`"),
        ({"a": 900.0, "b": 1.0}, {}, "`a` counts up to 300 times as much as that of `b`"),
        ({"a": 900.0, "b": 1.0}, {"train.balance": "relative"}, None),
        ({"a": 900.0, "b": 1.0}, {"train.balance": "uncertainty"}, None),
        ({"a": 900.0, "b": 1.0}, {"train.balance": "famo"}, None),
        ({"a": 900.0, "b": 1.0}, {"sharing.stem": "a, b"}, None),
        ({"a": 900.0, "b": 1.0}, {"task.b.weight": "300"}, None),
        ({"a": 900.0, "b": 1.0}, {"task.b.weight": "0"}, None),
        ({"a": 900.0, "b": float("nan")}, {}, None),
        ({"a": 900.0}, {}, None),
    ],
)
def test_it_is_said_of_losses_that_share_weights_and_count_as_they_are(
    losses: dict[str, float], changes: dict[str, str], said: str | None
) -> None:
    found = remark_on_scales(loads(PLAIN, overrides=changes), losses)
    assert (found is None) == (said is None)
    assert said is None or said in str(found)


REMEDIES = {
    "balance = relative": {"train.balance": "relative"},
    "uncertainty": {"train.balance": "uncertainty"},
    "famo": {"train.balance": "famo"},
    "weight": {"task.b.weight": "0.0003"},
}


def job(folder: Path) -> Path:
    """A spec, and its data: labels of `b` are a hundred times those of `a`."""
    chance = np.random.default_rng(0)
    sizes = {"row": (6, 1), "a": (2, 1), "b": (1, 100)}
    arrays = {name: chance.normal(size=(60, size)) * scale for name, (size, scale) in sizes.items()}
    np.savez(folder / "rows.npz", **arrays)
    (folder / "job.mtl").write_text(PLAIN, encoding="utf-8")
    return folder / "job.mtl"


def test_a_run_says_it_after_its_first_epoch(tmp_path: Path) -> None:
    job(tmp_path)
    done = prepared.run("-m", "mtsldsl", "train", "job.mtl", "--device", "cpu", "--quiet", cwd=tmp_path)
    assert done.returncode == 0
    before, after = done.stderr.splitlines()
    assert before.startswith("warning: the training labels of `b` have a mean of ")
    assert after.startswith("warning: the loss of `b` counts up to ")
    assert all(f"`{remedy}`" in after for remedy in REMEDIES)
    lines = (tmp_path / "runs/job/1/events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [(each["event"], each.get("about")) for each in map(json.loads, lines)]
    assert events.index(("epoch", None)) < events.index(("warning", "losses")) < events.index(("validation", None))
    assert events.count(("warning", "losses")) == 1


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_run_with_a_remedy_that_it_names_does_not_say_it(remedy: str, tmp_path: Path) -> None:
    events = trained_file(job(tmp_path), {"train.epochs": "1", **REMEDIES[remedy]})
    assert len(of(events, "epoch")) == 1
    assert not [each for each in of(events, "warning") if each["about"] == "losses"]


def test_without_one_it_does(tmp_path: Path) -> None:
    warnings = of(trained_file(job(tmp_path), {"train.epochs": "1"}), "warning")
    assert [each["about"] for each in warnings].count("losses") == 1
