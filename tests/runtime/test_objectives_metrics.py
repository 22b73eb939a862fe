from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.body import Body
from mtsldsl.ir.task_record import Target, misfit_of_objective
from mtsldsl.language.constants import Named
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.objectives import MetricSet, higher_is_better, metric_key
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.objectives.metrics import angles
from tests.numbers import independent
from tests.records import metric_of, task_of
from tests.runtime.test_objectives_losses import IGNORE, TARGET_OF, example, rows

DENSE = Body(("image",), ((3, 8, 8),), (), "image", (3, 8, 8))
ROW = Body(("row",), ((3,),), (), "row", (3,))


def fitting(kind: str, *, dense: bool) -> list[str]:
    """The metrics that answers for each pixel may have, or for a sample."""
    valid = TARGET_OF[kind].valid
    return [each.name for each in TARGETS[kind].metrics if misfit_of_objective(each, valid, dense=dense) is None]


def metrics_of(
    kind: str, *metrics: Named, target: Target | None = None, loss: Named | None = None, dense: bool = True
) -> MetricSet:
    """By default all that fit."""
    of = target or TARGET_OF[kind]
    chosen = metrics or tuple(metric_of(of, name) for name in fitting(kind, dense=dense))
    return MetricSet(task_of("it", of, DENSE if dense else ROW, loss, chosen), thresholds=None)


def metric(kind: str, name: str, **arguments: float) -> Named:
    return metric_of(TARGET_OF[kind], name, **arguments)


def measured(metrics: MetricSet, *batches: tuple[Tensor, Tensor]) -> dict[str, float]:
    metrics.reset()
    for prediction, target in batches:
        metrics.update(prediction, target)
    return metrics.compute()


def expected(kind: str, prediction: Tensor, target: Tensor, *, dense: bool) -> dict[str, float]:
    found = independent.metrics(kind, *rows(kind, prediction, target))
    keys = [metric_key(metric(kind, name)) for name in fitting(kind, dense=dense)]
    return {key: float(np.mean(found[key])) for key in keys}


def assert_same(kind: str, one: Mapping[str, float], other: Mapping[str, float]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert value == pytest.approx(other[key], rel=1e-5, abs=1e-6, nan_ok=True), key


def test_the_metrics_are_those_of_the_table() -> None:
    assert {kind: list(each.metrics) for kind, each in OBJECTIVES.items()} == {
        kind: [metric.name for metric in rule.metrics] for kind, rule in TARGETS.items()
    }


@pytest.mark.parametrize("shape", [(30, 8, 8), (400,)], ids=["dense", "vectors"])
@pytest.mark.parametrize("kind", TARGETS)
def test_metrics_have_the_values_of_their_definitions(kind: str, shape: tuple[int, ...]) -> None:
    prediction, target = example(kind, shape)
    dense = len(shape) == 3
    values = measured(metrics_of(kind, dense=dense), (prediction, target))
    wanted = expected(kind, prediction, target, dense=dense)
    if kind == "unit_vectors":
        assert values.pop("median_angle") == pytest.approx(wanted.pop("median_angle"), abs=0.011)
    assert_same(kind, values, wanted)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_batch_is_added_without_looking_at_the_data_on_the_host(kind: str) -> None:
    # meta tensors have no data: whatever needs it, `item` or a selection by mask, raises
    metrics = metrics_of(kind)
    for _ in range(2):
        metrics.update(*(values.to("meta") for values in example(kind, (3, 5, 4))))


def test_the_median_angle_is_within_a_bin_of_the_exact_one() -> None:
    degrees = torch.rand(20_001, generator=torch.Generator().manual_seed(1)) * 40
    radians = torch.deg2rad(degrees)
    prediction = torch.stack([radians.cos(), radians.sin(), torch.zeros_like(radians)], dim=1)
    target = torch.tensor([1.0, 0.0, 0.0]).expand_as(prediction)
    value = measured(metrics_of("unit_vectors", metric("unit_vectors", "median_angle")), (prediction, target))[
        "median_angle"
    ]
    assert value == pytest.approx(degrees.median().item(), abs=0.011)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(list(TARGETS)),
    seed=st.integers(0, 999),
    cuts=st.sets(st.integers(1, 7), max_size=4),
)
def test_neither_the_batches_nor_the_order_of_the_samples_matter(kind: str, seed: int, cuts: set[int]) -> None:
    prediction, target = example(kind, (8, 3, 4), seed)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    pieces = list(
        zip(prediction[order].tensor_split(sorted(cuts)), target[order].tensor_split(sorted(cuts)), strict=True)
    )
    metrics = metrics_of(kind)
    assert_same(kind, measured(metrics, (prediction, target)), measured(metrics, *pieces))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_miou_f1_and_r2_are_those_of_torchmetrics(seed: int) -> None:
    from torchmetrics.functional import r2_score
    from torchmetrics.functional.classification import binary_f1_score, multiclass_jaccard_index

    prediction, target = example("classes", (2, 5, 5), seed)
    theirs = multiclass_jaccard_index(prediction, target, num_classes=4, ignore_index=IGNORE)
    assert measured(metrics_of("classes"), (prediction, target))["miou"] == pytest.approx(theirs.item(), rel=1e-5)
    prediction, target = example("binary", (40,), seed)
    theirs = binary_f1_score(prediction.sigmoid(), target.long())
    assert measured(metrics_of("binary"), (prediction, target))["f1"] == pytest.approx(theirs.item(), rel=1e-5)
    prediction, target = example("values", (60,), seed)
    kept = target > 0
    theirs = r2_score(prediction[kept], target[kept])
    assert measured(metrics_of("values"), (prediction, target))["r2"] == pytest.approx(theirs.item(), rel=1e-3)


def test_a_class_neither_predicted_nor_given_is_left_out_of_miou() -> None:
    prediction = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 3]), 4).float()
    labels = torch.tensor([0, 1, 1, IGNORE])
    value = measured(metrics_of("classes", metric("classes", "miou")), (prediction, labels))["miou"]
    assert value == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_miou_is_over_the_set_and_not_a_mean_over_batches() -> None:
    one_hot = torch.nn.functional.one_hot
    first = (one_hot(torch.tensor([0, 0, 0]), 4).float(), torch.tensor([0, 0, 0]))
    second = (one_hot(torch.tensor([0]), 4).float(), torch.tensor([1]))
    value = measured(metrics_of("classes", metric("classes", "miou")), first, second)["miou"]
    assert value == pytest.approx((3 / 4 + 0) / 2)


def test_an_ignored_class_may_be_one_of_the_classes() -> None:
    prediction = torch.nn.functional.one_hot(torch.tensor([0, 1, 1]), 4).float()
    metrics = metrics_of("classes", metric("classes", "pixel_accuracy"), target=Target("classes", 4, 0))
    assert measured(metrics, (prediction, torch.tensor([0, 1, 2])))["pixel_accuracy"] == 0.5


def test_depth_that_is_not_positive_was_predicted_wrongly_for_delta1() -> None:
    metrics = metrics_of("values", metric("values", "delta1"))
    values = measured(metrics, (torch.tensor([[-1.0], [0.0], [1.0]]), torch.ones(3, 1)))
    assert values["delta1"] == pytest.approx(1 / 3)


def test_metrics_count_the_targets_that_the_loss_learns_from() -> None:
    batch = (torch.tensor([[1.0], [1.0]]), torch.tensor([[-1.0], [2.0]]))
    everything = metrics_of("values", metric("values", "mae"), target=Target("values", 1))
    assert measured(everything, batch)["mae"] == 1.5
    assert measured(metrics_of("values", metric("values", "mae")), batch)["mae"] == 1.0


def test_small_angles_are_exact_and_a_zero_vector_is_at_right_angles() -> None:
    tiny = math.radians(1e-3)
    prediction = torch.tensor([[5 * math.cos(tiny), 5 * math.sin(tiny), 0.0], [0.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])
    target = torch.tensor([1.0, 0.0, 0.0]).expand(3, 3)
    assert angles(prediction, target).flatten().tolist() == pytest.approx([1e-3, 90.0, 180.0], rel=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in TARGETS if kind != "reconstruct"])
def test_a_metric_that_nothing_went_into_is_not_a_number(kind: str) -> None:
    prediction, target = example(kind, (2, 3, 3))
    nothing = {"classes": IGNORE, "values": 0, "unit_vectors": 0, "binary": torch.nan}[kind]
    values = measured(metrics_of(kind), (prediction, torch.full_like(target, nothing)))
    assert all(math.isnan(value) for value in values.values()), values


def test_without_a_batch_there_is_nothing_to_measure() -> None:
    metrics = metrics_of("classes")
    with pytest.raises(MtlError, match="MTL804"):
        metrics.compute()
    metrics.update(*example("classes", (2, 3, 3)))
    metrics.reset()
    with pytest.raises(MtlError, match="MTL804"):
        metrics.compute()


def test_logits_between_zero_and_one_are_still_logits() -> None:
    metrics = metrics_of("binary", metric("binary", "f1"))
    assert measured(metrics, (torch.tensor([[0.2], [0.3]]), torch.ones(2, 1)))["f1"] == 1.0


def test_a_metric_is_reported_with_its_argument_where_that_is_not_the_default() -> None:
    assert metric_key(metric("unit_vectors", "within", degrees=11.25)) == "within_11.25"
    assert metric_key(metric("unit_vectors", "within", degrees=30)) == "within_30"
    assert metric_key(metric("unit_vectors", "within")) == "within_11.25"
    assert metric_key(metric("binary", "f1", threshold=0.5)) == "f1"
    assert metric_key(metric("binary", "f1", threshold=0.3)) == "f1_0.3"
    assert metric_key(metric("unit_vectors", "mean_angle")) == "mean_angle"


def test_one_task_may_have_a_metric_at_several_arguments() -> None:
    metrics = metrics_of(
        "unit_vectors", *(metric("unit_vectors", "within", degrees=degrees) for degrees in (11.25, 22.5, 30))
    )
    values = measured(metrics, example("unit_vectors", (400,)))
    assert list(values) == ["within_11.25", "within_22.5", "within_30"] == list(metrics.names)
    assert values["within_11.25"] < values["within_22.5"] < values["within_30"]


def test_the_direction_of_a_metric_is_that_of_the_table_whatever_its_kind_and_argument() -> None:
    for rule in TARGETS.values():
        for known in rule.metrics:
            assert higher_is_better(metric_key(metric(rule.kind, known.name))) == known.higher_is_better
    assert higher_is_better("within_22.5")
    assert not metrics_of("values").higher_is_better("rmse")


def test_an_unknown_metric_has_no_direction() -> None:
    with pytest.raises(MtlError, match="MTL107"):
        higher_is_better("beauty")
