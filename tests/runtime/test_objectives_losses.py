from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.objectives import BatchLosses, LossTotals, make_loss, task_losses
from mtsldsl.runtime.objectives.by_target import OBJECTIVES
from mtsldsl.runtime.objectives.losses import effective_number_weights
from mtsldsl.runtime.objectives.totals import Joint
from tests import records
from tests.numbers import independent
from tests.numbers.cases import Case, task_of

IGNORE = 255
TARGET_OF = {
    "classes": Target("classes", 4, IGNORE),
    "values": Target("values", 1, valid="positive"),
    "unit_vectors": Target("unit_vectors", 3),
    "binary": Target("binary", 1),
    "reconstruct": Target("reconstruct", 3),
}
EVERY = [(kind, loss.name) for kind, rule in TARGETS.items() for loss in rule.losses]
SHAPES = [(3, 5, 4), (6,)]
"""Samples of 5x4 pixels, and plain samples."""


def loss_of(kind: str, name: str, **arguments: float | bool):
    return make_loss(TARGET_OF[kind], records.loss_of(TARGET_OF[kind], name, **arguments))


def example(kind: str, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """A prediction and a target in which some entries do not count."""
    generator = torch.Generator().manual_seed(seed)
    samples, pixels = shape[0], shape[1:]
    prediction = torch.randn((samples, TARGET_OF[kind].channels, *pixels), generator=generator)
    if kind == "classes":
        target = torch.randint(0, 4, shape, generator=generator)
        return prediction, torch.where(torch.rand(shape, generator=generator) < 0.3, IGNORE, target)
    target = torch.randn(prediction.shape, generator=generator)
    if kind == "unit_vectors":
        target = torch.nn.functional.normalize(target, dim=1)
        return prediction, target * (torch.rand((samples, 1, *pixels), generator=generator) < 0.7)
    return prediction, (target > 0).float() if kind == "binary" else target


def last(values: Tensor) -> np.ndarray:
    """In float64 with channels last, one row per pixel."""
    return values.movedim(1, -1).reshape(-1, values.shape[1]).double().numpy()


def expected(kind: str, name: str, prediction: Tensor, target: Tensor) -> float:
    return independent.loss(kind, name, *rows(kind, prediction, target))


def rows(kind: str, prediction: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, truth and what counts, a row an entry."""
    p, t = last(prediction), last(target if target.dim() == prediction.dim() else target.unsqueeze(1))
    counts = {"classes": t != IGNORE, "values": t > 0, "unit_vectors": np.abs(t).sum(1, keepdims=True) > 0}
    return p, t, counts.get(kind, np.isfinite(t))


def test_the_losses_are_those_of_the_table() -> None:
    assert {(kind, name) for kind, each in OBJECTIVES.items() for name in each.losses} == set(EVERY)


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "vectors"])
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_loss_has_the_value_of_its_definition(kind: str, name: str, shape: tuple[int, ...]) -> None:
    prediction, target = example(kind, shape)
    assert loss_of(kind, name)(prediction, target).item() == pytest.approx(
        expected(kind, name, prediction, target), rel=1e-5
    )


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_loss_is_a_float32_scalar_on_short_floats_and_under_autocast(kind: str, name: str) -> None:
    prediction, target = example(kind, SHAPES[0])
    short = prediction.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss_of(kind, name)(short, target)
    assert (value.dtype, value.shape) == (torch.float32, ())
    assert value.item() == pytest.approx(loss_of(kind, name)(short.float(), target).item(), rel=1e-6)


@pytest.mark.parametrize(("kind", "name"), [pair for pair in EVERY if pair[0] != "classes"])
def test_the_gradient_of_a_loss_is_that_of_finite_differences(kind: str, name: str) -> None:
    prediction, target = example(kind, (2, 3, 2))
    prediction = prediction.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss_of(kind, name)(p, target), prediction)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_loss_never_looks_at_the_data_on_the_host(kind: str, name: str) -> None:
    # meta tensors have no data: whatever needs it, `item` or a selection by mask, raises
    prediction, target = (values.to("meta") for values in example(kind, SHAPES[0]))
    loss_of(kind, name)(prediction.requires_grad_(), target).backward()


NOTHING_VALID = {
    "classes": torch.full((2, 3, 3), IGNORE),
    "values": torch.zeros(2, 1, 3, 3),
    "unit_vectors": torch.zeros(2, 3, 3, 3),
    "binary": torch.full((2, 1, 3, 3), torch.nan),
    "reconstruct": torch.full((2, 3, 3, 3), torch.nan),
}


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_where_nothing_is_valid_the_loss_and_its_gradient_are_zero(kind: str, name: str) -> None:
    prediction = torch.randn(2, TARGET_OF[kind].channels, 3, 3, requires_grad=True)
    value = loss_of(kind, name)(prediction, NOTHING_VALID[kind])
    value.backward()
    assert value.item() == 0
    assert prediction.grad is not None
    assert not prediction.grad.any()


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_prediction_of_zero_has_a_finite_gradient(kind: str, name: str) -> None:
    prediction, target = example(kind, SHAPES[0])
    zero = torch.zeros_like(prediction, requires_grad=True)
    loss_of(kind, name)(zero, target).backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    assert zero.grad.any()


@pytest.mark.parametrize("kind", ["values", "unit_vectors", "reconstruct"])
def test_a_perfect_prediction_has_loss_zero_and_no_gradient_that_is_not_a_number(kind: str) -> None:
    _, target = example(kind, SHAPES[0])
    for rule in TARGETS[kind].losses:
        prediction = target.clone().requires_grad_()
        value = loss_of(kind, rule.name)(prediction, target)
        value.backward()
        assert value.item() == pytest.approx(0, abs=1e-6)
        assert prediction.grad is not None
        assert prediction.grad.isfinite().all()


@pytest.mark.parametrize(("kind", "name"), [pair for pair in EVERY if pair[0] != "binary"])
def test_what_stands_where_the_target_does_not_count_changes_nothing(kind: str, name: str) -> None:
    prediction, target = example(kind, SHAPES[0])
    if kind == "classes":
        hidden = (target == IGNORE).unsqueeze(1)
    elif kind == "reconstruct":
        target[0, 0, 0, 0] = torch.nan
        hidden = target.isnan()
    else:
        hidden = (target <= 0) if kind == "values" else (target == 0).all(1, keepdim=True)
    other = torch.where(hidden, 7.0, prediction).requires_grad_()
    value = loss_of(kind, name)(other, target)
    value.backward()
    assert value.item() == loss_of(kind, name)(prediction, target).item()
    assert other.grad is not None
    assert not torch.where(hidden, other.grad, 0.0).any()


def test_values_may_be_negative_unless_the_target_says_otherwise() -> None:
    prediction, target = torch.tensor([[1.0], [1.0]]), torch.tensor([[-1.0], [2.0]])
    assert make_loss(Target("values", 1), records.loss_of(Target("values", 1), "l1"))(prediction, target).item() == 1.5
    assert loss_of("values", "l1")(prediction, target).item() == 1.0


def test_plain_values_may_come_without_a_channel_dimension() -> None:
    prediction, target = torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 2.0])
    assert loss_of("values", "l1")(prediction, target).item() == 1.5


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        loss_of("values", "l1")(torch.ones(4, 1, 2, 2), torch.ones(4, 1, 1, 1))


def test_a_rare_class_weighs_more_and_an_absent_one_nothing() -> None:
    prediction = torch.zeros(1, 4, 1, 10, requires_grad=True)
    target = torch.tensor([[[0] * 9 + [1]]])
    loss_of("classes", "class_balanced", beta=0.999)(prediction, target).backward()
    assert prediction.grad is not None
    common, rare = prediction.grad[0, 0, 0, :9].sum(), prediction.grad[0, 1, 0, 9]
    assert rare.item() == pytest.approx(common.item(), rel=0.01)  # 1 / effective number is nearly 1 / n for small n


def test_the_weights_of_the_classes_in_a_batch_average_to_one_and_an_absent_class_has_none() -> None:
    weights = effective_number_weights(torch.tensor([1000, 10, 0, 0]), 0.999)
    wanted = np.array([1 / (1 - 0.999**1000), 1 / (1 - 0.999**10), 0, 0])
    np.testing.assert_allclose(weights.numpy(), wanted / wanted.sum() * 2, rtol=1e-5)


def test_at_beta_zero_class_balanced_is_cross_entropy() -> None:
    prediction, target = example("classes", SHAPES[0])
    balanced = loss_of("classes", "class_balanced", beta=0.0)(prediction, target)
    torch.testing.assert_close(balanced, loss_of("classes", "cross_entropy")(prediction, target))


def test_label_smoothing_is_that_of_torch() -> None:
    prediction, target = example("classes", SHAPES[0])
    theirs = torch.nn.CrossEntropyLoss(ignore_index=IGNORE, label_smoothing=0.1)(prediction, target)
    torch.testing.assert_close(loss_of("classes", "cross_entropy", label_smoothing=0.1)(prediction, target), theirs)


def test_a_positive_weight_of_one_half_halves_bce() -> None:
    prediction, target = example("binary", SHAPES[0])
    half = loss_of("binary", "balanced_bce", positive_weight=0.5)(prediction, target)
    torch.testing.assert_close(2 * half, loss_of("binary", "bce")(prediction, target))


def test_the_length_of_a_predicted_vector_does_not_matter() -> None:
    prediction, target = example("unit_vectors", SHAPES[0])
    for name in ("cosine", "l1"):
        torch.testing.assert_close(
            loss_of("unit_vectors", name)(prediction, target),
            loss_of("unit_vectors", name)(9 * prediction, target),
            atol=1e-6,
            rtol=1e-4,
        )


@settings(max_examples=30, deadline=None)
@given(pair=st.sampled_from(EVERY), seed=st.integers(0, 999))
def test_the_order_of_the_samples_does_not_matter(pair: tuple[str, str], seed: int) -> None:
    prediction, target = example(pair[0], (5, 2, 3), seed)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    loss = loss_of(*pair)
    torch.testing.assert_close(loss(prediction, target), loss(prediction[order], target[order]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adding_up_batches_leaves_each_batch_as_it_is(dtype: torch.dtype) -> None:
    function = loss_of("reconstruct", "mse")
    totals, sums, count = LossTotals(), 0.0, 0
    for seed in range(3):
        prediction, target = example("reconstruct", SHAPES[0], seed)
        joint = Joint.of(("task",), function, [prediction.to(dtype)], [target.to(dtype)])
        parts, batch = joint.sums, BatchLosses([joint], {"task": joint.losses})
        before = [part.clone() for part in parts]
        totals.add(batch)
        totals.add(batch)
        assert all(torch.equal(part, kept) for part, kept in zip(parts, before, strict=True))
        assert dict(batch.labelled()) == {"task": torch.tensor(True)}
        sums += 2 * float(before[0])
        count += 2 * int(before[1])
    assert totals.values()["task"] == pytest.approx(sums / count, rel=1e-12)


# tasks that are alike, computed at once


def alike(
    pair: tuple[str, str], shapes: list[tuple[int, ...]], seed: int
) -> tuple[list[Task], dict[str, Tensor], dict[str, Tensor]]:
    """Tasks with equal targets and losses, their outputs, and a batch; the second task has no label in it."""
    kind, name = pair
    tasks: list[Task] = []
    outputs: dict[str, Tensor] = {}
    batch: dict[str, Tensor] = {}
    for number, shape in enumerate(shapes):
        task = task_of(Case(kind, TARGET_OF[kind], ()), records.loss_of(TARGET_OF[kind], name), f"task{number}")
        prediction, target = example(kind, shape, seed + number)
        if number == 1:
            target = torch.full_like(target, IGNORE) if kind == "classes" else torch.full_like(target, torch.nan)
        tasks.append(task)
        outputs[task.name], batch[task.field_name] = prediction.requires_grad_(), target
    return tasks, outputs, batch


@settings(max_examples=30, deadline=None)
@given(
    pair=st.sampled_from(EVERY),
    shape=st.sampled_from([(6,), (1,), *SHAPES]),
    count=st.integers(2, 4),
    seed=st.integers(0, 999),
)
def test_losses_computed_at_once_are_those_of_each_task(
    pair: tuple[str, str], shape: tuple[int, ...], count: int, seed: int
) -> None:
    found = []
    for together in (False, True):
        totals, gradients = LossTotals(), []
        for shapes in ([shape] * count, [(4, *shape[1:])] * count, [shape, (2 + shape[0], *shape[1:])] * 2):
            tasks, outputs, batch = alike(pair, shapes, seed)
            losses = BatchLosses.of(tasks, task_losses(tasks), outputs, batch, together=together)
            assert list(losses.values) == list(outputs)
            weighted = torch.stack([(1 + place) * loss for place, loss in enumerate(losses.values.values())])
            gradients += torch.autograd.grad(weighted.sum(), list(outputs.values()))
            labelled = {name: bool(any_) for name, any_ in losses.labelled().items()}
            assert labelled == {
                task.name: bool(valid_entries(task.target, batch[task.field_name]).any()) for task in tasks
            }
            assert not labelled["task1"]
            totals.add(losses)
            gradients += [loss.detach() for loss in losses.values.values()]
        found.append((gradients, torch.tensor(list(totals.values().values())), list(totals.values())))
    (apart, sums_apart, names_apart), (at_once, sums_at_once, names_at_once) = found
    torch.testing.assert_close(at_once, apart, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(sums_at_once, sums_apart, rtol=1e-6, atol=0, equal_nan=True)
    assert names_at_once == names_apart


@pytest.mark.parametrize(
    ("pair", "shape", "computed"),
    [
        (("classes", "cross_entropy"), (6,), 1),
        (("binary", "bce"), (6,), 1),
        (("values", "rmse"), (6,), 1),
        (("classes", "class_balanced"), (6,), 3),
        (("binary", "bce"), (6, 5, 4), 3),
    ],
)
def test_rows_of_tasks_that_are_alike_are_one_computation(
    pair: tuple[str, str], shape: tuple[int, ...], computed: int
) -> None:
    tasks, outputs, batch = alike(pair, [shape] * 3, 0)
    assert len(BatchLosses.of(tasks, task_losses(tasks), outputs, batch, together=True).joint) == computed
    assert len(BatchLosses.of(tasks, task_losses(tasks), outputs, batch).joint) == 3
