from __future__ import annotations

from collections import deque
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Change, Diff, Sharing, SharingError, apply, diff
from tests.laws import law
from tests.sharing.strategies import sharings
from tests.sharing.test_laws import relabellings

quick = law(120)
ONE = Backbone(("stem",), {})
TWO = Backbone(("stem", "enc1"), {"enc1": ("stem",)})


def stem(line):
    return Sharing(ONE, sorted("".join(line.split())), {"stem": line.split()})


def sets(line):
    return tuple(map(frozenset, line.split()))


def partitions(tasks):
    if not tasks:
        yield frozenset()
        return
    first, rest = tasks[0], tasks[1:]
    for count in range(len(rest) + 1):
        for others in combinations(rest, count):
            for end in partitions([task for task in rest if task not in others]):
                yield end | {frozenset((first, *others))}


def neighbours(partition):
    """Every partition one pairwise merge or split away."""
    for one, other in combinations(partition, 2):
        yield partition - {one, other} | {one | other}
    for component in partition:
        for halves in partitions(sorted(component)):
            if len(halves) == 2:
                yield partition - {component} | halves


def distances(start):
    found, queue = {start: 0}, deque([start])
    while queue:
        here = queue.popleft()
        for there in neighbours(here):
            if there not in found:
                found[there] = found[here] + 1
                queue.append(there)
    return found


@given(sharings(2))
@quick
def test_applying_the_difference_gives_the_other(two):
    a, b = two
    assert apply(a, diff(a, b)) == b


@given(sharings(2))
@quick
def test_a_difference_inverts(two):
    a, b = two
    assert diff(a, b).inverse() == diff(b, a)
    assert diff(a, b).inverse().inverse() == diff(a, b)


@given(sharings())
@quick
def test_nothing_differs_from_itself(one):
    (a,) = one
    assert not diff(a, a)
    assert diff(a, a) == Diff()
    assert apply(a, Diff()) == a


@given(sharings(2))
@quick
def test_what_only_merged_differs_by_merges_alone(two):
    a, b = two
    up = a.join(b)
    assert diff(a, up).splits == ()
    assert diff(up, a).merges == ()
    assert sum(change.copies for change in diff(a, up)) == sum(
        len(up[layer]) - len(a[layer]) for layer in a.backbone.layers
    )


@given(sharings(2))
@quick
def test_each_change_is_one_merge_or_one_split_of_the_same_tasks(two):
    changes = diff(*two)
    assume(changes)
    for change in changes:
        assert frozenset().union(*change.before) == frozenset().union(*change.after)
        assert sorted((len(change.before), len(change.after)))[0] == 1
        assert change.is_merge == (len(change.after) == 1) == (change.copies < 0)


def test_no_shorter_list_of_pairwise_merges_and_splits_exists():
    tasks = "abcde"
    every = list(partitions(list(tasks)))
    assert len(every) == 52
    for start in every:
        reached = distances(start)
        for end in every:
            change = diff(Sharing(ONE, tasks, {"stem": start}), Sharing(ONE, tasks, {"stem": end}))
            assert sum(abs(step.copies) for step in change) == reached[end]


def test_a_task_that_moves_is_split_off_and_then_merged():
    changes = diff(stem("ab c"), stem("a bc"))
    assert changes.changes == (
        Change("stem", sets("ab"), sets("a b")),
        Change("stem", sets("b c"), sets("bc")),
    )
    assert [change.text("abc") for change in changes] == [
        "stem: split a + b into a, b",
        "stem: merge b, c into b + c",
    ]


def test_a_regrouping_is_merged_and_then_split_where_that_is_shorter():
    assert diff(stem("ab cd"), stem("ac bd")).changes == (
        Change("stem", sets("ab cd"), sets("abcd")),
        Change("stem", sets("abcd"), sets("ac bd")),
    )


def test_a_difference_knows_its_layers_merges_and_splits():
    a = Sharing(TWO, "abc", {"stem": ["abc"], "enc1": ["ab", "c"]})
    b = Sharing(TWO, "abc", {"stem": ["ab", "c"], "enc1": ["ab", "c"]})
    changes = diff(a, b)
    assert changes.layers == ("stem",)
    assert len(changes) == len(changes.splits) == 1
    assert changes.merges == ()
    assert bool(changes)


def test_a_difference_applies_to_another_sharing_that_has_its_components():
    changes = diff(stem("a b c d"), stem("ab c d"))
    assert apply(stem("a b cd"), changes) == stem("ab cd")


def test_a_difference_whose_components_are_missing_is_refused():
    with pytest.raises(SharingError, match="`a` is none of its components"):
        apply(stem("ac b"), diff(stem("a b c"), stem("ab c")))


def test_a_difference_that_breaks_refinement_elsewhere_is_refused():
    a = Sharing(TWO, "ab", {"stem": ["ab"], "enc1": ["a", "b"]})
    split = diff(a, Sharing.each(TWO, "ab"))
    with pytest.raises(SharingError) as caught:
        apply(Sharing.all(TWO, "ab"), split)
    assert (caught.value.layer, caught.value.keeper) == ("enc1", "stem")
    with pytest.raises(SharingError, match="no such layer"):
        apply(a, Diff((Change("enc9", sets("a b"), sets("ab")),)))


@given(st.data())
@quick
def test_relabelling_commutes_with_differences(data):
    a, b = data.draw(sharings(2))
    moved, name = data.draw(relabellings(a.tasks))

    def as_sets(changes, rename):
        return {
            (change.layer, frozenset(map(rename, change.before)), frozenset(map(rename, change.after)))
            for change in changes
        }

    assert as_sets(diff(a, b), name) == as_sets(diff(moved(a), moved(b)), frozenset)
