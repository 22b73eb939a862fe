"""Networks of rows: copies of a layer that are alike give at once what each gives by itself, and the same gradients."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.balance import GradientBalance
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.rows_at_once import Outputs, RowsAtOnce
from mtsldsl.runtime.network.side_by_side import LEAST, OF_A_BATCH, OF_A_MATRIX, RowsSideBySide
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.sharing import Backbone, Copy
from mtsldsl.sharing.text import format_sharing
from tests.runtime.started import started
from tests.sharing.strategies import valid_sharings

FRAME = """\
mtl 1
data arrays {{
  path  = "x.npz"
  input = row({features})
  batch = 32
}}
{tasks}
backbone {{
{layers}
}}
{sharing}
train {{
  epochs    = 1
  optimizer = adam(lr=0.01)
}}
"""

HEADS = {
    "classes": "target = classes(3)\n  head   = {read} | linear(outputs)\n  loss   = cross_entropy",
    "mse": "target = values(1)\n  head   = {read} | linear(outputs)\n  loss   = mse",
    "l1": "target = values(1)\n  head   = {read} | linear(outputs)\n  loss   = l1",
    "deep": "target = values(2)\n  head   = {read} | linear(5) | layer_norm | relu | linear(outputs)\n  loss   = mse",
}

BODIES = (
    "linear(6) | relu",
    "linear(6) | relu",
    "linear(9, bias=false) | tanh | linear(4)",
    "linear(6) | layer_norm | gelu",
    "layer_norm(elementwise_affine=false) | linear(6) | group_norm(2) | silu",
    "linear(6) | batch_norm | relu",
    "sigmoid",
)


def text(kinds: Mapping[str, str], layers: Mapping[str, str], sharing: str = "", features: int = 5) -> str:
    tasks = "\n".join(
        f"task {task} {{\n  {HEADS[kind].format(read=list(layers)[-1])}\n}}" for task, kind in kinds.items()
    )
    written = "\n".join(f"  {layer} = {body}" for layer, body in layers.items())
    return FRAME.format(features=features, tasks=tasks, layers=written, sharing=sharing)


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Specs of networks of rows: chains and layers that read two others, with any sharing."""
    tasks = [f"t{number}" for number in range(draw(st.integers(2, 6)))]
    kinds = {task: draw(st.sampled_from(list(HEADS))) for task in tasks}
    names = [f"layer{number}" for number in range(draw(st.integers(1, 4)))]
    layers, reads = {}, {}
    for place, name in enumerate(names):
        body = draw(st.sampled_from(BODIES))
        other = draw(st.sampled_from([None, *names[: max(place - 1, 0)]]))
        before = names[place - 1] if place else "row"
        layers[name] = f"{before} | {body}" if other is None else f"concat({before}, {other}) | {body}"
        reads[name] = tuple(each for each in (before, other) if each is not None and each != "row")
    sharing = draw(valid_sharings(Backbone(tuple(names), reads), tuple(tasks)))
    return text(kinds, layers, f"sharing {{\n{format_sharing(sharing)}\n}}")


def training(spec: Spec, learner: Learner | None = None) -> Training:
    made = started(spec, lambda each: torch.optim.Adam(each, lr=0.01))
    made.learner = learner or made.learner
    made.model.train()
    return made


def batch_of(spec: Spec, samples: int = 32, seed: int = 0) -> dict[str, Tensor]:
    """Random rows and targets, some of which are missing."""
    generator = torch.Generator().manual_seed(seed)
    made = {"row": torch.randn(samples, *spec.data.shape, generator=generator)}
    for task in spec.tasks:
        if task.target.kind == "classes":
            made[task.field_name] = torch.randint(-1, 3, (samples,), generator=generator)
        else:
            made[task.field_name] = torch.randn(samples, *task.head.shape, generator=generator)
            made[task.field_name][:4] = torch.nan
    return made


def gradients(made: Training, batch: Mapping[str, Tensor], *, at_once: bool) -> dict[str, Tensor | None]:
    """Of all parameters, after a step's backward pass from the losses of the network's outputs."""
    tasks = tuple(task.name for task in made.spec.tasks)
    outputs = made.forward(batch["row"], tasks) if at_once else made.model(batch["row"])
    assert isinstance(outputs, Outputs) == at_once
    losses = made.losses(outputs, batch)
    made.zero_grad(tasks)
    made.backward(losses, None)
    return {name: each.grad for name, each in made.model.named_parameters()}


@given(networks())
@settings(max_examples=15)
def test_any_network_has_the_outputs_gradients_and_statistics_of_its_modules(written: str) -> None:
    spec = loads(written)
    ours, plain = training(spec), training(spec)
    batch, tasks = batch_of(spec), tuple(task.name for task in spec.tasks)
    assume(RowsAtOnce.of(ours.model, spec, tasks, tasks, 32) is not None)
    batch["row"] = batch["row"].double()
    for made in (ours, plain):
        made.model.double()  # so that nothing but a mistake is larger than the tolerance
        with torch.no_grad():
            generator = torch.Generator().manual_seed(1)
            for parameter in made.model.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    found, expected = gradients(ours, batch, at_once=True), gradients(plain, batch, at_once=False)
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-9, atol=1e-11, msg=name)
    torch.testing.assert_close(ours.model.state_dict(), plain.model.state_dict(), rtol=1e-9, atol=1e-11)


KINDS = {"a": "classes", "b": "mse", "c": "l1", "d": "classes", "e": "mse"}
LAYERS = {"first": "row | linear(8) | relu", "second": "first | linear(8) | relu"}


def test_a_task_that_learns_no_more_has_no_gradient() -> None:
    made = training(loads(text(KINDS, LAYERS, "sharing {\n  first = a + b, c, d, e\n}")))
    made.stopped = frozenset({"b", "c"})
    found = gradients(made, batch_of(made.spec), at_once=True)
    of_others = {Copy.holding(name).name for name, gradient in found.items() if gradient is None}
    assert of_others == {"first.c", "second.b", "second.c", "heads.b", "heads.c"}


def test_what_is_frozen_has_no_gradient() -> None:
    tuned = text(KINDS, LAYERS).replace("train {", "tuning {\n  second = frozen\n  a = frozen\n}\ntrain {")
    made, plain = training(loads(tuned)), training(loads(tuned))
    batch = batch_of(made.spec)
    found, expected = gradients(made, batch, at_once=True), gradients(plain, batch, at_once=False)
    assert {name for name, each in found.items() if each is None} == {
        name for name in found if name.startswith(("second.", "heads.a."))
    }
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-6, msg=name)


class Watcher(Learner):
    def watching(self, spec: Spec, position: object) -> tuple[Copy, ...]:
        return tuple(copy for copy in copies(spec) if copy.layer == "first")


@pytest.mark.parametrize("case", ["watched", "gradients of each", "bf16", "several batches", "few samples"])
def test_else_a_step_is_that_of_the_modules_to_the_bit(case: str) -> None:
    spec = loads(text(KINDS, LAYERS), overrides={"train.precision": "bf16"} if case == "bf16" else {})
    made = training(spec, Watcher() if case == "watched" else None)
    batch = batch_of(spec, LEAST - 1 if case == "few samples" else 32)
    if case == "gradients of each":
        made.balance = GradientBalance(made.balance.weights)
    if case == "several batches":
        next(made.in_steps([batch, batch], 2))
    with made.watched():
        outputs = made.forward(batch["row"], tuple(KINDS))
    assert not isinstance(outputs, Outputs)
    expected = made.model(batch["row"])
    assert all(torch.equal(outputs[task], expected[task]) for task in KINDS)


@pytest.mark.parametrize(
    "layers",
    [
        {"first": "row | linear(8) | dropout(0.5)", "second": "first | linear(8)"},
        {"first": "row | linear(8)", "mix": "parallel(one=linear(4), other=linear(4) | relu)"},
    ],
)
def test_a_network_that_draws_or_has_alternatives_is_that_of_its_modules(layers: Mapping[str, str]) -> None:
    made = training(loads(text(KINDS, layers)))
    assert not isinstance(made.forward(batch_of(made.spec)["row"], tuple(KINDS)), Outputs)


def test_after_a_merge_fewer_are_computed_at_once_and_the_losses_of_alike_tasks_need_not_be_put_together() -> None:
    made = training(loads(text(KINDS, LAYERS, "sharing {\n  first  = all\n  second = a + d, b + c, e\n}")))
    outputs = made.forward(batch_of(made.spec)["row"], tuple(KINDS))
    assert isinstance(outputs, Outputs)
    assert set(outputs.joined) == {("a", "d"), ("b", "e"), ("c",)}
    for tasks, joined in outputs.joined.items():
        assert torch.equal(joined, torch.cat([outputs[task] for task in tasks]))


@pytest.mark.parametrize(
    ("features", "width", "samples", "expected"),
    [
        (128, OF_A_MATRIX // 128, LEAST, True),
        (128, OF_A_MATRIX // 128 + 1, LEAST, False),
        (300, 32, OF_A_BATCH // 300, True),
        (300, 32, OF_A_BATCH // 300 + 1, False),
        (32, 32, LEAST - 1, False),
    ],
)
def test_large_matrices_and_batches_and_few_samples_are_computed_one_by_one(
    features: int, width: int, samples: int, expected: bool
) -> None:
    spec = loads(text(KINDS, {"first": f"row | linear({width})"}, features=features))
    layer = training(spec).model.get_submodule("first")
    found = RowsSideBySide.of_rows(list(layer.children()))
    assert found is not None
    assert found.pays(samples) == expected
