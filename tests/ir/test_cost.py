"""What a network costs falls at each merge by just the copies that are gone (law 5 of the algebra)."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from mtsldsl.editing import loads
from mtsldsl.ir.cost import operations
from mtsldsl.runtime.network.built import build_model
from tests.ir.specs import text

SPEC = loads(text(""))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_cost_falls_at_each_merge_by_just_the_removed_copies(data: st.DataObject) -> None:
    sharing = SPEC.sharing
    for _ in range(data.draw(st.integers(0, 6))):
        if frontier := sharing.frontier():
            sharing = sharing.merge(*data.draw(st.sampled_from(frontier)))
    spec = SPEC.with_sharing(sharing)
    before = spec.cost()
    assert before.parameters == sum(each.parameters for each in (*before.layers.values(), *before.heads.values()))
    assert before.flops == sum(each.flops for each in (*before.layers.values(), *before.heads.values()))
    for layer, tasks in sharing.frontier():
        after = spec.with_sharing(sharing.merge(layer, tasks)).cost()
        removed = sum(component <= tasks for component in sharing[layer]) - 1
        assert removed > 0
        one = before.layers[layer].one
        assert before.parameters - after.parameters == removed * one.parameters
        assert before.flops - after.flops == removed * one.flops
        assert before.layers[layer].copies - after.layers[layer].copies == removed
        assert before.heads == after.heads
        assert before.tasks == after.tasks


def test_copies_that_no_head_reads_have_weights_and_compute_nothing() -> None:
    spec = loads(text().replace("head   = conv2d(1, 1)", "head   = stem | conv2d(1, 1)"))  # of depth and edge
    model = build_model(spec).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *spec.data.shape))
    assert spec.cost().flops == counter.get_total_flops()
    assert spec.cost().parameters == sum(each.numel() for each in model.parameters())
    assert spec.cost().layers["dec2"].flops == 2 * spec.cost().layers["dec2"].one.flops  # of segment and normal


def test_operations_are_shown_in_a_unit_in_which_they_are_not_nought() -> None:
    shown = {flops: operations(flops) for flops in (64, 10_240, 99_999, 100_000, 120_900_000, 12_345_600_000)}
    assert list(shown.values()) == [
        "0.1 kFLOP",
        "10.2 kFLOP",
        "100.0 kFLOP",
        "0.1 MFLOP",
        "120.9 MFLOP",
        "12,345.6 MFLOP",
    ]
