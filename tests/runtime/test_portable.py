"""Networks as files for other programs: the same numbers for batches of any size, without what only training needs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load as load_spec
from mtsldsl.editing import loads
from mtsldsl.editing.bundle import self_contained
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.portable import FORMS, TOLERANCE, Portable, as_file
from mtsldsl.runtime.network.served import Served
from tests.ir.data_blocks import TWO

ROOT = Path(__file__).parents[2]

ROWS = """\
mtl 1

data arrays {
  path  = "x.npz"
  input = row(5)
}

task a {
  target = values(2)
  head   = linear(2)
}

task b {
  target = classes(3)
  head   = linear(3)
}

task c {
  target = binary(1)
  head   = linear(1)
}
"""
HELPED = f"""{ROWS}
backbone {{
  stem = linear(6) | batch_norm | relu | dropout(0.5)
  last = linear(4) | tanh
}}

train {{
  epochs = 1
}}

sharing {{
  stem..last = a + (b), b + c
}}
"""
GATED = f"""{ROWS}
backbone {{
  stem = linear(6) | relu
  mix1 = parallel(wide=linear(4) | relu, flat=linear(4), deep=linear(9) | relu | linear(4), gate=mixture)
  mix2 = parallel(left=linear(4) | relu, right=linear(4))
}}

train {{
  epochs = 1
}}

sharing {{
  stem = a + b, c
  mix1 = wide: a + b + c, flat: b + c, deep: a
  mix2 = left: a + b, right: b
}}
"""
APART = HELPED.replace("input = row(5)", "input = row(5)\n  apart = true").replace("a + (b), b + c", "a + b + c")


def trained(spec: Spec) -> nn.Module:
    """A network with weights and statistics that it would not begin with."""
    model = build_model(spec)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point() and value.ndim == 1:  # more of it lets deep networks overflow
                value.add_(0.1 * torch.rand(value.shape, generator=generator))
    return model.eval()


def network(text: str, *tasks: str) -> Portable:
    spec = loads(text)
    return Portable(spec, trained(spec), list(tasks) or [task.name for task in spec.tasks], json.dumps({"spec": text}))


def opened(data: bytes) -> nn.Module:
    return torch.export.load(io.BytesIO(data)).module()


def close(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return list(found) == list(wanted) and all(
        torch.allclose(found[name], wanted[name], rtol=1e-5, atol=1e-6) for name in wanted
    )


@pytest.mark.parametrize("text", [HELPED, GATED, APART], ids=["helped", "gated", "apart"])
def test_a_traced_file_computes_what_the_network_does_for_batches_that_nothing_was_traced_or_compared_with(
    text: str,
) -> None:
    made = network(text)
    data, difference = as_file(made, "pt2")
    assert difference < 1e-5
    program = opened(data)
    for count in (1, 2, 17):
        samples = torch.randn(count, 5)
        with torch.no_grad():
            assert close(program(samples), made.model(samples))


def test_what_helps_in_training_and_what_other_tasks_use_is_not_in_the_file() -> None:
    made = network(HELPED, "c", "b")
    assert "heads.b(a).linear1.weight" in made.model.state_dict()
    data, _ = as_file(made, "pt2")
    names = torch.export.load(io.BytesIO(data)).state_dict
    assert {name.rpartition(".")[0] for name in names} == {
        "stem.b+c.linear1", "stem.b+c.norm1", "last.b+c.linear1", "heads.b.linear1", "heads.c.linear1",
    }  # fmt: skip
    assert list(opened(data)(torch.zeros(2, 5))) == ["c", "b"]


@given(tasks=st.lists(st.sampled_from("abc"), min_size=1, unique=True), text=st.sampled_from([HELPED, GATED, APART]))
def test_for_some_tasks_the_outputs_are_those_of_the_whole_network(tasks: list[str], text: str) -> None:
    made = network(text, *tasks)
    samples = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    served = Served(made.model, made.spec, tasks).eval()
    whole = made.model(samples)
    assert close(served(samples), {task: whole[task] for task in tasks})
    assert {name for name, _ in served.named_parameters()} <= {name for name, _ in made.model.named_parameters()}


def test_weights_are_the_same_bits_with_all_that_makes_the_network_again() -> None:
    made = network(TWO)
    data, difference = as_file(made, "safetensors")
    assert difference == 0
    state = load(data)
    wanted = made.model.state_dict()
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert as_file(made, "safetensors")[0] == data


def test_tasks_of_one_data_block_of_several_are_exported_with_the_input_of_its_size() -> None:
    made = network(TWO, "letter")
    program = opened(as_file(made, "pt2")[0])
    samples = torch.randn(4, *made.spec.data_of("letter").shape)
    assert made.spec.data_of("letter").shape != made.spec.data.shape
    with torch.no_grad():
        assert close(program(samples), Served(made.model, made.spec, ["letter"])(samples))


def test_the_same_network_gives_the_same_bytes_and_none_of_them_name_a_place_on_this_machine() -> None:
    made = network(HELPED)
    data, _ = as_file(made, "pt2")
    assert as_file(made, "pt2")[0] == data
    assert b"site-packages" not in data
    assert str(ROOT).encode() not in data


OWN = """\
import torch
from torch import nn

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return x * self.factor

class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

class Counting(nn.Module):
    calls = 0

    def forward(self, x):
        Counting.calls += 1
        return x * Counting.calls

class Looking(nn.Module):
    def forward(self, x):
        return -x if float(x.sum()) > 0 else x

class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 6) if x.shape[0] == 2 else x[:, :6] * 2

class Root(nn.Module):
    def forward(self, x):
        return x.sqrt() + (x - x.abs() - 1).log()
"""


def own(name: str) -> str:
    layer = "linear(6) | batch_norm | relu | dropout(0.5)"
    return HELPED.replace(layer, f'linear(6) | module("own_exported:{name}", out=[6])').replace("a + (b), b + c", "all")


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_exported.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("modules")
def test_a_module_of_ones_own_is_exported_and_needed_no_more() -> None:
    made = network(own("Scale"))
    data, _ = as_file(made, "pt2")
    assert b"own_exported.py" not in data
    samples = torch.randn(4, 5)
    with torch.no_grad():
        assert close(opened(data)(samples), made.model(samples))


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Noise", "does not compute what the network does"),
        ("Counting", "does not compute what the network does"),
        ("Looking", "torch.export cannot write this network"),
        ("Fixed", "torch.export cannot write this network"),
        ("Root", "is not finite"),
    ],
)
def test_one_that_no_file_can_have_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(MtlError) as caught:
        as_file(network(own(name)), "pt2")
    (problem,) = caught.value.diagnostics
    assert problem.code == "MTL811"
    assert said in problem.cause
    if "finite" not in said:
        assert f"own_exported:{name}" in problem.remedy
        assert problem.span is not None
        assert f"own_exported:{name}" in problem.span.text


MOST_TASKS = 4
"""Twenty alphabets, each with samples of its own, take minutes to trace and say no more."""


@pytest.mark.soak
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", sorted((ROOT / "specs").rglob("*.mtl")), ids=lambda path: path.stem)
def test_every_spec_of_the_project_is_exported(path: Path, form: str) -> None:
    spec = self_contained(load_spec(path))
    few = [task.name for task in spec.tasks][: MOST_TASKS if form != "safetensors" else None]
    made = Portable(spec, trained(spec), few, json.dumps({"spec": spec.source.text}))
    assert as_file(made, form)[1] <= TOLERANCE
