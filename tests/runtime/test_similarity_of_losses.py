"""Similarities by what copies do to the losses of their tasks: `gradient` and `transference`, against the same computed
by the whole network."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.mtsl.learner import Settings as MtslSettings
from mtsldsl.methods.mtsl.learner import compare
from mtsldsl.methods.similarities import Chosen, Cka, Gradient, Incomparable, Rsa, Transference
from mtsldsl.runtime.data import FieldKind, Mixed, Samples
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.similarity import rsa_matrix
from mtsldsl.runtime.structure.similarities import Place, comparable_tasks, similarity_matrices
from mtsldsl.runtime.structure.view import View
from tests.runtime.started import CPU

TEXT = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = image(3, 8, 8)
  batch = 5
}

task one {
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
  loss   = mse
}

task two {
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
  loss   = mse
}

task kind {
  target = classes(3, ignore=255)
  head   = adaptive_avg_pool2d(1) | flatten | linear(3)
}

backbone {
  stem = conv2d(4, 3) | batch_norm | relu
  body = conv2d(4, 3, stride=2) | batch_norm | relu
  rest = body | resize_as(stem) | concat(stem) | conv2d(4, 3) | relu
}

train {
  epochs = 2
}

sharing {
  stem = all
}
"""
TASKS = ("kind", "one", "two")
COUNT = 12


def samples(count: int = COUNT, seed: int = 0) -> Samples:
    """Of every task, where `kind` has no label of a third of them."""
    chance = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 3, (count,), generator=chance)
    kind[::3] = 255
    fields = {
        "image": torch.rand(count, 3, 8, 8, generator=chance),
        "one": torch.randn(count, 1, generator=chance),
        "two": torch.randn(count, 1, generator=chance),
        "kind": kind,
    }
    return Samples(fields, {name: FieldKind.LABEL if name == "kind" else FieldKind.PLAIN for name in fields})


def randomised(spec: Spec) -> nn.Module:
    """Copies apart from each other, as after some training."""
    model, chance = build_model(spec), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=chance))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn(buffer.shape, generator=chance))
    return model.train()


def unwatched(*_: Any, **__: Any) -> None:
    """Who is told of nothing."""


def viewed(spec: Spec, model: nn.Module, given: Samples | Mixed) -> View:
    silent: Any = None
    return View(
        spec, model, given, CPU, Position(epoch=1), 1, lambda named: torch.optim.SGD(named, lr=0.1), silent, unwatched
    )


def place(layer: str, *tasks: str) -> Place:
    return [Value(layer, frozenset((task,))) for task in tasks]


def matrix(model: nn.Module, chosen: Chosen, text: str = TEXT, layer: str = "body", given: Any = None) -> Tensor:
    spec = loads(text)
    view = viewed(spec, model, samples() if given is None else given)
    (found,) = similarity_matrices(view, chosen, [place(layer, *TASKS)])
    return found


def losses(outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By torch's own functions."""
    found = {name: functional.mse_loss(outputs[name], batch[name]) for name in ("one", "two")}
    found["kind"] = functional.cross_entropy(outputs["kind"], batch["kind"], ignore_index=255)
    return found


def by_hand(model: nn.Module, layer: str) -> Tensor:
    """The mean of the cosines sample by sample: each sample alone, a hook on each copy that makes its input a leaf."""
    given, cosines = samples(), torch.zeros(3, 3, COUNT, dtype=torch.float64)
    model = copy.deepcopy(model).eval()
    for number in range(COUNT):
        batch = {name: tensor[number : number + 1] for name, tensor in given.fields.items()}
        leaves: dict[str, Tensor] = {}

        def cut(task: str, inputs: tuple[Tensor, ...], leaves: dict[str, Tensor] = leaves) -> tuple[Tensor, ...]:
            leaves[task] = inputs[0].detach().requires_grad_()
            return (leaves[task], *inputs[1:])

        handles = [
            model.get_submodule(f"{layer}.{task}").register_forward_pre_hook(
                lambda _, inputs, task=task: cut(task, inputs)
            )
            for task in TASKS
        ]
        found = losses(model(batch["image"]), batch)
        for handle in handles:
            handle.remove()
        gradients = []
        for task in TASKS:
            known = math.isfinite(float(found[task].detach()))  # the mean over no label is not
            gradient = torch.autograd.grad(found[task], leaves[task], retain_graph=True)[0] if known else None
            gradients.append(torch.zeros(1) if gradient is None else gradient.double().flatten())
        for i, j in itertools.product(range(3), repeat=2):
            one, other = gradients[i], gradients[j]
            both = bool(one.any()) and bool(other.any())
            cosines[i, j, number] = functional.cosine_similarity(one, other, 0) if both else math.nan
    return cosines.nanmean(2)


@pytest.mark.parametrize(
    ("layer", "text"), [("body", TEXT), ("stem", TEXT.replace("  stem = all\n", "  stem = each\n"))]
)
def test_gradient_is_the_mean_cosine_of_the_samples_that_both_tasks_have(layer: str, text: str) -> None:
    model = randomised(loads(text))
    before = copy.deepcopy(model.state_dict())
    found = matrix(model, Gradient(samples=100), text, layer)
    torch.testing.assert_close(found, by_hand(model, layer), rtol=0, atol=2e-5)
    assert torch.equal(found, found.T)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


def test_gradient_does_not_depend_on_batches_weights_or_the_order_of_tasks() -> None:
    model = randomised(loads(TEXT))
    found = matrix(model, Gradient(samples=100))
    other = TEXT.replace("batch = 5", "batch = 3").replace("  loss   = mse\n", "  loss   = mse\n  weight = 7\n", 1)
    torch.testing.assert_close(matrix(model, Gradient(samples=100), other), found, rtol=0, atol=1e-5)
    view = viewed(loads(TEXT), model, samples())
    (turned,) = similarity_matrices(view, Gradient(samples=100), [place("body", "two", "kind", "one")])
    order = [TASKS.index(task) for task in ("two", "kind", "one")]
    torch.testing.assert_close(turned, found[order][:, order], rtol=0, atol=1e-6)


def equal_tasks(model: nn.Module) -> None:
    """Give `two` what `one` is."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if ".one." in name:
                model.state_dict()[name.replace(".one.", ".two.")].copy_(value)


@pytest.mark.parametrize(
    "chosen", [Gradient(samples=100), Transference(samples=100, lr=0.01)], ids=lambda c: type(c).__name__
)
def test_equal_tasks_are_as_similar_as_a_task_to_itself(chosen: Chosen) -> None:
    model = randomised(loads(TEXT))
    equal_tasks(model)
    given = samples()
    given = attrs.evolve(given, fields={**given.fields, "two": given.fields["one"]})
    found = matrix(model, chosen, given=given)
    one, two = TASKS.index("one"), TASKS.index("two")
    assert float(found[one, two]) == pytest.approx(float(found[one, one]), abs=1e-6)
    assert float(found[one, two]) > 0


def test_tasks_that_want_the_opposite_have_opposite_signs() -> None:
    model = randomised(loads(TEXT))
    equal_tasks(model)
    with torch.no_grad():
        outputs = copy.deepcopy(model).eval()(samples().fields["image"])["one"]
    given = samples()
    given = attrs.evolve(given, fields={**given.fields, "one": outputs + 1, "two": outputs - 1})
    one, two = TASKS.index("one"), TASKS.index("two")
    assert float(matrix(model, Gradient(samples=100), given=given)[one, two]) == pytest.approx(-1, abs=1e-5)
    found = matrix(model, Transference(samples=100, lr=1e-3), given=given)
    assert float(found[one, two]) == pytest.approx(-float(found[one, one]), rel=0.1)
    assert float(found[one, one]) > 0


def looked_ahead(model: nn.Module, lr: float, batch_size: int = 5) -> Tensor:
    """Transference by the whole network: the step is made in a copy of it."""
    spec, found = loads(TEXT), []
    drawn = samples().take(torch.randperm(COUNT, generator=torch.Generator().manual_seed(spec.train.seed)))
    for start in range(0, COUNT, batch_size):
        batch = {name: tensor[start : start + batch_size] for name, tensor in drawn.fields.items()}
        here = copy.deepcopy(model).eval()
        before = losses(here(batch["image"]), batch)
        names = [name for name, _ in here.get_submodule("body.one").named_parameters()]
        table = torch.full((3, 3), math.nan, dtype=torch.float64)
        for i, donor in enumerate(TASKS):
            own = [here.get_parameter(f"body.{donor}.{name}") for name in names]
            gradients = torch.autograd.grad(before[donor], own, retain_graph=True)
            for j, recipient in enumerate(TASKS):
                there = copy.deepcopy(here)
                with torch.no_grad():
                    for name, gradient in zip(names, gradients, strict=True):
                        there.get_parameter(f"body.{recipient}.{name}").sub_(lr * gradient)
                    after = losses(there(batch["image"]), batch)[recipient]
                table[i, j] = 1 - float(after) / float(before[recipient].detach())
        found.append(table)
    both = torch.stack(found).mean(0)
    return (both + both.T) / 2


@pytest.mark.parametrize("lr", [0.3, 0.01])
def test_transference_is_what_the_others_step_does_to_the_loss(lr: float) -> None:
    model = randomised(loads(TEXT))
    before = copy.deepcopy(model.state_dict())
    found = matrix(model, Transference(samples=100, lr=lr))
    expected = looked_ahead(model, lr)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-6)
    assert float(expected.abs().max()) > 1e-3
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


def test_where_no_batch_is_of_both_tasks_they_have_no_similarity() -> None:
    given = samples()
    given = attrs.evolve(given, fields={**given.fields, "kind": torch.full((COUNT,), 255)})
    model = randomised(loads(TEXT))
    for chosen in (Gradient(samples=100), Transference(samples=100, lr=0.1)):
        found = matrix(model, chosen, given=given)
        assert not found[TASKS.index("kind")].any()
        assert found[1:, 1:].all()


def test_copies_without_weights_are_alike_by_transference() -> None:
    text = TEXT.replace("conv2d(4, 3, stride=2) | batch_norm | relu", "avg_pool2d(2) | relu")
    assert torch.equal(
        matrix(randomised(loads(text)), Transference(samples=8, lr=0.1), text), torch.ones(3, 3).double()
    )


def test_a_step_that_leads_to_no_number_is_said_to() -> None:
    with pytest.raises(MtlError, match=r"the loss after a step at layer body of (kind|one|two) is not a finite number"):
        matrix(randomised(loads(TEXT)), Transference(samples=8, lr=1e30))


@pytest.mark.parametrize(
    "chosen", [Gradient(samples=4), Transference(samples=4, lr=0.1), Rsa(samples=4)], ids=lambda c: type(c).__name__
)
def test_no_more_samples_are_looked_at_than_asked_for_and_which_depends_on_the_seed(chosen: Chosen) -> None:
    model = randomised(loads(TEXT))
    few = matrix(model, chosen)
    assert torch.equal(few, matrix(model, chosen))
    drawn = samples().take(torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))[:4])
    rest = samples().take(torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(drawn.fields["image"], rest.fields["image"][:4])
    other = TEXT.replace("epochs = 2", "epochs = 2\n  seed   = 3")
    assert not torch.equal(few, matrix(model, chosen, other))


def test_rsa_compares_the_features_that_cka_does() -> None:
    model, view_samples = randomised(loads(TEXT)), samples()
    spec = loads(TEXT)
    view = viewed(spec, model, view_samples)
    values = place("body", *TASKS)
    found = view.features(values, 100)
    (rsa,) = similarity_matrices(view, Rsa(samples=100), [values])
    (cka,) = similarity_matrices(view, Cka(samples=100, kernel="linear", debiased=True), [values])
    assert torch.equal(rsa, rsa_matrix([found[value] for value in values]))
    assert rsa.shape == cka.shape == (3, 3)


TWO = TEXT.replace("data arrays {", "data arrays near {").replace(
    "task one {", 'data arrays far {\n  path  = "other.npz"\n  input = image(3, 8, 8)\n  batch = 4\n}\n\ntask one {'
)


def of_two_sources() -> Spec:
    text = TWO
    for task, data in (("one", "near"), ("two", "far"), ("kind", "near")):
        text = text.replace(f"task {task} {{", f"task {task} {{\n  data   = {data}")
    return loads(text)


def two_sources() -> tuple[Spec, dict[str, Samples], nn.Module, View]:
    spec = of_two_sources()
    parts = {"near": samples(12), "far": samples(5, seed=7)}
    fields = {"near": ("image", "one", "kind"), "far": ("image", "two")}
    mixed = Mixed({name: part.only(*fields[name]) for name, part in parts.items()}, spec.streams)
    model = randomised(spec)
    return spec, parts, model, viewed(spec, model, mixed)


def test_phases_say_that_gradients_of_tasks_with_samples_of_their_own_are_not_compared() -> None:
    *_, view = two_sources()
    said: list[tuple[str, dict[str, Any]]] = []
    view = attrs.evolve(view, say=lambda kind, **fields: said.append((kind, fields)))
    mtsl = MtslSettings((1,), Gradient(samples=100), 0.0, 18, 0.0, None)
    found = compare(view, mtsl)
    assert {each.tasks for each in found} == {("kind", "one")}
    assert {kind for kind, _ in said} == {"incomparable"}
    told = Incomparable(epoch=1, **said[0][1]).lines()
    assert told == [
        "body: kind + one and two have samples of their own, so they are not compared, and never merge here"
    ]
    said.clear()
    assert {each.tasks for each in compare(view, attrs.evolve(mtsl, similarity=Transference(samples=8, lr=0.1)))} == {
        TASKS
    }
    assert said == []


def test_tasks_of_two_sources_meet_by_their_steps_and_not_by_their_gradients() -> None:
    _, parts, model, view = two_sources()
    gradient, step = Gradient(samples=100), Transference(samples=100, lr=0.1)
    assert set(comparable_tasks(view, gradient, TASKS)) == {frozenset({"one", "kind"}), frozenset({"two"})}
    assert comparable_tasks(view, step, TASKS) == [frozenset(TASKS)]
    (found,) = similarity_matrices(view, step, [place("body", *TASKS)])
    turns = []
    for turn in range(2):  # `far` has batches of 4 and 1, `near` of 5, 5 and 2
        here = copy.deepcopy(model).eval()
        batches = {
            task: parts[name].take(torch.randperm(len(parts[name]), generator=torch.Generator().manual_seed(0)))
            for task, name in (("one", "near"), ("two", "far"))
        }
        sizes = {"one": 5, "two": 4}
        fed = {task: slice(turn * size, (turn + 1) * size) for task, size in sizes.items()}

        def loss(network: nn.Module, task: str, batches: Any = batches, fed: Any = fed) -> Tensor:
            fields = batches[task].fields
            output = network(fields["image"][fed[task]], (task,) if task == "two" else ("one", "kind"))[task]
            return functional.mse_loss(output, fields[task][fed[task]])

        ways = []
        for donor, recipient in (("one", "two"), ("two", "one")):
            names = [name for name, _ in here.get_submodule("body.one").named_parameters()]
            own = [here.get_parameter(f"body.{donor}.{name}") for name in names]
            gradients = torch.autograd.grad(loss(here, donor), own)
            there = copy.deepcopy(here)
            with torch.no_grad():
                for name, gradient in zip(names, gradients, strict=True):
                    there.get_parameter(f"body.{recipient}.{name}").sub_(0.1 * gradient)
                ways.append(1 - float(loss(there, recipient)) / float(loss(here, recipient)))
        turns.append(sum(ways) / 2)
    assert float(found[TASKS.index("one"), TASKS.index("two")]) == pytest.approx(sum(turns) / 2, rel=1e-3, abs=1e-6)
