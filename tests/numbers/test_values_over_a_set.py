"""For every target, loss and metric: the value on random predictions with missing entries, whatever the batches."""

from __future__ import annotations

import warnings

import attrs
import numpy as np
import pytest
import torch

from mtsldsl.language import Named
from mtsldsl.language.targets import TARGETS, metric_key
from mtsldsl.runtime.learning.evaluation import Evaluation, evaluate
from mtsldsl.runtime.objectives import make_loss
from tests.numbers import independent
from tests.numbers.cases import (
    CASES,
    SAMPLES,
    Case,
    Given,
    counted,
    example,
    fits,
    losses_of,
    samples_of,
    spec_of,
    task_of,
)
from tests.records import loss_of, metric_of

CPU = torch.device("cpu")
EVERY_LOSS = [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in losses_of(case)]
EVERY_CASE = [pytest.param(case, id=case.name) for case in CASES]
BATCHES = [7, pytest.param(1, marks=pytest.mark.soak), pytest.param(SAMPLES, marks=pytest.mark.soak)]

# For every argument that a loss or a metric has, values other than the default, the ends of what is allowed among them.
ARGUMENTS = {
    "label_smoothing": (0.1, 0.5),
    "beta": (0.0, 0.5, 0.9),
    "positive_weight": (0.1, 0.5, 0.7),
    "threshold": (0.1, 0.3, 0.8),
    "degrees": (5.0, 30.0, 90.0),
    "weight": ((1.0, 0.0, 2.5, 0.3),),
    "gamma": (0.0, 0.5, 3.0),
    "alpha": (0.0, 0.6, 1.0),
    "smooth": (1e-3, 10.0),
    "delta": (0.1, 3.0),
    "variance_focus": (0.0, 1.0),
    "n_bins": (1, 10, 100),
}
LOSS_ARGUMENTS = [
    pytest.param(case, loss_of(case.target, rule.name, **{name: value}), id=f"{case.name}-{rule.name}-{name}={value}")
    for case in CASES
    for rule in TARGETS[case.target.kind].losses
    if fits(case, rule)
    for name in (key.name for key in rule.arguments)
    for value in ARGUMENTS[name]
]
METRIC_ARGUMENTS = [
    pytest.param(case, metric_of(case.target, rule.name, **{name: value}), id=f"{case.name}-{rule.name}-{name}={value}")
    for case in CASES
    for rule in TARGETS[case.target.kind].metrics
    if fits(case, rule)
    for name in (key.name for key in rule.arguments)
    for value in ARGUMENTS[name]
]


def evaluated(case: Case, loss: Named, batch: int, metrics: tuple[Named, ...] | None = None) -> Evaluation:
    prediction, field = example(case)
    task = task_of(case, loss)
    spec = spec_of((task if metrics is None else attrs.evolve(task, metrics=metrics),), batch)
    return evaluate(Given({"it": prediction}), spec, samples_of({"it": field}, {"it": case}), CPU, thresholds=None)


def independent_metrics(case: Case) -> dict[str, list[float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's remarks on classes that are not there
        return independent.metrics(case.target.kind, *counted(case, *example(case)))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("case", "loss"), EVERY_LOSS)
def test_a_loss_over_a_set_is_that_of_all_its_entries_whatever_the_batches(case: Case, loss: str, batch: int) -> None:
    wanted = independent.loss(case.target.kind, loss, *counted(case, *example(case)))
    assert evaluated(case, loss_of(case.target, loss), batch).losses["it"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("case", "loss"), EVERY_LOSS)
def test_the_loss_that_is_learned_from_is_that_of_the_batch(case: Case, loss: str) -> None:
    prediction, field = example(case, 1)
    wanted = independent.loss(case.target.kind, loss, *counted(case, prediction, field))
    assert make_loss(case.target, loss_of(case.target, loss))(prediction, field).item() == pytest.approx(
        wanted, rel=1e-5
    )


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("case", EVERY_CASE)
def test_metrics_are_those_of_scikit_learn_by_column_and_averaged(case: Case, batch: int) -> None:
    found, wanted = evaluated(case, loss_of(case.target), batch), independent_metrics(case)
    shown = {name: values for name, values in wanted.items() if name in found.metrics["it"]}
    assert found.metrics["it"].keys() == shown.keys()
    for name, values in shown.items():
        tolerance = 0.011 if name == "median_angle" else 1e-6  # it is taken from bins of 0.01 degree
        assert found.metrics["it"][name] == pytest.approx(np.mean(values), rel=1e-5, abs=tolerance), name
        if case.target.channels > 1 and case.target.kind not in ("classes", "unit_vectors"):
            assert found.columns["it"][name] == pytest.approx(values, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("case", "loss"), LOSS_ARGUMENTS)
def test_an_argument_of_a_loss_does_what_it_says(case: Case, loss: Named, batch: int) -> None:
    entries = counted(case, *example(case))
    wanted = independent.loss(case.target.kind, loss.name, *entries, **loss.arguments)  # type: ignore[arg-type]
    assert evaluated(case, loss, batch).losses["it"] == pytest.approx(wanted, rel=1e-5)
    assert wanted != pytest.approx(independent.loss(case.target.kind, loss.name, *entries), rel=3e-5)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("case", "metric"), METRIC_ARGUMENTS)
def test_an_argument_of_a_metric_does_what_it_says(case: Case, metric: Named, batch: int) -> None:
    p, t, valid = counted(case, *example(case))
    ((name, value),) = metric.arguments.items()
    number = float(str(value))
    wanted = {
        "threshold": lambda: [
            independent.f1(p[valid[:, k], k], t[valid[:, k], k], number) for k in range(case.target.channels)
        ],
        "degrees": lambda: [(independent.angles(p, t, valid) < number).mean()],
        "n_bins": lambda: independent.calibration_by_column(case.target.kind, p, t, valid, int(number)),
    }[name]()
    found = evaluated(case, loss_of(case.target), batch, (metric,)).metrics["it"]
    assert found == {metric_key(metric): pytest.approx(np.mean(wanted), rel=1e-5)}


@pytest.mark.parametrize("case", EVERY_CASE)
def test_without_a_label_a_task_has_neither_loss_nor_metrics(case: Case) -> None:
    prediction, field = example(case)
    nothing = field[3:4].expand_as(field)  # sample 3 has none
    spec = spec_of((task_of(case),))
    found = evaluate(Given({"it": prediction}), spec, samples_of({"it": nothing}, {"it": case}), CPU)
    assert np.isnan([found.losses["it"], *found.metrics["it"].values()]).all()


def test_a_column_without_a_label_is_left_out_of_the_mean_over_columns() -> None:
    case = next(case for case in CASES if case.name == "values-3")
    prediction, field = example(case)
    field[:, 1] = torch.nan
    spec = spec_of((task_of(case),))
    found = evaluate(Given({"it": prediction}), spec, samples_of({"it": field}, {"it": case}), CPU)
    p, t, valid = counted(case, prediction, field)
    by_column = [independent.metrics("values", p[:, [k]], t[:, [k]], valid[:, [k]]) for k in (0, 2)]
    for name, value in found.metrics["it"].items():
        assert value == pytest.approx(np.mean([each[name][0] for each in by_column]), rel=1e-5), name
        assert np.isnan(found.columns["it"][name][1])


def test_r2_of_several_columns_does_not_pool_them() -> None:
    # columns of very different scale: pooled, a useless prediction of the small one hardly shows
    case = Case("wide", next(case for case in CASES if case.name == "values-3").target, ())
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(SAMPLES, 3)) * [1000.0, 1.0, 1.0]
    guess = truth + generator.normal(size=truth.shape) * [1.0, 30.0, 30.0]
    spec = spec_of((task_of(case),))
    samples = samples_of({"it": torch.tensor(truth).float()}, {"it": case})
    found = evaluate(Given({"it": torch.tensor(guess).float()}), spec, samples, CPU)
    wanted = independent.sk.r2_score(truth, guess, multioutput="uniform_average")
    assert wanted < -100
    assert found.metrics["it"]["r2"] == pytest.approx(wanted, rel=1e-4)
