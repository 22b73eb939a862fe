from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, ConflictError, Sharing, merge3
from tests.laws import law
from tests.sharing.strategies import rebuilt, sharings
from tests.sharing.test_laws import relabellings

quick = law(120)
TWO = Backbone(("stem", "enc1"), {"enc1": ("stem",)})


def two(first, second):
    return Sharing(TWO, "abcd", {"stem": first.split(), "enc1": second.split()})


def sets(line):
    return tuple(map(frozenset, line.split()))


def outcome(base, ours, theirs):
    """The merged sharing and no conflicts, or none and the conflicts as (layer, keeper, ours, theirs)."""
    try:
        return merge3(base, ours, theirs), ()
    except ConflictError as error:
        return None, tuple((each.layer, each.keeper, each.ours, each.theirs, each.base) for each in error.conflicts)


@given(sharings(2))
@quick
def test_where_one_side_left_all_alone_the_other_is_taken(pair):
    b, x = pair
    assert merge3(b, x, b) == x == merge3(b, b, x)


@given(sharings(2))
@quick
def test_the_same_change_on_both_sides_is_taken(pair):
    b, x = pair
    assert merge3(b, x, x) == x


@given(sharings(3))
@quick
def test_it_does_not_matter_which_side_is_which(three):
    base, ours, theirs = three
    merged, conflicts = outcome(base, ours, theirs)
    other, swapped = outcome(base, theirs, ours)
    assert merged == other
    assert conflicts == tuple((layer, keeper, b, a, c) for layer, keeper, a, b, c in swapped)


@given(sharings(3))
@quick
def test_what_is_merged_is_valid_and_follows_the_rule_at_every_layer(three):
    base, ours, theirs = three
    merged, conflicts = outcome(base, ours, theirs)
    assert (merged is None) == bool(conflicts)
    assume(merged is not None)
    assert rebuilt(merged) == merged
    for layer in base.backbone.layers:
        b, o, t = base[layer], ours[layer], theirs[layer]
        if o == b:
            assert merged[layer] == t
        elif t == b:
            assert merged[layer] == o


@given(sharings(3))
@quick
def test_sides_that_only_merged_are_joined_and_that_only_split_are_met(three):
    base, x, y = three
    assert merge3(base, base.join(x), base.join(y)) == base.join(x).join(y)
    assert merge3(base, base.meet(x), base.meet(y)) == base.meet(x).meet(y)


@given(st.data())
@quick
def test_relabelling_commutes_with_three_way_merges(data):
    base, ours, theirs = data.draw(sharings(3))
    moved, _ = data.draw(relabellings(base.tasks))
    merged, conflicts = outcome(base, ours, theirs)
    other, moved_conflicts = outcome(moved(base), moved(ours), moved(theirs))
    assert other == (None if merged is None else moved(merged))
    assert {each[:2] for each in conflicts} == {each[:2] for each in moved_conflicts}


def test_a_layer_one_side_split_and_the_other_merged_is_a_named_conflict():
    base = two("ab cd", "a b c d")
    with pytest.raises(ConflictError) as caught:
        merge3(base, two("a b cd", "a b c d"), two("abcd", "ab c d"))
    (conflict,) = caught.value.conflicts
    assert (conflict.layer, conflict.keeper) == ("stem", None)
    assert (conflict.base, conflict.ours, conflict.theirs) == (sets("ab cd"), sets("a b cd"), sets("abcd"))
    assert str(caught.value) == "layer `stem`: one side split what the other merged"


def test_a_split_under_a_merge_of_the_other_side_is_a_conflict_of_the_deeper_layer():
    base = two("abcd", "a b c d")
    with pytest.raises(ConflictError) as caught:
        merge3(base, two("ab cd", "a b c d"), two("abcd", "ab cd").merge("enc1", "abcd"))
    (conflict,) = caught.value.conflicts
    assert (conflict.layer, conflict.keeper) == ("enc1", "stem")
    assert "keeps them apart: `a + b, c + d`" in str(conflict)


def test_changes_of_different_layers_come_together():
    base = two("ab cd", "a b c d")
    assert merge3(base, two("abcd", "a b c d"), two("ab cd", "a b cd")) == two("abcd", "a b cd")


def test_sharings_over_other_tasks_are_refused():
    base = two("ab cd", "a b c d")
    with pytest.raises(ValueError, match="different tasks"):
        merge3(base, base, base.renamed({"a": "e"}))
