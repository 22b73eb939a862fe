"""Labels for each token: a target like any other, in losses, metrics, scales, files, predictions and export."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads
from mtsldsl.editing.checking import check
from mtsldsl.ir import Task
from mtsldsl.ir.body import Body
from mtsldsl.ir.task_record import Target, misfit_of_objective
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.data import FieldKind, batches, describe, load_data
from mtsldsl.runtime.data.masks import valid_entries
from mtsldsl.runtime.data.new_inputs import new_inputs
from mtsldsl.runtime.data.overview import overview
from mtsldsl.runtime.data.samples import Scale
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.prediction import predictions
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.portable import Portable, as_file
from mtsldsl.runtime.objectives import BatchLosses, LossTotals, MetricSet, task_losses
from mtsldsl.runtime.objectives.token_answers import as_given, channels_first, in_units
from tests.numbers import independent
from tests.records import loss_of, metric_of, task_of
from tests.runtime.started import CPU
from tests.runtime.test_accumulate import one_by_one, steps, training, weights
from tests.runtime.test_objectives_losses import TARGET_OF, example, rows

KINDS = [kind for kind in TARGETS if kind != "reconstruct"]
LENGTH = 5

TEXT = """\
mtl 1

data arrays {
  path  = "tokens.npz"
  input = steps(5, 3)
  batch = 8
}

task part {
  target  = classes(4, ignore=9)
  head    = linear(outputs)
  metrics = [accuracy, auroc]
}

task level {
  target = values(2, scale=standard)
  head   = linear(outputs)
}

task on {
  target = binary(1)
  head   = linear(outputs)
}

task way {
  target = unit_vectors(3)
  head   = linear(outputs)
}

task kind {
  target = classes(3)
  head   = mean_tokens | linear(outputs)
}

backbone {
  stem = conv1d(8, 3) | batch_norm | relu
}

train {
  epochs = 2
}
"""


def task(kind: str, loss: str | None = None, metrics: tuple[str, ...] = ()) -> Task:
    target = TARGET_OF[kind]
    shape = (LENGTH, target.channels)
    head = Body(("stem",), (shape,), (), "stem", shape)
    chosen = tuple(metric_of(target, name) for name in metrics)
    return task_of("it", target, head, loss_of(target, loss), chosen, field="it")


def saved(path: Path, count: int = 60, **others: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays as a person has them, channels last."""
    random = np.random.default_rng(0)
    steps = random.normal(size=(count, 5, 3)).astype(np.float32)
    part = steps.argmax(2)
    part[::3, 0] = 9
    level = np.stack([steps.sum(2) * 100 + 500, steps[..., 0]], axis=2)
    level[3] = np.nan
    arrays = {"steps": steps, "part": part, "level": level, "on": steps[..., 0] > 0, "way": steps, "kind": part[:, 1]}
    arrays |= others
    np.savez(path, **arrays)
    return arrays


# Objectives -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "loss"), [(kind, loss.name) for kind in KINDS for loss in TARGETS[kind].losses])
def test_a_loss_is_its_definition_over_the_tokens_that_count(kind: str, loss: str) -> None:
    prediction, target = example(kind, (4, LENGTH))
    learned = task(kind, loss)
    output = prediction.movedim(1, -1)
    losses = BatchLosses.of([learned], task_losses([learned]), {"it": output}, {"it": target})
    (value,) = losses.values.values()
    totals = LossTotals()
    totals.add(losses)
    totals.add(losses)
    assert totals.counts() == {"it": 2 * int(valid_entries(learned.target, target).sum())}
    assert float(value) == pytest.approx(independent.loss(kind, loss, *rows(kind, prediction, target)), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_is_its_definition_over_the_tokens_that_count(kind: str) -> None:
    prediction, target = example(kind, (4, LENGTH))
    wanted = independent.metrics(kind, *rows(kind, prediction, target))
    valid = TARGET_OF[kind].valid
    names = tuple(each.name for each in TARGETS[kind].metrics if misfit_of_objective(each, valid, dense=False) is None)
    measured = MetricSet(task(kind, metrics=names), thresholds=None)
    measured.update(channels_first(measured.task, prediction.movedim(1, -1)), target)
    for name, value in measured.compute().items():
        assert value == pytest.approx(float(np.mean(wanted[name])), rel=1e-5, abs=1e-6), name


def test_cross_entropy_and_its_gradient_are_those_of_torch_along_a_sequence() -> None:
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(3, LENGTH, 4, generator=generator, requires_grad=True)
    labels = torch.randint(0, 4, (3, LENGTH), generator=generator)
    labels[0, :2] = 255
    learned = task("classes")
    (ours,) = BatchLosses.of([learned], task_losses([learned]), {"it": output}, {"it": labels}).values.values()
    theirs = nn.CrossEntropyLoss(ignore_index=255)(output.transpose(1, 2), labels)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(each, output)[0] for each in (ours, theirs)))


def test_the_channels_of_what_a_head_gives_come_first_and_go_back() -> None:
    output = torch.randn(2, LENGTH, 4)
    learned = task("classes")
    assert torch.equal(channels_first(learned, output)[:, 3], output[..., 3])
    assert torch.equal(as_given(learned, channels_first(learned, output)), output)
    labels = output.argmax(2)
    assert torch.equal(as_given(learned, labels), labels)
    again = attrs.evolve(learned, target=Target("reconstruct", LENGTH), loss=loss_of(Target("reconstruct", LENGTH)), metrics=(metric_of(Target("reconstruct", LENGTH), "mse"),))  # fmt: skip
    assert channels_first(again, output) is output


# Data -----------------------------------------------------------------------------------------------------------------


def test_arrays_have_channels_last_and_samples_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = loads(TEXT)
    arrays = saved(tmp_path / "tokens.npz")
    splits = load_data(spec)
    train = splits.train
    where = {tuple(row): number for number, row in enumerate(arrays["steps"].reshape(60, -1).tolist())}
    order = [where[tuple(row)] for row in train.fields["steps"].flatten(1).tolist()]
    assert train.layout["on"] is FieldKind.EDGE
    assert torch.equal(
        train.fields["part"].long(), torch.from_numpy(np.where(arrays["part"] == 9, 9, arrays["part"])[order])
    )
    np.testing.assert_array_equal(train.fields["level"].movedim(1, -1), arrays["level"][order].astype(np.float32))
    assert train.fields["on"].shape == (len(train), 1, LENGTH)
    found = describe(spec, splits)["train"]["labels"]
    assert found["part"]["entries"] == int((arrays["part"][order] != 9).sum())
    assert found["level"] == {
        "samples": len(train) - (3 in order),
        "entries": 10 * (len(train) - (3 in order)),
        "of": 10 * len(train),
    }
    known = arrays["level"][order].reshape(-1, 2)
    np.testing.assert_allclose(train.scales["level"].mean, np.nanmean(known, 0), rtol=1e-5)
    np.testing.assert_allclose(train.scales["level"].deviation, np.nanstd(known, 0), rtol=1e-5)
    targets = overview(spec, splits)["targets"]
    assert (targets["level"]["shape"], targets["part"]["shape"]) == ([5, 2], [5])
    assert targets["part"]["counts"]["train"] == np.bincount(arrays["part"][order].ravel(), minlength=10)[:4].tolist()
    batch = next(batches(train, 4))
    assert batch["level"].shape == (4, 2, LENGTH)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("on", lambda array: array[..., None], None),
        ("part", lambda array: array[..., None], None),
        ("part", lambda array: array[:, 0], r"one answer(.|\n)*`mean_tokens \| linear\(4\)`"),
        ("part", lambda array: np.eye(10)[array][..., :4], r"argmax\(axis=-1\)"),
        ("level", lambda array: np.moveaxis(array, 1, -1), r"numpy\.moveaxis\(array, 1, -1\)"),
        ("level", lambda array: array[:, :4], r"4 x 2, but the spec's is 5 x 2(.|\n)*pad or cut"),
        ("part", lambda array: array[:, :3], r"3, but the spec's is 5(.|\n)*pad or cut"),
    ],
)  # fmt: skip
def test_arrays_of_other_shapes_are_taken_or_refused_with_what_to_do(
    name: str, change: object, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    array = saved(tmp_path / "tokens.npz")[name]
    assert callable(change)
    saved(tmp_path / "tokens.npz", **{name: change(array)})
    if message is None:
        assert load_data(loads(TEXT)).train.fields[name].shape[-1] == LENGTH
    else:
        with pytest.raises(MtlError, match=message):
            load_data(loads(TEXT))


# Networks -------------------------------------------------------------------------------------------------------------


def test_answers_are_measured_predicted_and_exported_in_their_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec, arrays = loads(TEXT), saved(tmp_path / "tokens.npz")
    splits = load_data(spec)
    model = build_model(spec).eval()
    scales = splits.train.scales
    inputs = new_inputs(tmp_path / "tokens.npz", spec.data)
    found: dict[str, list[np.ndarray]] = {}
    for each in predictions(model, spec, inputs, CPU, [task.name for task in spec.tasks], scores=True, scales=scales):
        for name, answer in each.answers.items():
            found.setdefault(name, []).append(answer)
    answers = {name: np.concatenate(parts) for name, parts in found.items()}
    with torch.no_grad():
        outputs = model(torch.from_numpy(arrays["steps"]))
    mean, deviation = (torch.tensor(each) for each in (scales["level"].mean, scales["level"].deviation))
    np.testing.assert_allclose(answers["level"], outputs["level"] * deviation + mean, rtol=1e-4)
    np.testing.assert_array_equal(answers["part"], outputs["part"].argmax(2))
    np.testing.assert_allclose(answers["part/scores"], outputs["part"].softmax(2), rtol=1e-4)
    np.testing.assert_allclose(answers["on"], outputs["on"].sigmoid(), rtol=1e-4)
    np.testing.assert_allclose(answers["way"], F.normalize(outputs["way"], dim=2), rtol=1e-4, atol=1e-6)

    measured = evaluate(model, spec, splits.test, CPU)
    with torch.no_grad():
        tested = model(splits.test.fields["steps"])
    wrong = tested["level"] * deviation + mean - splits.test.fields["level"].movedim(1, -1)
    columns = [wrong[..., column][wrong[..., column].isfinite()] for column in range(2)]
    rmse = sum(float(each.square().mean().sqrt()) for each in columns) / 2
    assert measured.metrics["level"]["rmse"] == pytest.approx(rmse, rel=1e-4)
    labels = splits.test.fields["part"].long()
    right = (tested["part"].argmax(2) == labels)[labels != 9]
    assert measured.metrics["part"]["accuracy"] == pytest.approx(float(right.float().mean()))


@pytest.mark.soak
@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_what_is_exported_gives_the_units_of_the_data(form: str) -> None:
    spec, scale = loads(TEXT), Scale((500.0, 0.0), (100.0, 2.0))
    model = build_model(spec)
    network = Portable(
        spec, model, [task.name for task in spec.tasks], "{}", {"level": in_units(spec.task("level"), scale)}
    )
    output = torch.randn(3, LENGTH, 2)
    assert torch.equal(in_units(spec.task("level"), scale)(output)[..., 0], output[..., 0] * 100 + 500)
    assert as_file(network, form)[1] < 1e-5


def of_tokens(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {
        "row": torch.randn(48, LENGTH, 6, generator=generator),
        "a": torch.randn(48, 2, LENGTH, generator=generator),
        "b": torch.randn(48, 2, LENGTH, generator=generator),
        "c": torch.randint(0, 3, (48, LENGTH), generator=generator),
        "d": torch.randint(0, 2, (48, 1, LENGTH), generator=generator).float(),
    }
    found["a"][:20] = torch.nan
    found["c"][torch.rand(48, LENGTH, generator=generator) < 0.7] = 9
    return found


@pytest.mark.parametrize("name", ["equal", "pcgrad"])
def test_a_step_of_several_batches_is_that_of_one(name: str) -> None:
    text = training("equal").spec.source.text.replace("row(6)", f"row({LENGTH}, 6)")
    one, several = training(name, text), training(name, text)
    assert one.spec.task("a").by_token
    one_by_one(one, [of_tokens(seed) for seed in range(2)])
    parts = [
        {key: each[at : at + 8] for key, each in of_tokens(seed).items()} for seed in range(2) for at in range(0, 48, 8)
    ]
    steps(several, parts, 6)
    assert torch.allclose(weights(several), weights(one), rtol=1e-4, atol=1e-5)
    assert (weights(one) - weights(training(name, text))).abs().max() > 1e-3


# The language ---------------------------------------------------------------------------------------------------------


def test_a_head_of_tokens_needs_as_many_channels_as_its_target() -> None:
    (wrong,) = check(
        Source("s.mtl", TEXT.replace("head   = linear(outputs)\n}\n\ntask on", "head   = linear(3)\n}\n\ntask on"))
    ).errors
    assert wrong.code == "MTL303"
    assert "gives 5 x 3, where its target needs 5 x 2" in wrong.cause
    assert "`linear(2)`" in wrong.remedy
    assert "mean_tokens" in wrong.remedy


def test_metrics_of_pixels_are_none_of_tokens_and_those_of_samples_are() -> None:
    assert [
        metric.name for metric in loads(TEXT.replace("  metrics = [accuracy, auroc]\n", "")).task("part").metrics
    ] == ["accuracy", "macro_f1"]
    (wrong,) = check(Source("s.mtl", TEXT.replace("[accuracy, auroc]", "[miou]"))).errors
    assert wrong.code == "MTL306"
