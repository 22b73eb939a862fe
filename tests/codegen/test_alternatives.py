"""Networks with layers of alternatives compute what their sharing says, each thing once, and cost what they compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import mtsldsl
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.wiring import bodies, copies, wired
from mtsldsl.runtime.network.execution import run_layers
from mtsldsl.sharing import Cover, Sharing
from tests.ir.alternatives import Drawn, networks

quick = settings(max_examples=30, deadline=None)


def image() -> torch.Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@given(networks())
@quick
def test_every_task_gets_the_mean_of_what_it_uses(drawn: Drawn) -> None:
    model = mtsldsl.build_model(mtsldsl.loads(drawn.text)).eval()
    with torch.no_grad():
        found, wanted = model(image()), drawn.outputs(model, image())
    assert list(found) == list(drawn.tasks)
    for task, value in wanted.items():
        if drawn.mixed:
            torch.testing.assert_close(found[task], value, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(found[task], value)


@given(networks())
@quick
def test_running_it_call_by_call_gives_the_same_bits(drawn: Drawn) -> None:
    spec = mtsldsl.loads(drawn.text)
    model = mtsldsl.build_model(spec).eval()
    heads = [call.value for call in wired(spec) if call.layer == "heads"]
    with torch.no_grad():
        found, outputs = run_layers(model, spec, image(), heads), model(image())
    for value in heads:
        (task,) = value.tasks
        assert torch.equal(found[value], outputs[task])


@given(networks())
@quick
def test_what_is_shared_in_weights_and_input_is_computed_once(drawn: Drawn) -> None:
    """Counted in the running network: each copy as often as it is given different tensors, and the cost says so."""
    spec = mtsldsl.loads(drawn.text)
    model = mtsldsl.build_model(spec).eval()
    calls: Counter[str] = Counter()
    inputs: dict[str, set[tuple[int, ...]]] = {}
    kept: list[Any] = []  # no other tensor takes the place of one that is gone

    def note(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            calls[name] += 1
            kept.extend(given)
            inputs.setdefault(name, set()).add(tuple(map(id, given)))

        return hook

    for copy in copies(spec):
        model.get_submodule(copy.name).register_forward_pre_hook(note(copy.name))
    with torch.no_grad():
        model(image())
    assert all(calls[name] == len(each) for name, each in inputs.items())
    flops = sum(body_cost(body).flops * calls[copy.name] for copy, body in bodies(spec).items())
    assert spec.cost().flops == flops


@given(networks())
@quick
def test_the_cost_is_that_of_the_built_network_and_of_each_task_alone(drawn: Drawn) -> None:
    spec = mtsldsl.loads(drawn.text)
    cost = spec.cost()
    assert cost.parameters == sum(each.numel() for each in mtsldsl.build_model(spec).parameters())
    whole = [task for task in drawn.tasks if task not in drawn.heads]  # alone, the others do not read all layers
    assume(whole)
    for task in whole:
        lines = []
        for layer, parts in drawn.layers.items():
            used = drawn.uses[layer][task]
            lines.append(
                f"{layer} = {task if '' in parts else ', '.join(f'{name}: {task}' for name in used) or 'none'}"
            )
        alone = mtsldsl.build_model(mtsldsl.loads(drawn.text_of((task,), tuple(lines))))
        assert cost.tasks[task].parameters == sum(each.numel() for each in alone.parameters())


@given(networks())
@quick
def test_alternatives_that_nobody_uses_change_no_output(drawn: Drawn) -> None:
    spec = mtsldsl.loads(drawn.text)
    more = {
        layer: parts if "" in parts else {"unused": "conv2d(4, 3)", **parts, "dead": "identity"}
        for layer, parts in drawn.layers.items()
    }
    wider = mtsldsl.loads(attrs.evolve(drawn, layers=more).text)
    with torch.no_grad():
        one, other = (mtsldsl.build_model(each).eval()(image()) for each in (spec, wider))
    assert all(torch.equal(one[task], other[task]) for task in drawn.tasks)
    assert spec.cost().parameters == wider.cost().parameters


@given(networks(), st.data())
@quick
def test_another_cover_is_written_into_the_text_and_changes_nothing_else(drawn: Drawn, data: st.DataObject) -> None:
    spec = mtsldsl.loads(drawn.text)
    rows = dict(spec.sharing.components)
    for layer in filter(spec.backbone.alternatives, spec.backbone.layers):
        users = st.lists(st.sampled_from(spec.sharing.tasks), unique=True)
        rows[layer] = Cover.of_pairs(
            ((task, name) for name in spec.backbone.alternatives(layer) for task in data.draw(users)),
            spec.backbone.alternatives(layer),
        )
    wanted = Sharing(spec.backbone, spec.sharing.tasks, rows)
    changed = spec.with_sharing(wanted)
    assert changed.sharing == mtsldsl.loads(changed.source.text).sharing == wanted
    before, after = spec.source.text.splitlines(), changed.source.text.splitlines()
    assert len(before) == len(after)
    different = [one for one, other in zip(before, after, strict=True) if one != other]
    assert {line.split(" = ")[0].strip() for line in different} == {
        layer for layer in spec.backbone.layers if spec.sharing[layer] != wanted[layer]
    }


def test_without_a_line_every_task_uses_every_alternative() -> None:
    drawn = Drawn(
        ("apple", "banana"),
        {"layer0": {"": "conv2d(4, 3)"}, "layer1": {"one": "conv2d(4, 3)", "two": "identity", "three": "conv2d(4, 1)"}},
        frozenset(),
        {},
        ("layer0 = all",),
    )
    spec = mtsldsl.loads(drawn.text)
    assert spec.sharing["layer1"] == Cover.full(("one", "two", "three"), drawn.tasks)
    assert [copy.name for copy in copies(spec)][1:4] == ["layer1.one", "layer1.two", "layer1.three"]
    said = mtsldsl.loads(drawn.text_of(drawn.tasks, ("layer0..layer1 = all",)))
    assert said.sharing == spec.sharing
    assert said.sharing.values("layer1") == (frozenset(drawn.tasks),)


def test_numbered_copies_of_one_alternative_begin_different() -> None:
    text = Drawn(
        ("apple",), {"layer0": {"": "parallel(unit=conv2d(4, 3), copies=3)"}}, frozenset(), {}, ("layer0 = all",)
    ).text
    spec = mtsldsl.loads(text)
    assert spec.backbone.alternatives("layer0") == ("unit1", "unit2", "unit3")
    weights = [each for name, each in mtsldsl.build_model(spec).named_parameters() if name.endswith("conv1.weight")][:3]
    assert not any(torch.equal(one, other) for one in weights for other in weights if one is not other)


def several(backbone: str, heads: Mapping[str, str], sharing: str) -> str:
    """A spec of these lines, with a task for each of the heads."""
    tasks = "".join(f"task {task} {{\n  target = values(1)\n  head   = {head}\n}}\n\n" for task, head in heads.items())
    data = 'data arrays {\n  path  = "x.npz"\n  input = image(3, 8, 8)\n  batch = 4\n}\n\n'
    train = "train {\n  epochs    = 1\n  optimizer = adam(lr=1e-3)\n}\n\n"
    return f"mtl 1\n\n{data}{tasks}backbone {{\n{backbone}\n}}\n\n{train}sharing {{\n{sharing}\n}}\n"


MIXED = "stem = conv2d(4, 3)\nmix1 = parallel(wide=conv2d(4, 5), skip=identity)\nlast = conv2d(4, 3) | batch_norm"


@pytest.mark.parametrize(
    "reads", [("last", "mix1"), ("mix1", "last"), ("mix1", "mix1"), ("add(mix1, stem)", "last"), ("stem", "last")]
)
def test_every_head_reads_the_layer_that_it_names(reads: tuple[str, str]) -> None:
    heads = {task: f"{read} | conv2d(1, 1)" for task, read in zip(("apple", "banana"), reads, strict=True)}
    text = several(MIXED, heads, "stem = all\nmix1 = wide: apple, skip: all\nlast = all")
    model = mtsldsl.build_model(mtsldsl.loads(text)).eval()
    with torch.no_grad():
        found, stem = model(image()), model.stem["apple+banana"](image())
        mixes = {"apple": (model.mix1["wide"](stem) + model.mix1["skip"](stem)) / 2, "banana": model.mix1["skip"](stem)}
        for task, read in zip(heads, reads, strict=True):
            values = {"stem": (stem,), "mix1": (mixes[task],), "last": (model.last["apple+banana"](mixes[task]),)}
            wanted = model.heads[task](*values.get(read, (mixes[task], stem)))
            assert torch.equal(found[task], wanted)


def test_a_shared_copy_is_given_no_value_that_nobody_needs() -> None:
    heads = {"apple": "last | conv2d(1, 1)", "banana": "mix1 | conv2d(1, 1)"}
    text = several(MIXED, heads, "stem = all\nmix1 = wide: apple, skip: banana\nlast = all")
    model = mtsldsl.build_model(mtsldsl.loads(text)).train()
    model(image())
    assert [int(each) for name, each in model.named_buffers() if name.endswith("num_batches_tracked")] == [1]


def test_many_tasks_whose_heads_are_alike_are_named_once() -> None:
    heads = {f"task{number}": "conv2d(1, 1)" for number in range(30)}
    text = several(MIXED, heads, "stem = all\nmix1 = wide: task3, skip: all\nlast = all")
    assert list(mtsldsl.build_model(mtsldsl.loads(text)).eval()(image())) == list(heads)
