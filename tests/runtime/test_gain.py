from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.studies.gain import delta_m

BASELINE = {"segment": {"miou": 0.5, "pixel_accuracy": 0.8}, "depth": {"rmse": 2.0}}
positive = st.floats(0.01, 100)


def test_the_gain_is_the_mean_over_tasks_of_the_mean_over_their_metrics() -> None:
    gain = delta_m({"segment": {"miou": 0.6, "pixel_accuracy": 0.8}, "depth": {"rmse": 1.5}}, BASELINE)
    assert gain.tasks == pytest.approx({"segment": 10.0, "depth": 25.0})
    assert gain.mean == pytest.approx(17.5)


def test_a_run_gains_nothing_over_itself() -> None:
    assert delta_m(BASELINE, BASELINE).mean == 0


@given(baseline=positive, value=positive)
def test_a_gain_is_positive_exactly_where_the_metric_is_better(baseline: float, value: float) -> None:
    for metric, better in (("miou", value > baseline), ("rmse", value < baseline)):
        gain = delta_m({"task": {metric: value}}, {"task": {metric: baseline}}).mean
        assert (gain > 0) == better
        assert abs(gain) == pytest.approx(100 * abs(value - baseline) / baseline)


def test_a_better_value_over_a_negative_baseline_is_a_gain() -> None:
    assert delta_m({"task": {"r2": 0.5}}, {"task": {"r2": -0.5}}).mean == 200


def test_a_baseline_of_zero_has_no_relative_gain() -> None:
    assert math.isnan(delta_m({"task": {"f1": 0.5}}, {"task": {"f1": 0.0}}).mean)
    assert delta_m({"task": {"f1": 0.0}}, {"task": {"f1": 0.0}}).mean == 0


def test_the_direction_may_be_given() -> None:
    assert delta_m({"task": {"mine": 2.0}}, {"task": {"mine": 1.0}}, lambda _: False).mean == -100


def test_a_missing_metric_is_named() -> None:
    with pytest.raises(MtlError, match=r"segment\.pixel_accuracy, depth\.rmse"):
        delta_m({"segment": {"miou": 0.6}}, BASELINE)


@pytest.mark.parametrize("baseline", [{}, {"segment": {}}])
def test_a_baseline_without_metrics_is_an_error(baseline: dict[str, dict[str, float]]) -> None:
    with pytest.raises(MtlError, match="MTL804"):
        delta_m(BASELINE, baseline)
