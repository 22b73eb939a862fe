"""Runs over targets of which some are missing: what is reported is what an independent computation gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.session import Session

SPEC = """\
mtl 1
data arrays {{
  path  = "rows.npz"
  input = row(4)
  batch = 16
}}
task it {{
  target  = {target}
  head    = linear({channels})
  metrics = [{metrics}]
}}
task other {{
  target = values(1)
  field  = other
  head   = linear(1)
}}
backbone {{
  hidden = linear(8) | relu
}}
train {{
  epochs    = 3
  optimizer = adam(lr=1e-2)
}}
"""
RANDOM = np.random.default_rng(11)
ROWS = {"train": 64, "validation": 20, "test": 48}
INPUTS = {split: RANDOM.normal(size=(count, 4)).astype(np.float32) for split, count in ROWS.items()}
STANDARDISED = {split: rows @ [1.0, -2.0, 0.5, 0.0] + 0.3 * rows[:, 3] ** 2 - 0.3 for split, rows in INPUTS.items()}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Stopped(Session):
    """A run that is stopped after its first epoch."""

    def end_epoch(self, training: Training, validation: Evaluation) -> None:
        super().end_epoch(training, validation)
        raise KeyboardInterrupt


def session(
    target: str, metrics: str, truth: dict[str, np.ndarray], channels: int = 1, kind: type[Session] = Session
) -> Session:
    arrays = {f"{split}/row": rows for split, rows in INPUTS.items()}
    arrays |= {f"{split}/it": truth[split] for split in ROWS}
    arrays |= {f"{split}/other": rows[:, 0] for split, rows in INPUTS.items()}
    np.savez("rows.npz", **arrays)
    Path("a.mtl").write_text(SPEC.format(target=target, channels=channels, metrics=metrics), encoding="utf-8")
    return kind.create(load("a.mtl"), "a", Path("runs"), "cpu", "quiet")


def run(target: str, metrics: str, truth: dict[str, np.ndarray], channels: int = 1) -> dict[str, Any]:
    """What the test event says of the task, the prediction of the kept network on the test rows, and the counts."""
    begun = session(target, metrics, truth, channels)
    launch(begun)
    events = [json.loads(line) for line in begun.folder.events.read_text(encoding="utf-8").splitlines()]
    _, network = load_best(begun.folder, torch.device("cpu"))
    with torch.no_grad():
        outputs = network.eval()(torch.from_numpy(INPUTS["test"]))
    return {
        "metrics": next(each["metrics"]["it"] for each in events if each["event"] == "test"),
        "output": outputs["it"].numpy().astype(np.float64),
        "labels": {
            split: found["labels"]["it"]
            for split, found in next(each["data"] for each in events if each["event"] == "start").items()
        },
        "counted": [each.get("labels") for each in events if each["event"] == "epoch"],
        "warnings": [each["text"] for each in events if each["event"] == "warning"],
    }


def without_some(truth: dict[str, np.ndarray], missing: float) -> dict[str, np.ndarray]:
    """The same with every third row missing."""
    return {split: np.where(np.arange(len(rows)) % 3 == 0, missing, rows) for split, rows in truth.items()}


def test_a_target_around_zero_counts_whole() -> None:
    found = run("values(1)", "rmse, mae, r2", STANDARDISED)
    truth = STANDARDISED["test"]
    error = found["output"][:, 0] - truth
    assert (truth <= 0).sum() > 10
    assert found["labels"]["test"] == {"samples": 48, "entries": 48, "of": 48}
    assert found["counted"] == [None, None, None]
    assert found["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert found["metrics"]["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert found["metrics"]["r2"] == pytest.approx(1 - np.sum(error**2) / np.sum((truth - truth.mean()) ** 2), rel=1e-4)


def test_a_target_that_is_all_negative_is_learned() -> None:
    negative = {split: rows - 20 for split, rows in STANDARDISED.items()}
    found = run("values(1)", "rmse", negative)
    error = found["output"][:, 0] - negative["test"]
    assert found["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert np.mean(found["output"]) < 0


def test_positive_values_alone_count_where_the_target_says_so() -> None:
    found = run("values(1, valid=positive)", "rmse", without_some(STANDARDISED, np.nan))
    truth = without_some(STANDARDISED, np.nan)["test"]
    valid = truth > 0  # not so for what is missing
    error = (found["output"][:, 0] - truth)[valid]
    assert found["labels"]["test"] == {"samples": valid.sum(), "entries": valid.sum(), "of": 48}
    assert found["counted"] == 3 * [{"it": np.sum(without_some(STANDARDISED, np.nan)["train"] > 0), "other": 64}]
    assert found["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)


@pytest.mark.parametrize("ignore", ["none", "255"])
def test_classes_that_are_missing_do_not_count(ignore: str) -> None:
    truth = without_some({split: (rows > 0).astype(float) for split, rows in STANDARDISED.items()}, np.nan)
    found = run(f"classes(2, ignore={ignore})", "accuracy", truth, channels=2)
    valid = np.isfinite(truth["test"])
    right = found["output"].argmax(axis=1) == truth["test"]
    assert found["labels"]["test"] == {"samples": 32, "entries": 32, "of": 48}
    assert found["counted"] == 3 * [{"it": 42, "other": 64}]
    assert found["metrics"]["accuracy"] == pytest.approx(right[valid].mean(), abs=1e-6)


def test_a_run_that_goes_on_counts_labels_as_one_that_was_not_stopped() -> None:
    begun = session("values(1)", "rmse", without_some(STANDARDISED, np.nan), kind=Stopped)
    with pytest.raises(SystemExit):
        launch(begun)
    resumed = Session.resume(begun.folder.path, "cpu", "quiet")
    launch(resumed)
    events = [json.loads(line) for line in begun.folder.events.read_text(encoding="utf-8").splitlines()]
    assert "resume" in [each["event"] for each in events]
    assert [each["labels"] for each in events if each["event"] == "epoch"] == 3 * [{"it": 42, "other": 64}]


@pytest.mark.parametrize(("target", "missing"), [("binary(1, ignore=-1)", -1.0), ("binary(1)", np.nan)])
def test_answers_that_are_missing_do_not_count(target: str, missing: float) -> None:
    truth = without_some({split: (rows > 0).astype(float) for split, rows in STANDARDISED.items()}, missing)
    found = run(target, "accuracy, bce", truth)
    valid = np.isin(truth["test"], (0, 1))
    logits, yes = found["output"][valid, 0], truth["test"][valid]
    assert found["labels"]["test"] == {"samples": 32, "entries": 32, "of": 48}
    assert found["metrics"]["accuracy"] == pytest.approx(((logits > 0) == yes).mean(), abs=1e-6)
    assert found["metrics"]["bce"] == pytest.approx(np.mean(np.logaddexp(0, logits) - yes * logits), rel=1e-5)


@pytest.mark.parametrize(
    ("target", "truth", "remedy"),
    [
        ("values(1)", np.nan, "label some of them"),
        ("values(1, valid=positive)", -1.0, "valid=finite"),
        ("binary(1, ignore=-1)", -1.0, "other numbers than -1"),
        ("classes(2, ignore=1)", 1.0, "other numbers than 1"),
    ],
)
def test_a_task_without_a_label_to_learn_from_stops_the_run_and_leaves_no_folder(
    target: str, truth: float, remedy: str
) -> None:
    some = {"train": np.full(64, truth), "validation": np.zeros(20), "test": np.ones(48)}
    metric = "mae" if "values" in target else "accuracy"
    begun = session(target, metric, some, channels=2 if "classes" in target else 1)
    with pytest.raises(MtlError) as caught:
        launch(begun)
    (error,) = caught.value.diagnostics
    assert (error.code, error.place[0]) == ("MTL804", 7)
    assert "no training sample has a label of `it`" in error.cause
    assert remedy in error.remedy
    assert not begun.folder.path.exists()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_task_without_a_label_to_be_measured_by_is_warned_of(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = run("values(1)", "mae", STANDARDISED | {split: np.full(ROWS[split], np.nan)})
    (said,) = found["warnings"]
    assert said == f"no {split} sample has a label of `it` that counts: its metrics there will be empty"
    assert capsys.readouterr().err == f"warning: {said}\n"
    assert (found["metrics"]["mae"] is None) == (split == "test")


def test_what_is_odd_about_the_data_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("b.mtl")
    text = SPEC.format(target="values(1)", channels=1, metrics="mae")
    text = text.replace("row(4)", "image(1, 2, 2)").replace("hidden = linear(8)", "hidden = flatten | linear(8)")
    path.write_text(text.replace("rows.npz", "images.npz"), encoding="utf-8")
    image = np.tile([0.0, 255.0], (100, 2)).reshape(100, 1, 2, 2)
    np.savez("images.npz", image=image, it=np.arange(100) / 100, other=np.zeros(100))
    begun = Session.create(load(path), "b", Path("runs"), "cpu", "plain")
    launch(begun)
    said = capsys.readouterr()
    assert said.err.startswith("warning: `image` of `images.npz` has numbers up to 255")
    assert "samples: 72 train, 8 validation, 20 test\nlabels: all of `it`, `other`\n" in said.out
