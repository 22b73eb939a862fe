"""A run that ends in the midst of an epoch, with a checkpoint, goes on to the same bits: with every balance, and with
all that an epoch adds up or draws."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtsldsl import load
from mtsldsl.language.optimization import BALANCES
from mtsldsl.runtime.learning.balance import SOLVERS
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.epoch import EpochLosses
from mtsldsl.runtime.run.folder import RunFolder
from tests.faults.kills import facts
from tests.methods.each_learner import EndedError
from tests.runtime.in_process import TASKS, Unreported, rows

AVAILABLE = [rule.name for rule in BALANCES.rules if all(find_spec(each) for each in SOLVERS.get(rule.name, ()))]


class Ending(Unreported):
    """A run in this process that ends after a step of an epoch."""

    at: tuple[int, int] | None = None

    def _between_steps(self, training: Training, losses: EpochLosses) -> None:
        if (training.epoch, training.batches) == self.at:
            self._save_within(training, losses)
            raise EndedError


def run(folder: Path, text: str, *ends: tuple[int, int]) -> RunFolder:
    """The run of a text, ended at each of these places and gone on with as another process would."""
    folder.mkdir()
    rows(folder)
    some = np.load(folder / "rows.npz")
    gaps = {name: some[name].copy() for name in some}
    gaps["b"][::3] = np.nan  # labels that are missing, so that these are counted
    np.savez(folder / "rows.npz", **gaps)
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    session = Ending.create(load(folder / "job.mtl"), "job", folder / "runs", "cpu", "quiet")
    for end in (*ends, None):
        assert isinstance(session, Ending)
        session.at = end
        try:
            Code.of(session.spec).run().main(session)
        except EndedError:
            session.close()
            session = Ending.resume(session.folder.path, "cpu", "quiet")
    session.close()
    return session.folder


SHARING = "sharing {\n  stem = all\n  last = each\n}"


def text(train: str = "", structure: str = "", layers: str = "") -> str:
    return f"""{TASKS}
backbone {{
  stem = linear(8) | batch_norm | tanh | dropout(0.2)
  last = {layers or "linear(8) | tanh"}
}}

train {{
  epochs    = 3
{train}
}}

{structure or SHARING}
"""


def held(place: Path, written: str, *ends: tuple[int, int]) -> list[dict[str, Any]]:
    whole, ended = facts(run(place / "whole", written).path), facts(run(place / "ended", written, *ends).path)
    same = [name for name in whole if name != "events"]
    assert "checkpoints/epoch-003/optimizer.safetensors" in same
    assert same == [name for name in ended if name != "events"]
    assert [name for name in same if whole[name] != ended[name]] == []
    for one, other in zip(whole["events"], ended["events"], strict=True):
        assert one == other
    found: list[dict[str, Any]] = whole["events"]
    return found


@pytest.mark.parametrize("balance", AVAILABLE)
def test_with_every_balance(balance: str, tmp_path: Path) -> None:
    held(tmp_path, text(f"  balance = {balance}"), (0, 1), (1, 5))


WAYS = {
    "a rate of each step": "  scheduler = one_cycle\n  warmup = 4\n  optimizer = adamw(lr=0.01)",
    "a mean over the last part": "  keep = average(0.5)\n  clip = 0.5",
    "a running mean": "  ema = 0.9\n  accumulate = 3",
    "a narrow precision": "  precision = bf16\n  optimizer = sgd(lr=0.1, momentum=0.9)",
}


@pytest.mark.parametrize("way", WAYS)
def test_with_what_a_run_may_have(way: str, tmp_path: Path) -> None:
    told = held(tmp_path, text(WAYS[way]), (0, 2), (1, 1), (2, 2))
    assert any(event.get("labels") for event in told)
    assert any(event["event"] == "gradients" for event in told)


def test_with_a_network_of_the_run_that_teaches(tmp_path: Path) -> None:
    structure = "structure mtsl {\n  phases = [1]\n  threshold = 0\n  teach = 1.0\n  similarity = cka(samples=40)\n}"
    told = held(tmp_path, text(structure=structure), (0, 3), (1, 4), (2, 1))
    assert any(event.get("soft") for event in told)


def test_with_sources_of_their_own(tmp_path: Path) -> None:
    opening, data, *tasks = text("  sampling = equal").partition("backbone")[0].strip().split("\n\n")
    blocks = [
        data.replace("arrays {", f"arrays {name} {{").replace("batch = 8", size) for name, size in SOURCES.items()
    ]
    reads = [each.replace("{\n", f"{{\n  data   = {name}\n", 1) for each, name in zip(tasks, SOURCES, strict=True)]
    rest = "backbone" + text("  sampling = equal").partition("backbone")[2]
    held(tmp_path, "\n\n".join([opening, *blocks, *reads, rest]), (0, 3), (1, 7), (2, 20))


SOURCES = {"one": "batch = 8", "other": "batch = 4"}
