"""Networks whose tasks read samples of several sources: each task gets what a network of its own would give it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from torch import nn

import mtsldsl
from mtsldsl.ir import Spec
from mtsldsl.ir.body import bodies_of
from mtsldsl.ir.cost import body_cost
from mtsldsl.ir.model import Stream
from mtsldsl.ir.wiring import bodies, copies, wired
from mtsldsl.runtime.network.execution import run_layers
from mtsldsl.syntax.format import format_text
from tests.ir.sources import Drawn, alone, given_to, made, specs

quick = settings(max_examples=15, deadline=None)
Case = tuple[Drawn, Spec]


@given(specs())
@quick
def test_each_task_gets_what_its_own_network_gives_it(case: Case) -> None:
    drawn, spec = case
    model = made(spec)
    for task in drawn.reads:
        own, network = alone(drawn, spec, model, task)
        stream = next(each for each in spec.streams if task in each.tasks)
        with torch.no_grad():
            read = given_to(stream.data)
            found = model(*read, stream.tasks) if len(spec.streams) > 1 else model(*read)
            wanted = network(*read)[task]
        torch.testing.assert_close(found[task], wanted, rtol=1e-5, atol=1e-6)
        assert (
            spec.cost().tasks[task].parameters
            == own.cost().parameters
            == sum(each.numel() for each in network.parameters())
        )
        assert spec.cost().tasks[task].flops == own.cost().flops


@given(specs())
@quick
def test_generated_code_and_running_it_call_by_call_give_the_same_bits(case: Case) -> None:
    _, spec = case
    model = made(spec)
    heads = {next(iter(call.value.tasks)): call.value for call in wired(spec) if call.layer == "heads"}
    for stream in spec.streams:
        read = given_to(stream.data)
        with torch.no_grad():
            outputs = model(*read, stream.tasks) if len(spec.streams) > 1 else model(*read)
            found = run_layers(model, spec, read, [heads[task] for task in stream.tasks])
        assert list(outputs) == [task for task in spec.sharing.tasks if task in stream.tasks]
        assert all(torch.equal(outputs[task], found[heads[task]]) for task in stream.tasks)


@given(specs())
@quick
def test_without_tasks_the_generated_code_computes_all_as_it_does_for_each_source(case: Case) -> None:
    drawn, spec = case
    assume(len(set(drawn.sizes.values())) == 1 and len(spec.streams) > 1)
    model, read = made(spec), given_to(spec.data)
    with torch.no_grad():
        whole = model(*read)
        parts = {task: value for each in spec.streams for task, value in model(*read, each.tasks).items()}
    assert list(whole) == list(spec.sharing.tasks)
    assert all(torch.equal(whole[task], parts[task]) for task in whole)


def counted(model: nn.Module, spec: Spec, stream: Stream) -> Counter[str]:
    """How often each copy is called for a batch of a source."""
    calls: Counter[str] = Counter()
    parts = {copy.name: model.get_submodule(copy.name) for copy in copies(spec)}
    handles = [
        each.register_forward_pre_hook(lambda *_, name=name: calls.update([name])) for name, each in parts.items()
    ]
    with torch.no_grad():
        model(*given_to(stream.data), stream.tasks)
    for handle in handles:
        handle.remove()
    return calls


@given(specs())
@quick
def test_the_cost_is_that_of_the_network_and_of_what_its_streams_compute(case: Case) -> None:
    _, spec = case
    assume(len(spec.streams) > 1)
    model = made(spec)
    assert spec.cost().parameters == sum(each.numel() for each in model.parameters())
    flops = 0
    for stream in spec.streams:
        calls = counted(model, spec, stream)
        for copy in copies(spec):
            if copy.layer == "heads":
                flops += calls[copy.name] * body_cost(spec.task(next(iter(copy.component))).head).flops
            elif copy.gate:
                flops += calls[copy.name] * body_cost(bodies(spec)[copy]).flops
            else:
                body = bodies_of(spec.layer(copy.layer).body_for(stream.data.name))[copy.alternative]
                flops += calls[copy.name] * body_cost(body).flops
    assert spec.cost().flops == flops


@given(specs())
@quick
def test_a_spec_is_read_as_it_is_written(case: Case) -> None:
    _, spec = case
    text = format_text(spec.source)
    again = mtsldsl.loads(text)
    assert again == spec
    assert again.sharing.sources == spec.sharing.sources
    assert format_text(again.source) == text
    for other in (spec.sharing.apart(), spec.sharing):
        rewritten = again.with_sharing(other)
        assert rewritten.sharing == other
        assert rewritten.blocks == spec.blocks
        assert mtsldsl.loads(rewritten.source.text) == rewritten


MANY = 10


def many(one: int | None, two: int | None) -> str:
    """Twenty tasks of two blocks, of which each shares a layer with the one of the other block that is so far from it."""
    parts = ["mtl 1"]
    for block in "ab":
        parts.append(f'data arrays {block} {{\n  path  = "x.npz"\n  input = row(3)\n}}')
        names = ", ".join(f"{block}{place}" for place in range(MANY))
        parts.append(f"task [{names}] {{\n  data   = {block}\n  target = values(1)\n  head   = linear(1)\n}}")
    parts += ["backbone {\n  one = linear(4)\n  two = linear(4) | relu\n}", "train {\n  epochs = 1\n}"]
    lines = []
    for layer, distance in (("one", one), ("two", two)):
        if distance is not None:
            pairs = ", ".join(f"a{place} + b{(place + distance) % MANY}" for place in range(MANY))
            lines.append(f"  {layer} = {pairs}\n")
    return "\n\n".join([*parts, f"sharing {{\n{''.join(lines)}}}", ""])


@pytest.mark.parametrize(("one", "two"), [(0, None), (None, 0), (0, 0), (0, 1)])
def test_many_copies_that_serve_two_sources_are_called_by_their_names(one: int | None, two: int | None) -> None:
    """Two layers that tasks share with others of the other source have other names for their copies."""
    spec = mtsldsl.loads(many(one, two))
    model = made(spec)
    rows = torch.rand(2, 3)
    heads = {next(iter(call.value.tasks)): call.value for call in wired(spec) if call.layer == "heads"}
    for stream in spec.streams:
        with torch.no_grad():
            outputs = model(rows, stream.tasks)
            found = run_layers(model, spec, rows, [heads[task] for task in stream.tasks])
        assert all(torch.equal(outputs[task], found[heads[task]]) for task in stream.tasks)
