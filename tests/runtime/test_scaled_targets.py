"""`scale=standard`: what is learned has mean 0 and deviation 1 over the training labels, what is measured its own unit."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from torch import nn

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Mixed, Splits, batches, describe, load_data
from mtsldsl.runtime.data.samples import Samples, Scale
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run.data_record import record_of_data

CPU = torch.device("cpu")

ROWS = """\
mtl 1
data arrays {{
  path  = "{path}"
  input = row(3)
  batch = 8
}}
task size {{
  target  = values(2{scale})
  head    = linear(2)
  loss    = {loss}
  metrics = [rmse, mae, r2, abs_rel]
}}
task price {{
  target  = values(1, valid=positive{scale})
  head    = linear(1)
  loss    = {loss}
  metrics = [rmse, mae, r2, abs_rel, delta1]
}}
task sold {{
  target = binary(1)
  head   = linear(1)
}}
backbone {{
  hidden = linear(4) | relu
}}
train {{
  epochs = 1
}}
"""
SCENES = """\
mtl 1
data scenes {{
  input   = image(3, 16, 24)
  images  = 24
  batch   = 4
  augment = [hflip, random_scale(1.0, 1.5)]
}}
task depth {{
  target = values(1{scale})
  head   = conv2d(1, 1) | resize_as(image)
}}
backbone {{
  stem = conv2d(4, 3) | relu
}}
train {{
  epochs = 1
}}
"""
STANDARD = ", scale=standard"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sizes of which some are missing, one of them 0; prices of which some do not count, all far from 1."""
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    chance = np.random.default_rng(3)
    row = chance.normal(size=(60, 3))
    size = np.stack([1000 + 50 * row[:, 0], 0.01 * row[:, 1]], axis=1)
    size[::7, 0], size[5, 1] = np.nan, 0
    price = 300 + 100 * row.sum(axis=1)
    price[::5] = -1
    np.savez(path, row=row, size=size, price=price, sold=row[:, 0] > 0)
    return path


def spec_of(rows: Path, scale: str = STANDARD, loss: str = "l1") -> Spec:
    return loads(ROWS.format(path=rows, scale=scale, loss=loss))


def learned(samples: Samples, field: str) -> np.ndarray:
    return np.concatenate([batch[field].numpy() for batch in batches(samples, 7)])


def test_what_is_learned_is_what_the_standard_scaler_of_the_training_labels_gives(rows: Path) -> None:
    splits, plain = load_data(spec_of(rows)), load_data(spec_of(rows, ""))
    for field, missing in (("size", np.isnan), ("price", lambda values: values <= 0)):
        train = plain.train.fields[field].double().numpy()
        scaler = StandardScaler().fit(np.where(missing(train), np.nan, train))
        for (_, samples), (_, others) in zip(splits.named(), plain.named(), strict=True):
            given_ = others.fields[field].double().numpy()
            wanted = scaler.transform(np.where(missing(given_), np.nan, given_))
            np.testing.assert_allclose(learned(samples, field), wanted, rtol=1e-4, atol=1e-4)
    assert np.isnan(learned(splits.train, "price")).any()


def test_other_fields_and_counts_of_labels_are_what_they_are_without(rows: Path) -> None:
    scaled, plain = spec_of(rows), spec_of(rows, "")
    splits, others = load_data(scaled), load_data(plain)
    assert describe(scaled, splits) == describe(plain, others)
    for field in ("row", "sold"):
        assert np.array_equal(learned(splits.train, field), learned(others.train, field))


def in_units(model: nn.Module, spec: Spec, splits: Splits[Samples]) -> nn.Module:
    """A network that answers in the units of the data what `model` answers with its targets scaled."""
    whole = build_model(spec)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for field, scale in splits.train.scales.items():
        mean, deviation = torch.tensor(scale.mean), torch.tensor(scale.deviation)
        (weight,) = (name for name in state if name.startswith(f"heads.{field}.") and name.endswith("weight"))
        bias = weight.replace("weight", "bias")
        state[weight], state[bias] = state[weight] * deviation[:, None], state[bias] * deviation + mean
    whole.load_state_dict(state)
    return whole


@pytest.mark.parametrize(("loss", "power"), [("l1", 1), ("mse", 2), ("rmse", 1)])
def test_metrics_are_those_of_a_network_that_answers_in_the_units_of_the_data(
    rows: Path, loss: str, power: int
) -> None:
    scaled, plain = spec_of(rows, loss=loss), spec_of(rows, "", loss)
    splits, others = load_data(scaled), load_data(plain)
    torch.manual_seed(5)
    model = build_model(scaled)
    found = evaluate(model, scaled, splits.test, CPU)
    wanted = evaluate(in_units(model, plain, splits), plain, others.test, CPU)
    for task in ("size", "price"):
        assert found.metrics[task] == pytest.approx(wanted.metrics[task], rel=1e-3)
    deviation = splits.train.scales["price"].deviation[0]
    assert found.losses["price"] * deviation**power == pytest.approx(wanted.losses["price"], rel=1e-3)
    assert found.losses["sold"] == wanted.losses["sold"]


def test_the_best_constant_is_in_the_units_of_the_data(rows: Path) -> None:
    scaled, plain = spec_of(rows), spec_of(rows, "")
    found = constant_metrics(scaled.tasks, load_data(scaled).validation)
    assert found == constant_metrics(plain.tasks, load_data(plain).validation)


def test_a_depth_is_scaled_after_it_is_augmented() -> None:
    splits, others = load_data(loads(SCENES.format(scale=STANDARD))), load_data(loads(SCENES.format(scale="")))
    spec = loads(SCENES.format(scale=STANDARD))
    (scale,) = splits.train.scales.values()
    every = others.train.fields["depth"].double()
    assert scale.mean == pytest.approx([every[every > 0].mean().item()])
    assert scale.deviation == pytest.approx([every[every > 0].std(correction=0).item()])
    both = [
        batches(each.train, 4, seed=1, epoch=2, shuffle=True, augment=spec.data.augment) for each in (splits, others)
    ]
    for found, plain in zip(*both, strict=True):
        assert torch.equal(found["image"], plain["image"])
        depth = torch.where(plain["depth"] > 0, plain["depth"], torch.nan)
        torch.testing.assert_close(found["depth"], scale.apply(depth), equal_nan=True)


def test_every_source_has_its_own_scale(rows: Path) -> None:
    blocks = ROWS.format(path=rows, scale=STANDARD, loss="l1").replace("data arrays", "data arrays one")
    blocks = blocks.replace("task size {", "task size {\n  data = one").replace(
        "task sold {", "task sold {\n  data = one"
    )
    more = f'data arrays two {{\n  path  = "{rows}"\n  input = row(3)\n  batch = 8\n  seed  = 9\n}}\n'
    two = loads(blocks.replace("task price {", f"{more}task price {{\n  data = two"))
    splits = load_data(two)
    assert isinstance(splits.train, Mixed)
    scales = [dict(part.scales) for part in splits.train.parts.values()]
    assert [sorted(each) for each in scales] == [["size"], ["price"]]
    alone = load_data(spec_of(rows)).train.scales
    assert scales[0]["size"] == alone["size"]
    assert scales[1]["price"] != alone["price"]
    record = record_of_data(two, splits)["blocks"]
    assert record["two"]["scales"] == {
        "price": {"mean": scales[1]["price"].mean, "deviation": scales[1]["price"].deviation}
    }


def test_tasks_with_samples_of_their_own_have_scales_of_their_own(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    arrays = {}
    for field, mean in (("size", 5), ("price", 900)):
        arrays |= {f"{field}/row": chance.normal(size=(40, 3)), f"{field}/target": chance.normal(mean, 3, size=(40, 1))}
    np.savez(tmp_path / "a.npz", **arrays)
    text = ROWS.format(path=tmp_path / "a.npz", scale=STANDARD, loss="l1").replace(
        "input = row(3)", "input = row(3)\n  apart = true"
    )
    text = text[: text.index("task sold")] + text[text.index("backbone") :]
    text = text.replace("values(2", "values(1").replace("linear(2)", "linear(1)")
    splits = load_data(loads(text))
    for field, samples in splits.train.parts.items():
        (scale,) = samples.scales.values()
        wanted = samples.fields[field].double()
        assert scale.mean == pytest.approx([wanted.mean().item()])
        assert scale.deviation == pytest.approx([wanted.std(correction=0).item()])


def test_labels_that_are_all_the_same_are_shifted_alone(tmp_path: Path) -> None:
    row, same = np.zeros((60, 3)), np.full(60, 0.1)
    np.savez(tmp_path / "a.npz", row=row, size=np.stack([same, same], axis=1), price=same, sold=row[:, 0])
    splits = load_data(spec_of(tmp_path / "a.npz"))
    assert np.abs(learned(splits.train, "price")).max() < 1e-6
    assert splits.train.scales["size"].deviation == (1, 1)


FINITE = st.floats(-1e6, 1e6, width=32)


@given(st.lists(FINITE, min_size=1, max_size=9), FINITE, st.floats(1e-2, 1e6))
def test_a_scale_is_undone(values: list[float], mean: float, deviation: float) -> None:
    scale, given_ = Scale((mean,), (deviation,)), torch.tensor(values)
    back = scale.undo(scale.apply(given_))
    slack = 1e-6 * (abs(mean) + given_.abs().max().item() + deviation)
    assert torch.allclose(back, given_, rtol=0, atol=slack)


def test_samples_keep_their_scales_in_all_that_is_made_of_them(rows: Path) -> None:
    train = load_data(spec_of(rows)).train
    assert train.scales.keys() == {"size", "price"}
    made = (train.take(torch.arange(3)), train.only("row", "price"), train.to("cpu"))
    assert all(each.scales == train.scales for each in made)
    assert attrs.evolve(train, scales={}).fields is train.fields
