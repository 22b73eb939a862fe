"""Samples with several inputs: what a network makes of them is what torch makes by hand, from training to export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest, normal_form
from mtsldsl.ir.settings import settings
from mtsldsl.ir.wiring import Value
from mtsldsl.ir.wording import inputs_shown
from mtsldsl.language.naming import refusal
from mtsldsl.runtime.data import Samples, batches, load_data
from mtsldsl.runtime.data.new_inputs import new_inputs
from mtsldsl.runtime.data.overview import overview
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.prediction import predictions
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.execution import features, run_layers
from mtsldsl.runtime.network.portable import Portable, as_file
from mtsldsl.runtime.run.beginning import Read
from mtsldsl.runtime.run.best import load_best
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.overview_lines import overview_lines
from mtsldsl.runtime.run.recorded import Recorded
from mtsldsl.syntax.format import format_text
from tests.cli.test_train import mtsldsl
from tests.laws import law
from tests.runtime.started import started

CPU = torch.device("cpu")

TEXT = """\
mtl 1

data arrays {
  path    = "visits.npz"
  input   = [image(3, 8, 8), row(5)]
  batch   = 8
  augment = [hflip]
}

task grade {
  target = classes(3)
  head   = concat(row) | linear(outputs)
}

task cost {
  target = values(1)
  head   = linear(outputs)
}

backbone {
  seen = conv2d(4, 3, stride=2) | batch_norm | relu | adaptive_avg_pool2d(1) | flatten
  wide = row | linear(6) | relu
  both = seen | concat(wide) | linear(8) | relu
}

train {
  epochs = 2
}
"""
MERGED = """
structure mtsl {
  phases     = [1]
  threshold  = 0.1
  similarity = cka(samples=40)
  transfer   = amalgamate(epochs=1)
}
"""


def visits(count: int = 60, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    image = random.random((count, 3, 8, 8), dtype=np.float32)
    row = random.normal(size=(count, 5)).astype(np.float32)
    grade = (row[:, 0] > 0) + (image[:, 0].mean((1, 2)) > 0.5).astype(int)
    return {"image": image, "row": row, "grade": grade, "cost": row[:, 1:2] + image[:, 1].mean((1, 2))[:, None]}


class ByHand(nn.Module):
    """What TEXT describes, as a person would write it in PyTorch, with the weights of a generated network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4)
        self.wide, self.both = nn.Linear(5, 6), nn.Linear(10, 8)
        self.grade, self.cost = nn.Linear(13, 3), nn.Linear(8, 1)
        parts = {"seen": (self.conv, self.norm), "wide": (self.wide,), "both": (self.both,)}
        for name, modules in parts.items():
            self._take(modules, model.get_submodule(f"{name}.cost+grade"))
        self._take((self.grade,), model.get_submodule("heads.grade"))
        self._take((self.cost,), model.get_submodule("heads.cost"))

    @staticmethod
    def _take(modules: tuple[nn.Module, ...], part: nn.Module) -> None:
        for module, child in zip(modules, part.children(), strict=True):
            module.load_state_dict(child.state_dict())

    def forward(self, image: Tensor, row: Tensor) -> dict[str, Tensor]:
        seen = F.relu(self.norm(self.conv(image))).mean((2, 3))
        both = F.relu(self.both(torch.cat([seen, F.relu(self.wide(row))], 1)))
        return {"grade": self.grade(torch.cat([both, row], 1)), "cost": self.cost(both)}


def shared(text: str = TEXT) -> Spec:
    return loads(f"{text}\nsharing {{\n  seen..both = all\n}}\n", "visits.mtl")


def tensors(arrays: dict[str, Any]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["row"])


def tensors_of(samples: Samples, spec: Spec) -> tuple[Tensor, ...]:
    """All inputs of samples, as a batch has them."""
    (batch,) = batches(samples, len(samples))
    return tuple(batch[name] for name in spec.data.inputs)


def training_of(spec: Spec) -> Training:
    return started(spec, lambda parameters: torch.optim.SGD([each for _, each in parameters], lr=0.1))


def test_the_generated_network_is_one_that_is_written_by_hand() -> None:
    model, (image, row) = build_model(shared()), tensors(visits())
    by_hand = ByHand(model)
    for mode in (True, False):
        found, wanted = model.train(mode)(image, row), by_hand.train(mode)(image, row)
        for task in ("grade", "cost"):
            torch.testing.assert_close(found[task], wanted[task])
    torch.testing.assert_close(model(row=row, image=image), model(image, row), rtol=0, atol=0)


def test_what_is_run_call_by_call_is_what_the_network_computes() -> None:
    spec, (image, row) = shared(), tensors(visits())
    model = build_model(spec).eval()
    value = Value("both", frozenset(("grade", "cost")))
    with torch.no_grad():
        whole = run_layers(model, spec, (image, row), [value])[value]
        found = features(model, spec, [(image[:30], row[:30]), (image[30:], row[30:])], [value], 50)[value]
        seen = model.get_submodule("seen.cost+grade")(image)
        wanted = model.get_submodule("both.cost+grade")(seen, model.get_submodule("wide.cost+grade")(row))
    torch.testing.assert_close(whole, wanted)
    torch.testing.assert_close(found, wanted[:50])


def test_tasks_that_share_nothing_are_given_what_they_read() -> None:
    text = TEXT.replace("head   = linear(outputs)", "head   = wide | linear(outputs)")
    spec = loads(text)
    model, (image, row) = build_model(spec).eval(), tensors(visits())
    whole = model(image, row)
    assert list(whole) == ["grade", "cost"]
    for task in whole:
        torch.testing.assert_close(model(image, row, (task,)), {task: whole[task]})
    torch.testing.assert_close(whole["cost"], model.heads["cost"](model.wide["cost"](row)))  # type: ignore[index, operator]


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    found = visits()
    np.savez("visits.npz", **found)
    return found


def test_samples_hold_each_input_and_images_alone_are_augmented(arrays: dict[str, Any]) -> None:
    spec = shared()
    train = load_data(spec).train
    assert set(train.fields) == {"image", "row", "grade", "cost"}
    (plain,) = batches(train, len(train), shuffle=True)
    (moved,) = batches(train, len(train), shuffle=True, augment=spec.data.augment)
    flipped = (plain["image"] != moved["image"]).flatten(1).any(1)
    assert 0 < flipped.sum() < len(train)
    assert torch.equal(moved["image"][flipped], plain["image"][flipped].flip(-1))
    assert all(torch.equal(plain[name], moved[name]) for name in ("row", "grade", "cost"))
    places = {row.tobytes(): place for place, row in enumerate(arrays["row"])}
    for image, row in zip(train.fields["image"], train.fields["row"], strict=True):
        assert np.array_equal(image.numpy(), arrays["image"][places[row.numpy().tobytes()]])


def test_evaluation_and_new_statistics_are_those_of_the_network_by_hand(arrays: dict[str, Any]) -> None:
    spec = shared()
    data, model = load_data(spec), build_model(spec)
    reestimate([(spec, model)], data.train, CPU)
    by_hand = ByHand(model).eval()
    test = data.test.fields
    with torch.no_grad():
        outputs = by_hand(test["image"], test["row"])
    found = evaluate(model, spec, data.test, CPU)
    torch.testing.assert_close(found.losses["grade"], float(F.cross_entropy(outputs["grade"], test["grade"].long())))
    torch.testing.assert_close(found.losses["cost"], float(F.l1_loss(outputs["cost"], test["cost"])))
    alone = evaluate(model, spec, data.test, CPU, ["cost"])
    assert alone.losses["cost"] == pytest.approx(found.losses["cost"])


def test_an_input_that_is_missing_or_is_not_finite_is_named(arrays: dict[str, Any]) -> None:
    np.savez("visits.npz", **{name: array for name, array in arrays.items() if name != "row"})
    with pytest.raises(MtlError, match="has no array `row`"):
        load_data(shared())
    arrays["row"][3, 2] = np.nan
    np.savez("visits.npz", **arrays)
    with pytest.raises(MtlError, match="`row`"):
        load_data(shared())


def test_what_is_read_is_told_of_each_input(arrays: dict[str, Any]) -> None:
    spec = shared()
    data = load_data(spec)
    found = overview(spec, data)
    assert found["inputs"]["arrays"]["name"] == "image"
    (more,) = found["inputs"]["arrays"]["more"]
    assert (more["name"], more["shape"]) == ("row", [5])
    assert more["range"]["train"]["largest"] == pytest.approx(float(data.train.fields["row"].max()))
    assert list(found["rows"]["arrays"]) == ["row", "grade", "cost"]
    lines = overview_lines({"spec": "visits.mtl", "splits": Read.of(spec, cache=False).described, **found})
    assert "input `image`: 3 x 8 x 8" in lines
    assert "input `row`: 5" in lines


def test_a_run_merges_predicts_and_exports(arrays: dict[str, Any]) -> None:
    Path("visits.mtl").write_text(TEXT + MERGED, encoding="utf-8")
    printed = mtsldsl("train", "visits.mtl", "--device", "cpu", cwd=Path.cwd())
    assert "share it" in printed
    folder = RunFolder.open(Path("runs/visits/1"))
    spec, model = load_best(folder, CPU)
    assert any(len(component) == 2 for layer in spec.backbone.layers for component in spec.sharing.partition(layer))
    known = Recorded.of(spec, spec.data, folder.events)
    row = load_data(spec).train.fields["row"]
    assert known.extents["row"] == (float(row.min()), float(row.max()))

    fresh = visits(5, seed=1)
    np.savez("new.npz", image=fresh["image"], row=fresh["row"])
    inputs = new_inputs(Path("new.npz"), spec.data, trained=known.extents)
    (found,) = predictions(model, spec, inputs, CPU, ["grade", "cost"])
    with torch.no_grad():
        wanted = model.eval()(*tensors(fresh))
    np.testing.assert_array_equal(found.answers["grade"], wanted["grade"].argmax(1).numpy())
    np.testing.assert_allclose(found.answers["cost"], wanted["cost"].numpy(), rtol=1e-5)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    data, difference = as_file(Portable(spec, model, ["grade", "cost"], "{}"), "pt2")
    assert difference < 1e-5
    assert data


def test_a_file_of_some_tasks_has_the_inputs_that_they_read() -> None:
    spec = loads(TEXT.replace("head   = linear(outputs)", "head   = wide | linear(outputs)"))
    model = build_model(spec).eval()
    assert Portable(spec, model, ["cost"], "{}").inputs == ("row",)
    assert Portable(spec, model, ["grade"], "{}").inputs == ("image", "row")
    assert as_file(Portable(spec, model, ["cost"], "{}"), "pt2")[1] < 1e-5


@pytest.mark.soak
def test_onnx_is_given_the_inputs_by_name() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    spec, fresh = shared(), visits(4)
    model = build_model(spec).eval()
    session = onnxruntime.InferenceSession(as_file(Portable(spec, model, ["grade", "cost"], "{}"), "onnx")[0])
    assert [each.name for each in session.get_inputs()] == ["image", "row"]
    grade, cost = session.run(None, {"row": fresh["row"], "image": fresh["image"]})
    with torch.no_grad():
        wanted = model(*tensors(fresh))
    np.testing.assert_allclose(grade, wanted["grade"].numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cost, wanted["cost"].numpy(), rtol=1e-4, atol=1e-6)


def refused(name: str, **words: Any) -> str:
    with pytest.raises(MtlError) as caught:
        new_inputs(Path(name), shared().data, **words)
    return str(caught.value)


def test_what_cannot_hold_all_inputs_is_refused_with_what_can(arrays: dict[str, Any]) -> None:
    np.save("image.npy", arrays["image"])
    np.savez("one.npz", image=arrays["image"])
    np.savez("short.npz", image=arrays["image"], row=arrays["row"][:4])
    Path("photos").mkdir()
    for place in ("image.npy", "photos"):
        assert 'numpy.savez("inputs.npz", image=..., row=...)' in refused(place)
    assert "leave --array out" in refused("one.npz", array="image")
    assert "no array `row`" in refused("one.npz")
    assert "`image` 60, `row` 4" in refused("short.npz")


def test_a_reconstruction_may_be_of_any_input(arrays: dict[str, Any]) -> None:
    again = "task again {\n  target = reconstruct\n  field  = row\n  head   = linear(5)\n}\n\nbackbone"
    spec = shared(TEXT.replace("backbone", again, 1))
    assert spec.task("again").field == "row"
    assert spec.task("again").target.channels == 5
    assert settings(spec)["task.again.field"] == "row"
    data, model = load_data(spec), build_model(spec).eval()
    test = data.test.fields
    with torch.no_grad():
        output = model(test["image"], test["row"])["again"]
    loss = evaluate(model, spec, data.test, CPU).losses["again"]
    assert spec.task("again").loss.name == "mse"
    assert loss == pytest.approx(float((output - test["row"]).square().mean()))


NAMES = st.from_regex(r"[a-z][a-z0-9]{1,5}", fullmatch=True).filter(
    lambda name: refusal(name, generated=True) is None and name not in ("out", "y", "train", "linear")
)
SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)


@given(st.dictionaries(NAMES, SHAPES, min_size=1, max_size=4), st.data())
@law(40)
def test_inputs_are_read_as_they_are_written(inputs: dict[str, tuple[int, ...]], data: st.DataObject) -> None:
    def text(given: str) -> str:
        flat = [f"({name} | {'flatten' if len(shape) > 1 else 'identity'})" for name, shape in inputs.items()]
        joined = " | ".join([flat[0], *(f"concat({each})" for each in flat[1:])])
        return (
            f'mtl 1\n\ndata arrays {{\n  path = "x.npz"\n  input = {given}\n}}\n\n'
            f"task y {{\n  target = values(1)\n  head = linear(1)\n}}\n\nbackbone {{\n  out = {joined}\n}}\n\n"
            "train { epochs = 1 }\n"
        )

    spec = loads(text(inputs_shown(inputs)))
    assert dict(spec.data.inputs) == inputs
    assert list(spec.data.inputs) == list(inputs)
    spaced = inputs_shown(inputs).replace(", ", data.draw(st.sampled_from((",", ",\n  ", " , "))))
    for given_text in (settings(spec)["data.input"], spaced, f"[{inputs_shown(inputs).strip('[]')},]"):
        again = loads(format_text(loads(text(given_text)).source))
        assert again == spec
        assert digest(again) == digest(spec)
    assert ("more_inputs" in normal_form(spec)["data"]) == (len(inputs) > 1)
    model = build_model(spec).eval()
    ones = [torch.ones(2, *shape) for shape in inputs.values()]
    assert model(*ones)["y"].shape == (2, 1)
