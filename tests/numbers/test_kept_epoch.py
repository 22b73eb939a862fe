"""Which epoch's weights are kept: real runs on sparse labels, judged once more from what they recorded."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn import metrics as sk

from mtsldsl.cli import main
from mtsldsl.codegen.forward import plan_forward
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.objectives.accumulators import R2
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run import report_charts
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.selection import Selection, gains
from tests.codegen.examples import specs
from tests.numbers.cases import CASES, SAMPLES, Given, samples_of, spec_of, task_of
from tests.records import metric_of
from tests.runtime.hand_built import make_spec

CPU = torch.device("cpu")
SPEC = """\
mtl 1

data arrays {
  path       = "sparse.npz"
  input      = row(6)
  batch      = 8
  validation = 0.25
}

task [a, b] {
  target  = values(1)
  head    = linear(1)
  loss    = mse
  metrics = [rmse, r2]
}

task kind {
  target  = classes(3, ignore=9)
  head    = linear(3)
  metrics = [accuracy]
}

backbone {
  hidden1 = linear(12) | relu
  hidden2 = linear(12) | relu
}

train {
  epochs    = 12
  optimizer = adam(lr=0.03)
}
"""
SPLIT = {"train": slice(0, 100), "validation": slice(100, 130), "test": slice(130, 160)}
HIGHER = {metric.name: metric.higher_is_better for rule in TARGETS.values() for metric in rule.metrics}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of which most labels are missing, so that epochs differ and over-fit."""
    folder = tmp_path_factory.mktemp("sparse")
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(160, 6)).astype(np.float32)
    a = (rows @ generator.normal(size=6) + generator.normal(size=160) * 2).astype(np.float32)
    b = (1e4 * (rows[:, 0] * rows[:, 1]) + 3e3 * generator.normal(size=160)).astype(np.float32)
    kind = np.digitize(rows[:, 2] + generator.normal(size=160), [-0.5, 0.5])
    a[generator.random(160) < 0.5] = np.nan
    b[generator.random(160) < 0.85] = np.nan
    kind[generator.random(160) < 0.6] = 9
    np.savez(folder / "sparse.npz", row=rows, a=a, b=b, kind=kind)
    (folder / "sparse.mtl").write_text(SPEC, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setattr(
        report_charts, "curves", lambda *_: ""
    )  # which take a third of each run, and are drawn in other tests


def train(*options: str) -> Result:
    """The command, in this process: that of a run of its own is what other tests look at."""
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(main, ["train", "sparse.mtl", "--quiet", "--threads", "1", *options])
    finally:
        torch.set_num_threads(threads)


def trained(runs: str, *options: str) -> RunFolder:
    done = train("--runs", runs, *options)
    assert done.exit_code == 0, done.output
    return RunFolder(Path(runs) / "sparse" / "1")


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [event for line in folder.events.read_text().splitlines() if (event := json.loads(line))["event"] == kind]


def gain(metrics: dict[str, float], constant: dict[str, float]) -> float:
    """Of one task, in percent, by hand."""
    found = []
    for name, value in metrics.items():
        sign = 1 if HIGHER[name] else -1
        unit = 1 if name == "r2" else abs(constant[name])  # that of a constant is 0
        found.append(100 * sign * (value - constant[name]) / unit)
    return float(np.mean(found))


def best_epoch(folder: RunFolder, tasks: list[str]) -> int:
    (constant,) = events(folder, "constant")
    scores = [
        np.mean([gain(event["metrics"][task], constant["metrics"][task]) for task in tasks])
        for event in events(folder, "validation")
    ]
    return int(np.argmax(scores)) + 1


def test_tasks_that_share_keep_the_epoch_of_their_mean_gain() -> None:
    folder = trained("shared", "--structure", "none", "--sharing", "all")
    (test,) = events(folder, "test")
    epoch = best_epoch(folder, ["a", "b", "kind"])
    assert set(test["epochs"].values()) == {epoch}
    raw = [sum(event["losses"].values()) for event in events(folder, "validation")]
    assert epoch != int(np.argmin(raw)) + 1  # the largest scale would have chosen another


def test_tasks_that_share_nothing_keep_each_their_own_epoch() -> None:
    folder = trained("alone", "--structure", "none", "--sharing", "each")
    (test,) = events(folder, "test")
    wanted = {task: best_epoch(folder, [task]) for task in ("a", "b", "kind")}
    assert test["epochs"] == wanted
    assert len(set(wanted.values())) > 1
    # the weights that are kept are those of these epochs: their validation is repeated to the last digit shown
    spec, model = load_best(folder, CPU)
    found = evaluate(model, spec, load_data(spec).validation, CPU)
    for task, epoch in wanted.items():
        assert found.metrics[task] == pytest.approx(events(folder, "validation")[epoch - 1]["metrics"][task], rel=1e-6)
    for task, metrics in evaluate(model, spec, load_data(spec).test, CPU).metrics.items():
        assert test["metrics"][task] == pytest.approx(metrics, rel=1e-6)


@pytest.mark.parametrize("keep", ["last", "b.rmse", "kind.accuracy"])
def test_the_person_may_say_which_epoch_is_kept(keep: str) -> None:
    folder = trained(f"kept-{keep}", "--structure", "none", "--sharing", "each", "--set", f"train.keep={keep}")
    (test,) = events(folder, "test")
    task, _, metric = keep.partition(".")
    values = [event["metrics"].get(task, {}).get(metric) for event in events(folder, "validation")]
    wanted = 12 if keep == "last" else int(np.argmax(values) if HIGHER[metric] else np.argmin(values)) + 1
    assert set(test["epochs"].values()) == {wanted}
    assert test["keep"] == keep
    checkpoint = load_file(folder.checkpoints / "epoch-012" / "weights.safetensors")
    kept = load_file(folder.best / "mean.weights.safetensors")
    assert (wanted == 12) == all(torch.equal(kept[name], value) for name, value in checkpoint.items())


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_recorded_losses_are_the_true_ones_whatever_the_batch(batch: int) -> None:
    keep = ("--structure", "none", "--sharing", "each", "--set", "train.keep=last", "--set", "train.epochs=2")
    folder = trained(f"batch-{batch}", *keep)
    spec, model = load_best(folder, CPU)
    other = attrs.evolve(spec, data=attrs.evolve(spec.data, batch=batch))
    for split, recorded in (("validation", events(folder, "validation")[-1]), ("test", events(folder, "test")[0])):
        found = evaluate(model, other, getattr(load_data(spec), split), CPU)
        assert found.losses == pytest.approx(recorded["losses"], rel=1e-5)
        for task, metrics in found.metrics.items():
            assert metrics == pytest.approx(recorded["metrics"][task], rel=1e-5)


def test_sets_of_tasks_that_hang_together_keep_an_epoch_each() -> None:
    spec = make_spec("pqrs", {"a": ["pq", "r", "s"], "b": "pqrs", "c": "pqrs"})
    assert Selection("best").sets(spec) == (("p", "q"), ("r",), ("s",))
    assert Selection("p.rmse").sets(spec) == (("p", "q", "r", "s"),)


def test_a_layer_that_no_head_reads_holds_no_tasks_together() -> None:
    aside = "  hidden1 = linear(12) | relu\n  aside   = hidden1 | linear(4)\n  hidden2 = hidden1 | linear(12) | relu\n"
    layers = SPEC.index("  hidden1 ="), SPEC.index("}\n\ntrain")
    sharing = "\nsharing {\n  hidden1 = a + kind, b\n  aside = a + kind, b\n}\n"
    unread = "\nsharing {\n  aside = all\n}\n"
    text = SPEC[: layers[0]] + aside + SPEC[layers[1] :]
    assert Selection("best").sets(loads(text + sharing)) == (("a", "kind"), ("b",))
    from_input = text.replace("aside   = hidden1 |", "aside   = row |")
    assert Selection("best").sets(loads(from_input + unread)) == (("a",), ("b",), ("kind",))


@given(specs())
@settings(max_examples=40, deadline=None)
def test_the_sets_that_keep_an_epoch_are_those_that_are_computed_apart(spec: Spec) -> None:
    passes = plan_forward(spec).passes
    apart = [tasks for each in passes for tasks in (zip(each.tasks, strict=True) if each.by_task else [each.tasks])]
    for keep in ("best", "last"):
        assert sorted(Selection(keep).sets(spec)) == sorted(apart)


def test_a_metric_whose_constant_is_zero_counts_by_its_difference() -> None:
    found = gains({"t": {"r2": 0.5, "rmse": 1.0}}, {"t": {"r2": 0.0, "rmse": 2.0}})
    assert found == {"t": pytest.approx(50)}


METRIC = st.sampled_from([("rmse", False), ("mean_angle", False), ("accuracy", True), ("r2", True)])


@given(METRIC, st.floats(0.01, 1e6), st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(0, 12))
def test_no_metric_loses_more_than_all_however_bad_it_is_and_better_is_never_less(
    metric: tuple[str, bool], constant: float, ratios: list[float], decades: float
) -> None:
    name, better_high = metric
    base = 0.0 if name == "r2" else min(constant, 1.0) if better_high else constant

    def value(ratio: float) -> float:
        if name == "r2":
            return 1 - ratio * 10**decades
        return ratio * (1.0 if better_high else constant * 10**decades)

    low, high = sorted(map(value, ratios), reverse=not better_high)
    worse, better = (gains({"t": {name: each}}, {"t": {name: base}})["t"] for each in (low, high))
    assert -100 - 1e-9 <= worse <= better + 1e-9


@pytest.mark.parametrize(
    ("name", "value", "constant", "wanted"),
    [
        ("rmse", 1.0, 2.0, 50.0),
        ("rmse", 4.0, 2.0, -50.0),
        ("rmse", 2e6, 2.0, -99.9999),
        ("accuracy", 0.2, 0.4, -50.0),
        ("accuracy", 0.8, 0.4, 100.0),
        ("r2", 0.75, 0.0, 75.0),
        ("r2", -1.0, 0.0, -50.0),
        ("r2", -9999.0, 0.0, -99.99),
    ],
)
def test_the_gain_of_a_metric_is_this(name: str, value: float, constant: float, wanted: float) -> None:
    assert gains({"t": {name: value}}, {"t": {name: constant}})["t"] == pytest.approx(wanted)


def test_an_epoch_without_a_score_gives_way_and_the_first_of_equal_ones_stays() -> None:
    selection = Selection("best")
    for epoch, score in enumerate([float("nan"), 1.0, 1.0, float("nan"), 0.5], 1):
        selection.note("t", ("t",), epoch, score)
    assert selection.best["t"].epoch == 2


def test_where_the_constant_is_perfect_an_error_has_nothing_to_gain() -> None:
    # one validation sample, or labels that are all the same: the scale must not decide
    found = gains(
        {"t": {"rmse": 5000.0, "mae": 5000.0, "r2": math.nan}, "u": {"error": 0.5, "accuracy": 0.5}},
        {"t": {"rmse": 0.0, "mae": 0.0, "r2": math.nan}, "u": {"error": 0.0, "accuracy": 1.0}},
    )
    assert math.isnan(found["t"])
    assert found["u"] == pytest.approx(-50)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, 10.0, 1e3, 1e5, 1e6])
def test_neither_the_scale_nor_the_offset_of_a_target_decides(scale: float, offset: float) -> None:
    generator = np.random.default_rng(0)
    spread = generator.normal(size=(SAMPLES, 1))
    truth = torch.tensor((offset + spread) * scale, dtype=torch.float32)
    kept = truth.double().numpy()  # what float32 holds of it
    guess = torch.tensor(kept.mean() + 0.5 * (kept - kept.mean()), dtype=torch.float64)
    case = next(case for case in CASES if case.name == "values")
    task = attrs.evolve(task_of(case), metrics=tuple(metric_of(case.target, name) for name in ("rmse", "mae", "r2")))
    samples = samples_of({"it": truth}, {"it": case})
    constant = constant_metrics([task], samples)
    found = evaluate(Given({"it": guess}), spec_of((task,)), samples, CPU)
    # half of every deviation is left: rmse and mae gain about half, and r2 is 0.75
    assert constant["it"]["r2"] == 0
    assert gains(found.metrics, constant)["it"] == pytest.approx((50 + 50 + 75) / 3, rel=0.03)


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.soak), 7, 1000])
@pytest.mark.parametrize("value", [0.1, 1234.567, -3e-9])
def test_r2_of_labels_that_are_all_the_same_is_no_number_whatever_the_batch(batch: int, value: float) -> None:
    metric, target = R2(2, CPU), torch.tensor([value, 0.0]) + torch.tensor([0.0, 1.0]) * torch.rand(3000, 1)
    for part in target.split(batch):
        metric.update(1.1 * part, part, torch.ones_like(part, dtype=torch.bool))
    constant, varying = metric.compute().tolist()
    assert math.isnan(constant)
    truth = target[:, 1].numpy()
    assert varying == pytest.approx(sk.r2_score(truth, 1.1 * truth), rel=1e-4)


def test_an_epoch_is_judged_by_the_tasks_that_are_learned() -> None:
    folder = trained("weightless", "--structure", "none", "--sharing", "all", "--set", "task.kind.weight=0")
    (test,) = events(folder, "test")
    assert set(test["epochs"].values()) == {best_epoch(folder, ["a", "b"])}
    for event in events(folder, "validation"):
        assert event["gain"] == pytest.approx((event["gains"]["a"] + event["gains"]["b"]) / 2)


def test_without_a_label_in_validation_nothing_chooses_and_that_is_said() -> None:
    arrays = dict(np.load("sparse.npz"))
    split = {f"{part}/{name}": array[rows] for name, array in arrays.items() for part, rows in SPLIT.items()}
    split["validation/b"] = np.full_like(split["validation/b"], np.nan)
    np.savez("unlabelled.npz", **split)
    options = (
        "--structure",
        "none",
        "--sharing",
        "each",
        "--set",
        "data.path=unlabelled.npz",
        "--set",
        "train.epochs=4",
    )
    folder = trained("unlabelled", *options)
    (test,) = events(folder, "test")
    assert test["epochs"]["b"] == 4
    assert test["chosen_by"].endswith("on validation, the last one for b, without a score there")
    assert "the last one for b" in folder.report.read_text(encoding="utf-8")
    assert all("b" not in event["best"] for event in events(folder, "validation"))
    refused = train("--runs", "refused", *options, "--set", "train.keep=b.rmse")
    assert refused.exit_code == 1
    assert "no validation sample has a label of `b`" in refused.stderr
    assert not list(Path("refused").glob("*/*"))


def test_the_rate_the_pace_and_the_marks_are_recorded() -> None:
    schedule = ("--set", "train.scheduler=multistep([2, 3], gamma=0.5)", "--set", "train.epochs=4")
    folder = trained("schedule", "--structure", "none", "--sharing", "all", *schedule)
    epochs, validations = events(folder, "epoch"), events(folder, "validation")
    assert [event["lr"] for event in epochs] == pytest.approx([0.03, 0.03, 0.015, 0.0075])
    steps = 96 // 8  # 160 samples, a fifth for the test, a quarter of the rest for validation
    for event in epochs:
        assert event["samples_per_second"] == pytest.approx(steps * 8 / event["epoch_seconds"], rel=0.5)
    best = -math.inf
    for event in validations:
        assert event["best"] == (["a", "b", "kind"] if event["gain"] > best else [])
        best = max(best, event["gain"])
    last = trained("unmarked", "--structure", "none", "--sharing", "all", "--set", "train.keep=last", *schedule)
    assert [event["best"] for event in events(last, "validation")] == [[]] * 4
