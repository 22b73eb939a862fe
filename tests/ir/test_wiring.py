"""The one reading of the network: what it names, what reads what, and that computing it so is computing the network."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, common_reads, copies, inputs_of, needed_layers, together, upstream, wired
from mtsldsl.runtime.network.built import build_model
from mtsldsl.sharing import HEADS, Copy, unmerged
from tests.codegen.examples import specs
from tests.runtime.hand_built import make_spec

X, Y, XY, Z, ALL = (frozenset(tasks) for tasks in ("x", "y", "xy", "z", "xyz"))
SPEC = make_spec("xyz", {"a": ["xyz"], "b": ["xy", "z"], "c": ["x", "y", "z"]})
IMAGE = Value("image", ALL)
quick = settings(max_examples=30, deadline=None)


def test_a_network_as_it_is_wired() -> None:
    read = {call.copies[0].name: (call.value, call.reads) for call in wired(SPEC)}
    assert list(read) == ["a.x+y+z", "b.x+y", "b.z", "c.x", "c.y", "c.z", "heads.x", "heads.y", "heads.z"]
    assert read["a.x+y+z"] == (Value("a", ALL), (IMAGE,))
    assert read["c.y"] == (Value("c", Y), (Value("b", XY), Value("a", ALL)))
    assert read["heads.z"] == (Value(HEADS, Z), (Value("c", Z),))


def test_what_values_depend_on_is_there_once_and_in_order() -> None:
    needed = upstream(wired(SPEC), [Value("c", Y), Value("c", X), Value("b", XY)])
    assert [call.copies[0].name for call in needed] == ["a.x+y+z", "b.x+y", "c.x", "c.y"]
    assert [call.copies[0].name for call in upstream(wired(SPEC), [Value("b", Z)])] == ["a.x+y+z", "b.z"]


def test_tasks_that_are_about_to_share_a_layer_read_what_they_have_in_common() -> None:
    assert common_reads(SPEC, Copy("a", ALL)) == (IMAGE,)
    assert common_reads(SPEC, Copy("c", XY)) == (Value("b", XY), Value("a", ALL))
    with pytest.raises(ValueError, match="do not share b"):
        common_reads(SPEC, Copy("c", ALL))


@given(specs())
@quick
def test_every_copy_is_called_once_after_all_that_it_reads(spec: Spec) -> None:
    there = set(inputs_of(spec))
    for call in wired(spec):
        assert there.issuperset(call.reads)
        assert call.value not in there
        there.add(call.value)
    assert tuple(call.copies[0] for call in wired(spec)) == copies(spec)


@given(specs())
@quick
def test_the_copies_are_the_modules_of_the_compiled_network_that_have_weights(spec: Spec) -> None:
    names = [copy.name for copy in copies(spec)]
    model = build_model(spec)
    assert sorted(names) == sorted(name for name, _ in model.named_modules() if name.count(".") == 1)
    for name in model.state_dict():
        assert Copy.holding(name) in copies(spec)


@given(specs())
@quick
def test_computing_call_after_call_is_computing_the_network(spec: Spec) -> None:
    model = build_model(spec).eval()
    image = torch.rand(2, *spec.data.shape, generator=torch.Generator().manual_seed(1))
    values = dict.fromkeys(inputs_of(spec), image)
    with torch.no_grad():
        for call in wired(spec):
            values[call.value] = model.get_submodule(call.copies[0].name)(*(values[value] for value in call.reads))
        for task, output in model(image).items():
            assert torch.equal(output, values[Value(HEADS, frozenset((task,)))])


def read_by(model: nn.Module, image: Tensor) -> dict[str, set[Copy]]:
    """For every task the copies whose outputs its head is given, or a copy of these, and the head itself."""
    made: list[tuple[Tensor, Copy]] = []
    read: dict[Copy, set[Copy]] = {}

    def note(copy: Copy, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        given = [source for value, source in made if any(value is each for each in inputs)]
        read[copy] = {copy}.union(*(read[source] for source in given))
        made.append((output, copy))

    for name, module in model.named_modules():
        if name.count(".") == 1:
            module.register_forward_hook(partial(note, Copy.holding(name)))
    return {task: read[Copy.head(task)] for task in model(image)}


@given(specs())
@quick
def test_what_heads_need_is_what_they_are_given_when_the_network_runs(spec: Spec) -> None:
    found = read_by(build_model(spec).eval(), torch.rand(2, *spec.data.shape))
    calls, order = wired(spec), spec.sharing.tasks
    for task in order:
        assert needed_layers(calls, [task]) == {copy.layer for copy in found[task]} - {HEADS}
    assert needed_layers(calls) == {copy.layer for each in found.values() for copy in each} - {HEADS}
    linked = {(one, other) for one in order for other in order if found[one] & found[other]}
    for middle, one, other in product(order, repeat=3):
        if {(one, middle), (middle, other)} <= linked:
            linked.add((one, other))
    assert set(together(calls, order)) == {tuple(each for each in order if (task, each) in linked) for task in order}


@given(specs(), st.data())
@quick
def test_copies_that_are_there_read_what_all_their_tasks_read(spec: Spec, data: st.DataObject) -> None:
    call = data.draw(st.sampled_from([call for call in wired(spec) if call.layer != HEADS]))
    assert common_reads(spec, call.copies[0]) == call.reads
    for layer, tasks in unmerged(spec.sharing):
        assert len(common_reads(spec, Copy(layer, tasks))) == len(spec.layer(layer).body.inputs)
