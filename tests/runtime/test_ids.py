"""Inputs of ids that `embedding` looks up: read, checked, trained, predicted and exported as torch has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.data.new_inputs import new_inputs
from mtsldsl.runtime.data.overview import overview
from mtsldsl.runtime.learning.prediction import predictions
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.execution import features
from mtsldsl.runtime.network.portable import Portable, as_file
from mtsldsl.runtime.objectives import BatchLosses
from tests.runtime.started import step
from tests.runtime.test_several_inputs import tensors_of, training_of

CPU = torch.device("cpu")

TEXT = """\
mtl 1

data arrays {
  path  = "mails.npz"
  input = [words(7), sender(1), counts(3)]
  batch = 8
}

task topic {
  target = classes(3)
  head   = linear(outputs)
}

task urgent {
  target = binary(1)
  head   = linear(outputs)
}

backbone {
  look = embedding(300, 6) | gru(5, output=last)
  who  = sender | embedding(4, 2) | flatten
  both = concat(look, who, counts) | linear(8) | relu
}

train {
  epochs = 1
}

sharing {
  look..both = all
}
"""


def mails(count: int = 40, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    words, sender = random.integers(0, 300, (count, 7)), random.integers(0, 4, count)
    counts = random.normal(size=(count, 3)).astype(np.float32)
    return {"words": words, "sender": sender, "counts": counts, "topic": words[:, 0] % 3, "urgent": sender > 2}


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    found = mails()
    np.savez("mails.npz", **found)
    return found


@pytest.fixture
def spec() -> Spec:
    return loads(TEXT, "mails.mtl")


def test_what_embedding_reads_are_ids(spec: Spec) -> None:
    assert spec.data.ids == {"words": 300, "sender": 4}
    smaller = loads(
        TEXT.replace("head   = linear(outputs)", "head   = linear(outputs)", 1).replace(
            "task urgent {\n  target = binary(1)\n  head   = linear(outputs)",
            "task urgent {\n  target = binary(1)\n  head   = words | embedding(20, 3) | mean_tokens | linear(outputs)",
        )
    )
    assert smaller.data.ids == {"words": 20, "sender": 4}


def test_batches_have_them_as_the_file_has_them(spec: Spec, arrays: dict[str, Any]) -> None:
    data = load_data(spec)
    assert data.train.fields["words"].dtype == torch.int16
    for samples in (data.train, data.validation, data.test):
        for batch in batches(samples, 4):
            assert batch["words"].dtype == batch["sender"].dtype == torch.int64
            assert batch["sender"].shape[1:] == (1,)
            for row, sender, counts in zip(batch["words"], batch["sender"], batch["counts"], strict=True):
                (place,) = np.flatnonzero((arrays["counts"] == counts.numpy()).all(1))
                assert row.tolist() == arrays["words"][place].tolist()
                assert sender.tolist() == [arrays["sender"][place]]
    found = overview(spec, data)["inputs"]["arrays"]
    assert found["range"]["train"]["largest"] == data.train.fields["words"].max()


def test_a_network_that_reads_them_is_that_of_torch_and_learns(spec: Spec, arrays: dict[str, Any]) -> None:
    training = training_of(spec)
    words, sender, counts = tensors_of(load_data(spec).train, spec)
    model = training.model
    look, who = model.get_submodule("look.topic+urgent"), model.get_submodule("who.topic+urgent")
    table, cells, few = look.embedding1, look.gru1.cells, who.embedding1
    assert isinstance(table, nn.Embedding)
    assert isinstance(few, nn.Embedding)
    with torch.no_grad():
        state = cells(table(words))[1][0]
        joined = torch.cat([state, few(sender).flatten(1), counts], 1)
        both = model.get_submodule("both.topic+urgent")(*joined.split([5, 2, 3], 1))
        found = model(words, sender, counts)
        for task in ("topic", "urgent"):
            torch.testing.assert_close(found[task], model.get_submodule(f"heads.{task}")(both))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (batch,) = batches(load_data(spec).train, len(words))
    with training.guarded():
        outputs = training.forward((words, sender, counts), ("topic", "urgent"))
        step(training, BatchLosses.of(training.trained, training.loss_functions, outputs, batch, together=True))
    unseen = torch.tensor([number for number in range(300) if number not in set(words.flatten().tolist())])
    moved = model.state_dict()["look.topic+urgent.embedding1.weight"] != before["look.topic+urgent.embedding1.weight"]
    assert not moved[unseen].any()
    assert moved[words.unique()].any(1).all()


def test_their_features_are_compared(spec: Spec, arrays: dict[str, Any]) -> None:
    from mtsldsl.ir.wiring import Value

    value = Value("look", frozenset(("topic", "urgent")))
    given = tensors_of(load_data(spec).train, spec)
    found = features(build_model(spec), spec, [given], [value], 10)[value]
    assert found.shape == (10, 5)


WRONG = [
    (("words", 2.5, np.float64), "MTL602", "save whole numbers"),
    (("words", np.nan, np.float64), "MTL602", "an id of its own for what is missing"),
    (("words", 300, np.int64), "MTL202", "embedding(301, ...)`, or number"),
    (
        ("sender", -1, np.int64),
        "MTL202",
        "number the ids from 0, with one of its own for what is missing, unknown or padded",
    ),
]


@pytest.mark.parametrize(("wrong", "code", "remedy"), WRONG, ids=[str(each[0]) for each in WRONG])
def test_what_is_no_id_is_refused_with_its_row(
    wrong: tuple[str, float, type], code: str, remedy: str, spec: Spec, arrays: dict[str, Any]
) -> None:
    name, number, kind = wrong
    arrays[name] = arrays[name].astype(kind)
    arrays[name].reshape(40, -1)[17, 0] = number
    np.savez("mails.npz", **arrays)
    for read in (lambda: load_data(spec), lambda: new_inputs(Path("mails.npz"), spec.data)):
        with pytest.raises(MtlError) as caught:
            read()
        (report,) = caught.value.diagnostics
        assert report.code == code
        assert "row 17" in report.cause
        assert remedy in report.remedy
        if "embedding" in remedy:
            assert report.span is not None
            assert report.span.text.startswith("embedding(300")


@pytest.mark.soak
def test_new_ids_are_predicted_and_exported_as_torch_computes_them(spec: Spec, arrays: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, fresh = build_model(spec).eval(), mails(5, seed=1)
    read = {name: fresh[name] for name in spec.data.inputs}
    np.savez("new.npz", **{name: array.astype(float) for name, array in read.items()})  # as a table would have them
    (found,) = predictions(model, spec, new_inputs(Path("new.npz"), spec.data), CPU, ["topic"])
    given = [
        torch.from_numpy(read["words"]),
        torch.from_numpy(read["sender"])[:, None],
        torch.from_numpy(read["counts"]),
    ]
    with torch.no_grad():
        wanted = model(*given)
    assert found.answers["topic"].tolist() == wanted["topic"].argmax(1).tolist()
    data, _ = as_file(Portable(spec, model, ["topic", "urgent"], "{}"), "onnx")
    session = onnxruntime.InferenceSession(data)
    assert {each.name: each.type for each in session.get_inputs()} == {
        "words": "tensor(int64)",
        "sender": "tensor(int64)",
        "counts": "tensor(float)",
    }
    (topic, _) = session.run(None, {name: each.numpy() for name, each in zip(read, given, strict=True)})
    np.testing.assert_allclose(topic, wanted["topic"].numpy(), rtol=1e-4, atol=1e-6)


def test_ids_alone_may_be_the_only_input() -> None:
    text = TEXT.replace("[words(7), sender(1), counts(3)]", "words(7)").replace(
        "  who  = sender | embedding(4, 2) | flatten\n  both = concat(look, who, counts) |", "  both ="
    )
    spec = loads(text)
    assert spec.data.ids == {"words": 300}
    assert build_model(spec)(torch.zeros(2, 7, dtype=torch.int64))["topic"].shape == (2, 3)
