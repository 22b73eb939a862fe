"""The laws of the algebra, over generated backbones and one to eight tasks."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import Sharing, SharingError, unmerged
from tests.laws import law
from tests.sharing.strategies import TASKS, backbones, groups, rebuilt, sharings, task_lists

quick = law(120)


def attempt(sharing, layer, tasks):
    try:
        return sharing.merge(layer, tasks)
    except SharingError:
        return None


def definable(sharing, layer, tasks):
    """Whether the definition of a merge holds, word by word."""
    inside = [component for component in sharing[layer] if component & tasks]
    union = frozenset().union(*inside) == tasks
    return union and all(
        any(tasks <= component for component in sharing[source]) for source in sharing.backbone.reads[layer]
    )


@st.composite
def mergeable(draw, sharing):
    """A layer and a group of two or more of its components that can be merged there."""
    frontier = sharing.frontier()
    assume(frontier)
    layer, tasks = draw(st.sampled_from(frontier))
    inside = [component for component in sharing[layer] if component <= tasks]
    chosen = draw(st.lists(st.sampled_from(inside), min_size=2, unique=True))
    return layer, frozenset().union(*chosen)


# 1


@given(st.data())
@quick
def test_a_merge_is_defined_just_where_its_definition_holds(data):
    (s,) = data.draw(sharings())
    before = rebuilt(s)
    layer, tasks = data.draw(groups(s))
    merged = attempt(s, layer, tasks)
    assert (merged is not None) == definable(s, layer, tasks)
    assert s == before


@given(st.data())
@quick
def test_a_merge_keeps_validity_and_every_other_layer(data):
    (s,) = data.draw(sharings())
    layer, tasks = data.draw(mergeable(s))
    merged = s.merge(layer, tasks)
    assert rebuilt(merged) == merged
    assert tasks in merged[layer]
    assert all(merged[other] == s[other] for other in s.backbone.layers if other != layer)


@given(st.data())
@quick
def test_a_refused_merge_names_tasks_that_really_are_kept_apart(data):
    (s,) = data.draw(sharings(most=5))
    layer, tasks = data.draw(groups(s))
    assume(not definable(s, layer, tasks))
    with pytest.raises(SharingError) as caught:
        s.merge(layer, tasks)
    error = caught.value
    assert error.layer == layer
    assert frozenset(error.tasks) == tasks
    assert len(error.apart) > 1
    if error.keeper == layer:
        inside, outside = map(frozenset, error.apart)
        assert inside | outside in s[layer]
        assert inside <= tasks
        assert not outside & tasks
    else:
        assert error.keeper in s.backbone.reads[layer]
        sides = [s.component(error.keeper, task) for side in error.apart for task in side[:1]]
        assert len(set(sides)) == len(sides)


# 2


@given(st.data())
@quick
def test_merges_commute_where_both_orders_are_defined(data):
    (s,) = data.draw(sharings())
    first, second = data.draw(mergeable(s)), data.draw(mergeable(s))
    one_way, other_way = attempt(s.merge(*first), *second), attempt(s.merge(*second), *first)
    assume(one_way is not None and other_way is not None)
    assert one_way == other_way


@given(st.data())
@quick
def test_merging_what_is_merged_changes_nothing(data):
    (s,) = data.draw(sharings())
    for layer in s.backbone.layers:
        for component in s[layer]:
            assert s.merge(layer, component) == s


@given(st.data())
@quick
def test_merging_goes_up(data):
    (s,) = data.draw(sharings())
    change = data.draw(mergeable(s))
    assert s < s.merge(*change)


@given(st.data())
@quick
def test_merging_is_monotone_in_what_is_merged(data):
    low, other = data.draw(sharings(2))
    high = low.join(other)
    change = data.draw(mergeable(low))
    merged = attempt(high, *change)
    assume(merged is not None)
    assert low.merge(*change) <= merged


# 3


@given(sharings(3))
@quick
def test_join_and_meet_make_a_lattice(three):
    a, b, c = three
    for op, dual in ((Sharing.join, Sharing.meet), (Sharing.meet, Sharing.join)):
        assert op(a, b) == op(b, a)
        assert op(a, op(b, c)) == op(op(a, b), c)
        assert op(a, a) == a
        assert op(a, dual(a, b)) == a


@given(sharings(2))
@quick
def test_join_and_meet_of_valid_sharings_are_valid(two):
    a, b = two
    assert rebuilt(a.join(b)) == a.join(b)
    assert rebuilt(a.meet(b)) == a.meet(b)


@given(sharings(3))
@quick
def test_join_is_the_least_above_both_and_meet_the_greatest_below(three):
    a, b, c = three
    assert a.meet(b) <= a <= a.join(b)
    above, below = a.join(b).join(c), a.meet(b).meet(c)
    assert a.join(b) <= above
    assert below <= a.meet(b)
    assert (a <= b) == (a.join(b) == b) == (a.meet(b) == a)


@given(sharings(3))
@quick
def test_what_is_above_both_is_above_the_join_and_what_is_below_both_below_the_meet(three):
    a, b, c = three
    above, below = a.join(b).join(c), a.meet(b).meet(c)
    for low, high in ((a.meet(c), b.meet(c)), (a, b)):
        assert low.join(high) <= (c if low <= c and high <= c else above)
    for low, high in ((a.join(c), b.join(c)), (a, b)):
        assert low.meet(high) >= (c if low >= c and high >= c else below)


@given(sharings())
@quick
def test_every_sharing_lies_between_single_task_and_hard_sharing(one):
    (s,) = one
    each, hard = Sharing.each(s.backbone, s.tasks), Sharing.all(s.backbone, s.tasks)
    assert each <= s <= hard
    assert rebuilt(each) == each
    assert rebuilt(hard) == hard


# 4


@given(st.data())
@quick
def test_frontier_merges_lead_from_single_task_to_hard_sharing(data):
    backbone, tasks = data.draw(backbones()), data.draw(task_lists())
    s, steps = Sharing.each(backbone, tasks), 0
    while s.frontier():
        s = s.merge(*data.draw(mergeable(s)))
        assert rebuilt(s) == s
        steps += 1
    assert s == Sharing.all(backbone, tasks)
    assert steps <= (len(tasks) - 1) * len(backbone)


@given(sharings())
@quick
def test_the_frontier_is_every_maximal_merge(one):
    (s,) = one
    frontier = s.frontier()
    assume(frontier)
    for layer, tasks in frontier:
        assert tasks in s.merge(layer, tasks)[layer]
        for task in set(s.tasks) - tasks:
            assert attempt(s, layer, tasks | s.component(layer, task)) is None


# 7 (of differences and grouping: with them)


@st.composite
def relabellings(draw, tasks):
    """A function on sharings that renames and reorders the tasks, and one on sets of tasks."""
    names = dict(zip(tasks, draw(st.permutations(TASKS)), strict=False))
    order = draw(st.permutations([names[task] for task in tasks]))
    return (
        lambda sharing: sharing.renamed(names).reordered(order),
        lambda component: frozenset(names[task] for task in component),
    )


@given(st.data())
@quick
def test_relabelling_commutes_with_the_algebra(data):
    a, b = data.draw(sharings(2))
    moved, name = data.draw(relabellings(a.tasks))
    assert rebuilt(moved(a)) == moved(a)
    assert moved(a.join(b)) == moved(a).join(moved(b))
    assert moved(a.meet(b)) == moved(a).meet(moved(b))
    assert (a <= b) == (moved(a) <= moved(b))
    for sets_of in (Sharing.frontier, unmerged):
        assert {(layer, name(tasks)) for layer, tasks in sets_of(a)} == set(sets_of(moved(a)))
    layer, tasks = data.draw(groups(a))
    merged = attempt(a, layer, tasks)
    assert attempt(moved(a), layer, name(tasks)) == (None if merged is None else moved(merged))
