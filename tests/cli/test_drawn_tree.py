"""The tree that `show` draws, and model cards have: what its lines count."""

from __future__ import annotations

import re

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from mtsldsl.cli.show import drawn
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import cost_of
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.served import Served
from tests.ir.alternatives import Drawn, networks
from tests.ir.specs import text

LINE = re.compile(r"([\d,]+) parameters, ([\d,.]+) ([kM])FLOP")


def counted(tree: str) -> tuple[int, int, float, float]:
    """What a tree says of the whole, and of its lines together: parameters of both, operations of the lines, and by how
    much these may be rounded."""
    (total, *lines) = [found for line in tree.splitlines() for found in LINE.findall(line)]
    units = [{"k": 1e3, "M": 1e6}[unit] for *_, unit in lines]
    parameters, *said = (int(each[0].replace(",", "")) for each in (total, *lines))
    flops = sum(float(each[1].replace(",", "")) * unit for each, unit in zip(lines, units, strict=True))
    return parameters, sum(said), flops, 0.0501 * sum(units)


@given(networks(), st.data())
@settings(max_examples=20, deadline=None)
def test_the_lines_of_a_tree_sum_to_what_it_says_of_the_whole(network: Drawn, data: st.DataObject) -> None:
    spec = loads(network.text)
    parameters, said, flops, rounded = counted(drawn(spec))
    assert parameters == said == spec.cost().parameters
    assert abs(flops - spec.cost().flops) <= rounded

    tasks = data.draw(st.lists(st.sampled_from(network.tasks), min_size=1, unique=True))
    parameters, said, flops, rounded = counted(tree := drawn(spec, tasks))
    assert parameters == said
    assert abs(flops - cost_of(spec, tasks).flops) <= rounded
    assert {task for task in network.tasks if task in tree} == set(tasks)


def served(spec: Spec, tasks: list[str]) -> tuple[int, int]:
    """Parameters and operations of the network that serves some tasks, as torch counts them."""
    network = Served(build_model(spec).eval(), spec, tasks)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *spec.data.shape))
    return sum(each.numel() for each in network.parameters()), counter.get_total_flops()


def test_of_some_tasks_the_tree_has_what_their_outputs_depend_on() -> None:
    lines = "stem = all", "enc1 = segment + depth + normal, edge", "enc2 = segment + depth, normal, edge"
    spec = loads(
        text("sharing {\n" + "\n".join(lines) + "\n}").replace("head   = conv2d(3, 1)", "head   = stem | conv2d(3, 1)")
    )
    for tasks in (["segment", "normal"], ["segment", "depth", "edge", "normal"]):
        cost = cost_of(spec, tasks)
        assert (cost.parameters, cost.flops) == served(spec, tasks)
    bones = [line.strip(" │├└─").split("  ")[0] for line in drawn(spec, ["segment", "normal"]).splitlines()[1:]]
    assert bones == ["stem", "enc1", "segment", "enc2", "dec1", "dec2", "segment head", "normal", "normal head"]
    assert drawn(spec, ["normal"]).count("enc") == 0
    whole = drawn(spec).splitlines()
    (unread,) = [line for line in whole if "dec2" in line and "0.0 kFLOP" in line]
    assert f"{spec.cost().layers['dec2'].one.parameters:,} parameters, 0.0 kFLOP" in unread
