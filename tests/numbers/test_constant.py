"""The best constant answer: no constant does better, and for the metrics that scikit-learn's dummies are made for, it is
theirs."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor

from mtsldsl.language.constants import Named
from mtsldsl.runtime.objectives import higher_is_better
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run.selection import gains
from tests.numbers import independent
from tests.numbers.cases import CASES, Case, counted, example, samples_of, task_of

SEARCHED = [case for case in CASES if case.target.kind != "unit_vectors" and not case.space]


def constants_of(case: Case, seed: int) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    _, field = example(case, seed)
    found = constant_metrics([task_of(case)], samples_of({"it": field}, {"it": case}))["it"]
    _, t, valid = counted(case, torch.zeros(len(field), case.target.channels, *case.space), field)
    return found, t, valid


def candidates(case: Case, t: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
    """Constant predictions that are tried, as rows: all classes, or for each column a fine grid and every value."""
    channels = case.target.channels
    if case.target.kind == "classes":
        return [np.tile(np.eye(channels)[label], (len(t), 1)) for label in range(channels)]
    known = np.nan_to_num(t[valid])
    if case.target.kind == "binary":
        grid = np.linspace(-4, 4, 81)
    else:
        grid = np.concatenate([np.linspace(known.min(), known.max(), 60), known, known * 1.2, known / 1.2])
    return [np.full(t.shape, value) for value in grid]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("case", SEARCHED, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_no_constant_is_better_for_any_metric(case: Case, seed: int) -> None:
    found, t, valid = constants_of(case, seed)
    tried = [independent.metrics(case.target.kind, p, t, valid) for p in candidates(case, t, valid)]
    assert found
    for name, value in found.items():
        # each column may have a constant of its own
        by_column = np.array([each[name] for each in tried])
        best = by_column.max(0) if higher_is_better(name) else by_column.min(0)
        if higher_is_better(name):
            assert value >= best.mean() - 1e-6, name
        else:
            assert value <= best.mean() + 1e-6, name


ALIKE = {
    "reconstruct": (0.7, 0.2, 1.0),
    "values": (1.7, 0.3, 5e6),
    "unit_vectors": (0.36, 0.48, 0.8),
    "binary": (1.0, 0.0, 1.0),
}


@pytest.mark.parametrize("size", [1, 300])
@pytest.mark.parametrize("answer", [0, 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_all_labels_are_alike_one_answer_is_right_and_no_error_is_left(
    case: Case, answer: int, size: int
) -> None:
    if case.target.kind == "classes":
        field = torch.full((size, *case.space), 2 * answer, dtype=torch.uint8)
    else:
        label = torch.tensor((ALIKE[case.target.kind] * 2)[answer : answer + case.target.channels])
        label = torch.nn.functional.normalize(label, dim=0) if case.target.kind == "unit_vectors" else label
        field = label.view(1, -1, *[1] * len(case.space)).expand(size, -1, *case.space).clone()
    found = constant_metrics([task_of(case)], samples_of({"it": field}, {"it": case}))["it"]
    errors = {name: value for name, value in found.items() if not higher_is_better(name) and not math.isnan(value)}
    assert set(errors.values()) <= {0.0}
    gained = gains({"it": dict.fromkeys(found, 0.5)}, {"it": found})["it"]
    assert math.isnan(gained) or abs(gained) <= 100  # so that no task decides by what no network can be better at


@pytest.mark.parametrize("case", [case for case in CASES if case.target.kind == "values"], ids=lambda case: case.name)
def test_for_values_it_is_the_mean_or_the_median_of_what_counts(case: Case) -> None:
    found, t, valid = constants_of(case, 0)
    columns = [t[valid[:, k], k] for k in range(t.shape[1])]

    def dummy(strategy: str, metric: str) -> float:
        scores = []
        for column in columns:
            model = DummyRegressor(strategy=strategy).fit(column[:, None], column)
            scores.append(independent._of_values[metric](model.predict(column[:, None]), column))
        return float(np.mean(scores))

    assert found["rmse"] == pytest.approx(dummy("mean", "rmse"), rel=1e-5)
    assert found["mae"] == pytest.approx(dummy("median", "mae"), rel=1e-5)
    assert found["r2"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case.target.kind == "classes"], ids=lambda case: case.name)
def test_for_classes_it_is_the_commonest_one_of_those_that_count(case: Case) -> None:
    found, t, valid = constants_of(case, 0)
    labels = t[valid[:, 0], 0].astype(int)
    accuracy = DummyClassifier(strategy="most_frequent").fit(labels[:, None], labels).score(labels[:, None], labels)
    assert found["accuracy"] == pytest.approx(accuracy)
    assert found["error"] == pytest.approx(1 - accuracy)


def test_for_answers_it_is_always_yes_for_f1_and_their_share_for_cross_entropy() -> None:
    case = next(case for case in CASES if case.name == "binary")
    found, t, valid = constants_of(case, 0)
    share = t[valid].mean()
    assert found["f1"] == found["f1_best"] == pytest.approx(2 * share / (1 + share))
    assert found["average_precision"] == pytest.approx(share)
    assert found["bce"] == pytest.approx(-(share * np.log(share) + (1 - share) * np.log(1 - share)), rel=1e-5)
    assert found["accuracy"] == pytest.approx(max(share, 1 - share))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.target.kind in ("classes", "binary")], ids=lambda case: case.name
)
def test_who_is_as_sure_as_labels_are_often_right_has_no_error_of_calibration_and_nothing_is_gained_over_it(
    case: Case, seed: int
) -> None:
    _, field = example(case, seed)
    task = attrs.evolve(task_of(case), metrics=(Named("calibration_error", {"n_bins": 15}),))
    found = constant_metrics([task], samples_of({"it": field}, {"it": case}))
    assert set(found["it"].values()) == {0.0}
    assert math.isnan(gains({"it": dict.fromkeys(found["it"], 0.1)}, found)["it"])


def scattered(kind: str) -> np.ndarray:
    """Unit vectors: about one direction, about three that are far apart (as floors and walls), or about none."""
    drawn = np.random.default_rng(3)
    centres = {"one": [[0.0, 0.6, 0.8]], "three": np.eye(3), "none": [[0.0, 0.0, 0.0]]}[kind]
    rows = np.repeat(np.asarray(centres), 300 // len(centres), axis=0)
    rows = rows + drawn.normal(scale=0.1 if kind != "none" else 1, size=rows.shape)
    rows[:20] += 0.02  # one of the three is the commonest
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["one", "three", "none"])
def test_for_directions_no_other_one_is_better_for_any_metric(kind: str) -> None:
    case = next(case for case in CASES if case.name == "unit_vectors")
    rows = scattered(kind)
    field = torch.tensor(rows, dtype=torch.float32)
    found = constant_metrics([task_of(case)], samples_of({"it": field}, {"it": case}))["it"]
    drawn = np.random.default_rng(0).normal(size=(4000, 3))
    tried = np.concatenate([rows, rows + 0.05 * np.random.default_rng(1).normal(size=rows.shape), drawn])
    tried /= np.linalg.norm(tried, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip(tried @ rows.T, -1, 1)))
    assert found["mean_angle"] <= angles.mean(1).min() * 1.01
    assert found["median_angle"] <= np.median(angles, axis=1).min() * 1.05
    assert found["within_11.25"] >= (angles < 11.25).mean(1).max() * 0.97


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_nothing_counts_it_has_no_value(case: Case) -> None:
    _, field = example(case)
    nothing = field[3:4].expand_as(field)
    found = constant_metrics([task_of(case)], samples_of({"it": nothing}, {"it": case}))["it"]
    assert np.isnan(list(found.values())).all()
