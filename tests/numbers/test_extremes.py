"""Numbers of extreme scale, or far from zero: what is reported is still what they are, whatever the batch."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error, r2_score

from mtsldsl.ir.task_record import Target
from mtsldsl.language.holding import named
from mtsldsl.language.schema import BALANCES
from mtsldsl.language.targets import metric_key
from mtsldsl.runtime.data.array_labels import binary_column, class_column
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.learning.balance import make_balance
from mtsldsl.runtime.objectives import MetricSet, make_loss
from tests.records import loss_of, metric_of
from tests.runtime.data.factories import task

VECTORS = Target("unit_vectors", 3)
RANDOM = np.random.default_rng(11)


def measured(target: Target, names: tuple[str, ...], p: np.ndarray, t: np.ndarray, batch: int) -> dict[str, float]:
    found = MetricSet(
        attrs.evolve(task("it", target, dense=False), metrics=tuple(metric_of(target, name) for name in names))
    )
    for start in range(0, len(p), batch):
        found.update(torch.tensor(p[start : start + batch]), torch.tensor(t[start : start + batch]))
    return found.compute()


@pytest.mark.parametrize("batch", [1, 7, 50, 1000])
@pytest.mark.parametrize("scale", [1.0, 1e5, 1e7, -2.46e6])
def test_r2_far_from_zero_is_that_of_scikit_learn_whatever_the_batch(scale: float, batch: int) -> None:
    t = (scale + np.round(RANDOM.normal(size=(1000, 2)) * [1, 3])).astype(np.float32)
    p = (t - 0.4 * RANDOM.normal(size=t.shape)).astype(np.float32)
    t[5, 0] = np.nan
    found = measured(Target("values", 2), ("r2",), p, t, batch)
    keep = np.isfinite(t[:, 0])
    t, p = t.astype(float), p.astype(float)  # scikit-learn computes in the type of the labels
    wanted = np.mean([r2_score(t[keep, 0], p[keep, 0]), r2_score(t[:, 1], p[:, 1])])
    assert found["r2"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-24, 1e-20, 1e20])
def test_errors_of_any_scale_are_right(scale: float) -> None:
    t = (scale * (1 + RANDOM.random((50, 1)))).astype(np.float32)
    p = (1.1 * t).astype(np.float32)
    found = measured(Target("values", 1), ("rmse", "delta1", "r2"), p, t, 7)
    assert found["rmse"] == pytest.approx(mean_squared_error(t.astype(float), p.astype(float)) ** 0.5, rel=1e-5)
    assert found["delta1"] == 1
    assert found["r2"] == pytest.approx(r2_score(t.astype(float) / scale, p.astype(float) / scale), rel=1e-5)


@pytest.mark.parametrize("length", [1e-30, 1e-24, 1e-10, 1e-5, 1e-3, 1.0, 1e10, 1e25])
def test_directions_are_measured_whatever_the_length_of_the_prediction(length: float) -> None:
    t = RANDOM.normal(size=(40, 3))
    t = (t / np.linalg.norm(t, axis=1, keepdims=True)).astype(np.float32)
    p = t + 0.3 * RANDOM.normal(size=t.shape)
    p = p / np.linalg.norm(p, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((p * t).sum(1), -1, 1)))
    found = measured(Target("unit_vectors", 3), ("mean_angle",), (length * p).astype(np.float32), t, 7)
    assert found["mean_angle"] == pytest.approx(angles.mean(), rel=1e-4)


@pytest.mark.parametrize("length", [1e-15, 1e-10, 1e-5, 1e-4, 1e-3, 1.0, 1e10])
def test_losses_of_directions_are_exact_and_their_gradient_has_a_bound(length: float) -> None:
    t = RANDOM.normal(size=(40, 3))
    t = t / np.linalg.norm(t, axis=1, keepdims=True)
    p = t + 0.3 * RANDOM.normal(size=t.shape)
    p = p / np.linalg.norm(p, axis=1, keepdims=True)
    wanted = {"cosine": 1 - (p * t).sum(1).mean(), "l1": np.abs(p - t).mean()}
    for name, value in wanted.items():
        prediction = torch.tensor(length * p, dtype=torch.float32, requires_grad=True)
        loss = make_loss(VECTORS, loss_of(VECTORS, name))(prediction, torch.tensor(t, dtype=torch.float32))
        assert loss.item() == pytest.approx(value, rel=1e-4), name
        loss.backward()
        assert prediction.grad is not None
        assert prediction.grad.abs().max() <= 1e4


IGNORED = [(dtype, each) for dtype in (np.float16, np.float32, np.float64) for each in (-9999, 9999, 2049, -2049)]


@pytest.mark.parametrize(("dtype", "ignore"), [*IGNORED, (np.float32, 16_777_217), (np.float64, 2**53 + 1)])
def test_a_number_that_is_ignored_does_not_count_though_its_type_rounds_it(dtype: type, ignore: int) -> None:
    array = np.array([0, 1, ignore, 1, ignore]).astype(dtype)
    for target, read in ((Target("binary", 1, ignore), binary_column), (Target("classes", 3, ignore), class_column)):
        labels = read("it", array, target).tensor()
        assert valid_entries(target, labels.float() if target.kind == "binary" else labels.long()).tolist() == [
            True, True, False, True, False,
        ]  # fmt: skip


def test_metrics_of_near_arguments_have_names_of_their_own() -> None:
    degrees = (90.0, 90.00001, 11.25, 11.2500001, 179.99999, 180.0, 30.0)
    names = [metric_key(metric_of(VECTORS, "within", degrees=each)) for each in degrees]
    assert names == [
        "within_90", "within_90.00001", "within_11.25", "within_11.2500001", "within_179.99999", "within_180",
        "within_30",
    ]  # fmt: skip
    assert metric_key(metric_of(Target("binary", 1), "f1", threshold=0.5)) == "f1"
    assert metric_key(metric_of(Target("binary", 1), "f1", threshold=0.3333333)) != metric_key(
        metric_of(Target("binary", 1), "f1", threshold=0.3333334)
    )


@pytest.mark.parametrize("balance", ["pcgrad", "mgda", "cagrad", "upgrad"])
@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e12, 1e25])
def test_gradients_of_any_scale_are_balanced_as_those_of_a_usual_one(balance: str, scale: float) -> None:
    def gradient(factor: float) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, -1.0]))
        rows = torch.tensor([[1.0, 2.0, 0.5], [-2.0, 0.5, 1.0]])
        losses = {name: factor * (row * weight).sum() for name, row in zip("ab", rows, strict=True)}
        torch.manual_seed(0)
        make_balance(named(BALANCES, balance), ("a", "b"), {"a": 1.0, "b": 1.0}).backward(losses, None, [weight])
        assert weight.grad is not None
        return weight.grad / factor

    torch.testing.assert_close(gradient(scale), gradient(1.0), rtol=1e-3, atol=1e-4)
