"""What a network costs falls at each merge by just the copies that are gone (law 5 of the algebra)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.editing import loads
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
