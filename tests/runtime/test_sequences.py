"""Networks that read sequences: trained under every balance and in bf16, merged, and written for other programs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtsldsl.editing import loads, rewritten
from mtsldsl.runtime.data import FieldKind, Samples
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.network.built import build_model, place
from mtsldsl.runtime.network.portable import Portable, as_file
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.record_file import read_events
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure.phase import replace_network
from tests.codegen.examples import GOLDEN, example
from tests.runtime.looking_ahead import gradients, training
from tests.runtime.started import CPU
from tests.runtime.test_balances_in_training import AVAILABLE, assert_equal

SEQUENCES = (
    ("input = row(6)", "input = steps(8, 3)"),
    ("head   = dropout(0.5) | linear(outputs)", "head   = gru(3, output=last) | linear(outputs)"),
    ("stem = linear(8) | batch_norm | relu", "stem = conv1d(8, 3) | batch_norm | relu | max_pool1d(2)"),
    ("last = linear(8) | relu", "last = lstm(4, num_layers=2, dropout=0.2, bidirectional=true)"),
)


def batch_of(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "steps": torch.randn(16, 8, 3, generator=generator),
        **{task: torch.randn(16, 2, generator=generator) for task in "abc"},
    }


def weights(name: str, precision: str) -> dict[str, Tensor]:
    """The network after two steps, in which every weight has moved."""
    made = training(name, *SEQUENCES, precision=precision)
    before = {key: value.clone() for key, value in made.model.named_parameters()}
    torch.manual_seed(0)
    for step in range(2):
        gradients(made, batch_of(step))
        made.optimizer.step()
    for key, value in made.model.named_parameters():
        assert value.isfinite().all()
        assert not torch.equal(value, before[key]), key
    return made.model.state_dict()


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_balance_trains_all_their_weights(name: str) -> None:
    assert weights(name, "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_they_are_trained_the_same_each_time(precision: str) -> None:
    assert_equal(weights("equal", precision), weights("equal", precision))


def test_a_merged_recurrent_network_is_the_mean_of_its_members_and_goes_on() -> None:
    made = training("equal", *SEQUENCES)
    gradients(made, batch_of(0))
    made.optimizer.step()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    spec = rewritten(made.spec, made.spec.sharing.merge("last", {"a", "b", "c"}), ())
    merged = place(build_model(spec), spec, CPU)
    carry_state(made.spec, spec, made.model, merged)
    replace_network(made, spec, merged, {})
    after = made.model.state_dict()
    names = [name.removeprefix("last.a+b+c.") for name in after if name.startswith("last.")]
    assert "lstm1.cells.weight_hh_l1_reverse" in names
    for name in names:
        pair, one = before[f"last.a+b.{name}"], before[f"last.c.{name}"]
        assert not torch.equal(pair, one)
        torch.testing.assert_close(after[f"last.a+b+c.{name}"], (2 * pair + one) / 3)
    gradients(made, batch_of(1))
    made.optimizer.step()
    assert all(value.isfinite().all() for value in made.model.parameters())


def test_statistics_are_estimated_over_all_tokens_of_all_samples() -> None:
    made = training("equal", *SEQUENCES)
    steps = torch.randn(48, 8, 3, generator=torch.Generator().manual_seed(1)) * 2 + 1
    reestimate([(made.spec, made.model)], Samples({"steps": steps}, {"steps": FieldKind.PLAIN}), CPU)
    stem = made.model.get_submodule("stem.a+b+c")
    assert isinstance(stem.norm1, nn.BatchNorm1d)
    with torch.no_grad():
        seen = stem.get_submodule("conv1")(steps.transpose(1, 2)).double().transpose(1, 2).reshape(-1, 8)
    torch.testing.assert_close(stem.norm1.running_mean.double(), seen.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(stem.norm1.running_var.double(), seen.var(0, correction=0), rtol=1e-4, atol=1e-6)


ALTERNATIVES = """\
mtl 1

data arrays {
  path  = "tokens.npz"
  input = steps(8, 3)
  batch = 8
}

task [a, b] {
  target = values(1)
  field  = level
  head   = linear(outputs)
}

backbone {
  stem = conv1d(4, 3) | batch_norm | relu
  mix  = parallel(near=conv1d(4, 1) | batch_norm | relu, far=conv1d(4, 5) | batch_norm | relu, skip=identity)
}

train {
  epochs = 2
}

structure allocation {
  write = [1]
}
"""


@pytest.mark.soak
@pytest.mark.parametrize(
    "structure",
    ["structure allocation {\n  write = [1]\n}\n", "structure mtsl {\n  phases    = [1]\n  threshold = 0\n}\n"],
)
def test_structure_is_learned_of_normalised_tokens(
    structure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = np.random.default_rng(0).normal(size=(80, 8, 3)).astype(np.float32)
    np.savez("tokens.npz", steps=steps, level=steps.sum(2))
    text = ALTERNATIVES[: ALTERNATIVES.index("structure")] + structure
    if "mtsl" in structure:
        text = (
            text[: text.index("  mix")]
            + "  mix = conv1d(4, 5) | batch_norm | relu\n"
            + text[text.index("}\n\ntrain") :]
        )
    session = Session.create(loads(text), "tokens", tmp_path / "runs", "cpu", "quiet")
    launch(session)
    (tested,) = (event for event in read_events(session.folder.events) if isinstance(event, final_events.Test))
    assert all(math.isfinite(value) for task in tested.metrics.values() for value in task.values())
    assert any(isinstance(event, events.Phase) for event in read_events(session.folder.events))


LSTM = """\
mtl 1

data arrays {
  path  = "tokens.npz"
  input = steps(6, 3)
}

task level {
  target = values(1)
  head   = linear(1)
}

backbone {
  stem = lstm(4, output=last)
}

train {
  epochs = 1
}
"""


def exported(name: str, form: str) -> float:
    """By how much the file of one of the examples differs from its network."""
    spec = example(name)
    about = json.dumps({"spec": (GOLDEN / name / "spec.mtl").read_text(encoding="utf-8")})
    return as_file(Portable(spec, build_model(spec), [task.name for task in spec.tasks], about), form)[1]


def test_the_weights_of_recurrent_networks_are_written_as_they_are() -> None:
    assert exported("sequences", "safetensors") == 0


def test_an_exported_lstm_computes_the_same() -> None:
    spec = loads(LSTM)
    network = build_model(spec)
    assert any(isinstance(each, nn.LSTM) for each in network.modules())
    assert as_file(Portable(spec, network, ["level"], json.dumps({"spec": LSTM})), "pt2")[1] < 1e-5


@pytest.mark.soak
@pytest.mark.parametrize("form", ["onnx", "pt2"])
@pytest.mark.parametrize("name", ["sequences", "enlarging"])
def test_what_is_exported_computes_the_same(name: str, form: str) -> None:
    assert exported(name, form) < 1e-5
