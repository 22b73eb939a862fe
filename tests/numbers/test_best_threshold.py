"""`f1_best`: F1 at the threshold that is best on validation, against scikit-learn, and what a run does with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch import Tensor

from mtsldsl import load, load_run
from mtsldsl.cli.eval import command as evaluated
from mtsldsl.ir import Target
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.objectives import MetricSet
from mtsldsl.runtime.objectives.best_threshold import STEPS
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.exported import export
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.model_card import model_card
from mtsldsl.runtime.run.session import Session
from tests.numbers.cases import CASES, SAMPLES, Case, Given, counted, example, samples_of, spec_of, task_of
from tests.numbers.independent import sigmoid
from tests.records import metric_of
from tests.runtime.in_process import events, of
from tests.runtime.started import CPU

BINARY = [case for case in CASES if case.target.kind == "binary"]


def found_of(case: Case, seed: int, batch: int, thresholds: Any) -> Evaluation:
    prediction, field = example(case, seed)
    task = attrs.evolve(task_of(case), metrics=(metric_of(case.target, "f1_best"),))
    samples = samples_of({"it": field}, {"it": case})
    return evaluate(Given({"it": prediction}), spec_of((task,), batch), samples, CPU, thresholds=thresholds)


def columns_of(found: Evaluation) -> list[float]:
    return list(found.columns["it"]["f1_best"]) if found.columns else [found.metrics["it"]["f1_best"]]


@pytest.mark.parametrize("batch", [3, SAMPLES])
@pytest.mark.parametrize("case", BINARY, ids=lambda case: case.name)
def test_the_best_threshold_of_a_set_is_chosen_and_others_are_measured_at_it(case: Case, batch: int) -> None:
    chosen = found_of(case, 0, batch, None)
    thresholds = chosen.thresholds["it"]["f1_best"]
    p, t, valid = counted(case, *example(case, 0))
    other_p, other_t, other_valid = counted(case, *example(case, 2))
    other = columns_of(found_of(case, 2, batch, chosen.thresholds))
    assert len(thresholds) == case.target.channels
    for k, (threshold, best) in enumerate(zip(thresholds, columns_of(chosen), strict=True)):
        truth, likely = t[valid[:, k], k], sigmoid(p[valid[:, k], k])
        assert best == pytest.approx(sk.f1_score(truth, likely > threshold))
        precision, recall, _ = sk.precision_recall_curve(truth, likely)
        exact = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        assert exact - 0.01 < best <= exact + 1e-6
        there = other_t[other_valid[:, k], k], sigmoid(other_p[other_valid[:, k], k]) > threshold
        assert other[k] == pytest.approx(sk.f1_score(*there))
    assert other != pytest.approx(columns_of(found_of(case, 2, batch, None)))
    assert found_of(case, 2, batch, chosen.thresholds).thresholds == chosen.thresholds


def measured(logits: Tensor, labels: Tensor, thresholds: Any = None) -> MetricSet:
    target = Target("binary", logits.shape[1], -1)
    found = MetricSet(
        attrs.evolve(task_of(Case("it", target, ())), metrics=(metric_of(target, "f1_best"),)), thresholds
    )
    found.update(logits, labels)
    return found


@given(st.lists(st.tuples(st.floats(-30, 30, width=32), st.sampled_from([0.0, 1.0, -1.0])), min_size=1, max_size=30))
def test_no_other_threshold_of_the_grid_is_better(entries: list[tuple[float, float]]) -> None:
    logits, labels = (torch.tensor(each).unsqueeze(1) for each in zip(*entries, strict=True))
    found = measured(logits, labels)
    counts = labels >= 0
    likely, truth = logits.sigmoid()[counts], labels[counts] > 0.5
    (value,), (threshold,) = found.columns()["f1_best"], found.thresholds()["f1_best"]
    assume(len(likely))
    yes = likely > torch.arange(STEPS).unsqueeze(1) / STEPS
    scores = 2 * (yes & truth).sum(1) / (yes.sum(1) + truth.sum()).clamp(min=1)
    assert value == pytest.approx(float(scores.max()))
    assert scores[round(threshold * STEPS)] == scores.max()


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=30))
def test_where_no_label_counts_there_is_no_best_threshold(scores: list[float]) -> None:
    logits = torch.tensor(scores).unsqueeze(1)
    found = measured(logits, torch.full_like(logits, -1))
    (value,), (threshold,) = found.columns()["f1_best"], found.thresholds()["f1_best"]
    assert math.isnan(value)
    assert threshold == 0.5


def test_of_thresholds_that_are_equally_good_it_is_the_one_in_the_middle() -> None:
    low, high = torch.tensor([0.25, 0.75]).logit()
    logits = torch.stack([low, low, high]).unsqueeze(1)
    assert measured(logits, torch.tensor([[0.0], [0.0], [1.0]])).thresholds() == {
        "f1_best": [pytest.approx(0.5, abs=1e-3)]
    }


def test_without_a_yes_it_is_0_and_without_a_threshold_one_half() -> None:
    logits, nothing = torch.tensor([[-1.0, 2.0], [1.0, 0.1]]), torch.tensor([[0.0, -1.0], [0.0, -1.0]])
    found = measured(logits, nothing)
    assert found.columns()["f1_best"] == [0.0, pytest.approx(math.nan, nan_ok=True)]
    assert found.thresholds()["f1_best"][1] == 0.5
    half = measured(logits, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), {})
    assert half.thresholds() == {"f1_best": [0.5, 0.5]}
    assert half.columns()["f1_best"] == [1.0, pytest.approx(2 / 3)]


TEXT = """\
mtl 1

data arrays {
  path  = "marks.npz"
  input = image(1, 4, 4)
  batch = 8
}

task marked {
  target  = binary(1, ignore=2)
  head    = conv2d(1, 1) | resize_as(image)
  loss    = balanced_bce
  metrics = [f1_best, f1, average_precision]
}

task kinds {
  target  = binary(2)
  head    = adaptive_avg_pool2d(1) | flatten | linear(2)
  metrics = [f1_best]
}

backbone {
  stem = conv2d(4, 3) | relu
}

train {
  epochs    = 3
  optimizer = adam(lr=0.05)
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, with what it reads beside it."""
    root = tmp_path_factory.mktemp("thresholds")
    chance = np.random.default_rng(0)
    image = chance.normal(size=(90, 1, 4, 4)).astype(np.float32)
    marked = (image + chance.normal(size=image.shape) > 1).astype(np.float32)
    marked[chance.random(image.shape) < 0.2] = 2
    means = image.mean((2, 3))
    kinds = np.concatenate([means > 0.1, means + chance.normal(size=means.shape) / 3 > 0.3], 1).astype(np.float32)
    np.savez(root / "marks.npz", image=image, marked=marked, kinds=kinds)
    (root / "job.mtl").write_text(TEXT, encoding="utf-8")
    session = Session.create(load(root / "job.mtl"), "job", root / "runs", "cpu", "quiet")
    Code.of(session.spec).run().main(session)
    session.close()
    return session.folder.path


def answers(folder: Path, split: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each task the probabilities of yes and the labels, as rows of columns."""
    spec, network = load_run(folder)
    samples = getattr(load_data(spec), split)
    with torch.no_grad():
        outputs = network(samples.fields["image"])
    rows = {}
    for task in spec.tasks:
        both = outputs[task.name].sigmoid(), samples.fields[task.name].float()
        rows[task.name] = tuple(each.movedim(1, -1).reshape(-1, each.shape[1]).numpy() for each in both)
    return rows


def by_hand(folder: Path, split: str, thresholds: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    found = {}
    for task, (likely, truth) in answers(folder, split).items():
        scores = []
        for k, threshold in enumerate(thresholds[task]["f1_best"]):
            counts = np.isin(truth[:, k], (0, 1))
            scores.append(sk.f1_score(truth[counts, k], likely[counts, k] > threshold))
        found[task] = float(np.mean(scores))
    return found


def test_a_run_is_tested_at_the_thresholds_that_validation_chose_for_the_weights_that_are_kept(folder: Path) -> None:
    told = events(folder)
    (test,) = of(told, "test")
    assert len(test["thresholds"]["kinds"]["f1_best"]) == 2
    assert len({*test["epochs"].values()}) == 2  # tasks that share nothing keep an epoch each
    validated = {task: of(told, "validation")[epoch - 1] for task, epoch in test["epochs"].items()}
    on_validation, on_test = (by_hand(folder, split, test["thresholds"]) for split in ("validation", "test"))
    for task, event in validated.items():
        assert test["thresholds"][task] == event["thresholds"][task]
        assert event["metrics"][task]["f1_best"] == pytest.approx(on_validation[task], abs=1e-6)
        assert test["metrics"][task]["f1_best"] == pytest.approx(on_test[task], abs=1e-6)
    of_marked = validated["marked"]["metrics"]["marked"]
    assert of_marked["f1_best"] >= of_marked["f1"]
    spec, _ = load_run(folder)
    best_on_test = evaluate(load_run(folder)[1], spec, load_data(spec).test, CPU, thresholds=None)
    assert best_on_test.metrics["marked"]["f1_best"] > test["metrics"]["marked"]["f1_best"]
    (constant,) = of(told, "constant")
    truth = answers(folder, "validation")["marked"][1]
    share = (truth == 1).sum() / np.isin(truth, (0, 1)).sum()
    assert constant["metrics"]["marked"]["f1_best"] == pytest.approx(2 * share / (1 + share))
    assert constant["metrics"]["marked"]["average_precision"] == pytest.approx(share)


def test_eval_measures_at_them_and_says_so(folder: Path) -> None:
    (test,) = of(events(folder), "test")
    shown = CliRunner().invoke(evaluated, [str(folder), "--device", "cpu"])
    assert (
        f"f1_best of marked at the threshold {test['thresholds']['marked']['f1_best'][0]:.4g}, which " in shown.output
    )
    told = json.loads(CliRunner().invoke(evaluated, [str(folder), "--device", "cpu", "--json"]).output)
    assert told["thresholds"] == test["thresholds"]
    assert told["metrics"] == test["metrics"]


def test_eval_chooses_on_validation_for_a_metric_that_the_run_did_not_have(folder: Path) -> None:
    more = ["--set", "task.kinds.metrics=[accuracy]", "--set", "task.marked.metrics=[f1_best]"]
    one = json.loads(CliRunner().invoke(evaluated, [str(folder), "--device", "cpu", "--json", *more]).output)
    assert one["thresholds"] == {"marked": of(events(folder), "test")[0]["thresholds"]["marked"]}
    record = folder / "events.jsonl"
    kept = record.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in kept.splitlines()]
    without = [{name: value for name, value in each.items() if name != "thresholds"} for each in lines]
    record.write_text("".join(f"{json.dumps(each)}\n" for each in without), encoding="utf-8")
    try:
        told = json.loads(CliRunner().invoke(evaluated, [str(folder), "--device", "cpu", "--json"]).output)
    finally:
        record.write_text(kept, encoding="utf-8")
    assert told["thresholds"] == of(events(folder), "test")[0]["thresholds"]


def test_the_report_and_the_card_of_an_export_have_them(folder: Path) -> None:
    (test,) = of(events(folder), "test")
    first = f"{test['thresholds']['marked']['f1_best'][0]:.4g}"
    run = RunFolder.open(folder)
    card = model_card(export(run, "safetensors"), run, "")
    assert (
        f"- f1_best of marked at the threshold {first}, which validation chose: a yes is a probability above it" in card
    )
    assert f"f1_best above {first} " in (folder / "report.html").read_text(encoding="utf-8")


def test_the_best_constant_is_yes_always_and_ranks_as_well_as_chance() -> None:
    case = next(case for case in BINARY if case.name == "binary-ignore-dense")
    _, field = example(case)
    found = constant_metrics([task_of(case)], samples_of({"it": field}, {"it": case}))["it"]
    _, t, valid = counted(case, torch.zeros(len(field), 1, *case.space), field)
    share = t[valid].mean()
    assert found["f1_best"] == pytest.approx(2 * share / (1 + share))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(t[valid], np.zeros(valid.sum())))
