"""What two networks compute alike is computed once: the same statistics and metrics, bit for bit."""

from __future__ import annotations

import copy

import attrs
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtsldsl.editing import loads, rewritten
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, wired
from mtsldsl.runtime.data import FieldKind, Samples
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.execution import alike
from mtsldsl.runtime.network.transfer import carry_state
from tests.codegen.examples import specs
from tests.sharing.strategies import valid_sharings

CPU = torch.device("cpu")


def pair(spec: Spec, other: Spec, seed: int) -> tuple[nn.Module, nn.Module]:
    """The networks of two specs that differ in their sharing, the second carried over from the first."""
    model = build_model(spec)
    generator = torch.Generator().manual_seed(seed)
    for value in model.parameters():
        value.data += 0.1 * torch.randn(value.shape, generator=generator)
    new = build_model(other)
    carry_state(spec, other, model, new)
    return model, new


def samples(spec: Spec, seed: int, count: int = 12) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    fields = {spec.data.input: torch.rand(count, *spec.data.shape, generator=generator)}
    for task in spec.tasks:
        fields[task.field_name] = torch.rand(count, *task.head.shape, generator=generator)
    kinds = dict.fromkeys(fields, FieldKind.PLAIN)
    return Samples(fields, {**kinds, spec.data.input: FieldKind.IMAGE})


def state(*models: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for model in models for value in model.state_dict().values()]


@settings(max_examples=12, deadline=None)
@given(spec=specs(), data=st.data(), seed=st.integers(0, 99))
def test_statistics_and_evaluations_are_those_of_each_network_alone(spec: Spec, data: st.DataObject, seed: int) -> None:
    spec = attrs.evolve(spec, data=attrs.evolve(spec.data, batch=4))
    other = attrs.evolve(spec, sharing=data.draw(valid_sharings(spec.backbone, spec.sharing.tasks)))
    model, new = pair(spec, other, seed)
    alone, new_alone = copy.deepcopy((model, new))
    drawn = samples(spec, seed)
    reestimate([(spec, model), (other, new)], drawn, CPU)
    reestimate([(spec, alone)], drawn, CPU)
    reestimate([(other, new_alone)], drawn, CPU)
    for found, wanted in zip(state(model, new), state(alone, new_alone), strict=True):
        assert torch.equal(found, wanted)
    same = alike(spec, model, other, new)
    moved = [task.name for task in spec.tasks if Value.of_head(task.name) not in same]
    before, after = evaluate(model, spec, drawn, CPU), evaluate(new, other, drawn, CPU)
    assert before.updated(evaluate(new, other, drawn, CPU, moved)) == after
    assert list(before.updated(after).losses) == [task.name for task in spec.tasks]


@settings(max_examples=12, deadline=None)
@given(spec=specs(), data=st.data())
def test_values_that_are_alike_are_equal_and_weights_or_reads_that_differ_end_them(
    spec: Spec, data: st.DataObject
) -> None:
    other = attrs.evolve(spec, sharing=data.draw(valid_sharings(spec.backbone, spec.sharing.tasks)))
    model, new = pair(spec, other, 1)
    same = alike(spec, model, other, new)
    calls = {call.value: call for call in wired(spec)}
    for call in wired(other):
        assert (call.value in same) == (calls.get(call.value) == call and same.issuperset(call.reads))
    assert alike(spec, model, spec, copy.deepcopy(model)) == {
        *calls,
        *(read for call in calls.values() for read in call.reads),
    }


BRANCHES = """mtl 1
data arrays {
  path  = "x.npz"
  input = image(3, 8, 8)
  batch = 4
}
task a {
  target = values(1)
  head   = conv2d(1, 1)
  loss   = l1
}
task b {
  target = values(1)
  head   = conv2d(1, 1)
  loss   = l1
}
task c {
  target = values(1)
  head   = conv2d(1, 1)
  loss   = l1
}
backbone {
  stem = conv2d(4, 3) | batch_norm | relu
  body = conv2d(4, 3) | batch_norm | relu
}
train {
  epochs    = 1
  optimizer = sgd(lr=0.1)
}
sharing {
  stem = a + b + c
  body = a, b, c
}
"""


def test_of_the_evolved_network_nothing_is_run_but_what_changed() -> None:
    spec = loads(BRANCHES)
    other = rewritten(spec, spec.sharing.merge("body", frozenset("ab")), ())
    model, new = pair(spec, other, 3)
    ran: list[str] = []
    for owner, network in (("before", model), ("after", new)):
        for name, module in network.named_modules():
            if name.count(".") == 1 and "linear" not in name:
                module.register_forward_hook(lambda *_, name=f"{owner} {name}": ran.append(name))
    reestimate([(spec, model), (other, new)], samples(spec, 0, 4), CPU)
    assert sorted(ran) == ["after body.a+b", "before body.a", "before body.b", "before body.c", "before stem.a+b+c"]
    ran.clear()
    evaluate(new, other, samples(spec, 0, 4), CPU, ["a", "b"])
    assert sorted(ran) == ["after body.a+b", "after heads.a", "after heads.b", "after stem.a+b+c"]


class Mean(nn.Module):
    """Keeps what its state does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.add_(x.detach().mean())
        return x - self.mean


def test_nothing_is_known_of_what_a_module_of_a_persons_own_computes() -> None:
    own = '  body = module("tests.runtime.test_alike:Mean", out=[4, 8, 8])\n'
    spec = loads(BRANCHES.replace("  body = conv2d(4, 3) | batch_norm | relu\n", own))
    model = build_model(spec)
    new = copy.deepcopy(model)
    same = alike(spec, model, spec, new)
    assert {value.layer for value in same} == {"image", "stem"}


def test_a_weight_that_a_learner_changed_is_not_taken_for_the_same() -> None:
    spec = loads(BRANCHES)
    model = build_model(spec)
    new = copy.deepcopy(model)
    with torch.no_grad():
        new.get_submodule("body.b").conv1.weight[0, 0, 0, 0] += 1
    ends = {Value("body", frozenset("b")), Value.of_head("b")}
    assert alike(spec, model, spec, new) == alike(spec, model, spec, model) - ends
