"""Laws of layers of alternatives: covers, what lies below them, and what cannot be done with them."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import (
    Backbone,
    Cover,
    Sharing,
    SharingError,
    apply,
    diff,
    format_components,
    merge3,
    parse_row,
    parse_sharing,
    problems,
    unmerged,
)
from tests.laws import law
from tests.sharing.strategies import rebuilt, sharings, sharings_with_covers
from tests.sharing.test_laws import relabellings

quick = law(120)

MIX = Backbone(
    ("stem", "mix1", "norm1", "mix2"),
    {"mix1": ("stem",), "norm1": ("mix1",), "mix2": ("norm1",)},
    {"mix1": ("conv3", "conv5", "skip"), "mix2": ("wide", "skip")},
)
S = Sharing(
    MIX,
    "abc",
    {
        "stem": ["abc"],
        "mix1": {"skip": "ca", "conv3": "ba"},
        "norm1": ["abc"],
        "mix2": {"wide": "ab"},
    },
)
TEXT = "stem = a + b + c\nmix1 = conv3: a + b, skip: a + c\nnorm1 = a + b + c\nmix2 = wide: a + b"


def bits(sharing):
    """Every (layer, task, alternative) that is used, read off the rows by hand."""
    return {
        (layer, task, use.alternative)
        for layer in sharing.backbone.layers
        if sharing.backbone.alternatives(layer)
        for use in sharing[layer].components
        for task in use.tasks
    }


def test_a_cover_has_alternatives_with_their_tasks_in_the_order_of_the_layers_alternatives():
    assert [(use.alternative, sorted(use.tasks)) for use in S["mix1"]] == [("conv3", ["a", "b"]), ("skip", ["a", "c"])]
    assert isinstance(S["mix1"], Cover)
    assert [use.alternative for use in S.of("mix1", "a")] == ["conv3", "skip"]
    assert S.of("mix2", "c") == ()
    assert S.uses("mix1", "a") == ("conv3", "skip")
    assert S.uses("mix2", "c") == S.uses("norm1", "a") == ()
    assert S.of("norm1", "b") == (frozenset("abc"),)
    with pytest.raises(KeyError):
        S.of("mix1", "d")


def test_it_prints_as_the_lines_of_its_block():
    assert str(S) == TEXT
    assert parse_sharing(TEXT, MIX, "abc") == S
    assert repr(S).startswith("Sharing(stem = a + b + c; mix1 = conv3: a + b, skip: a + c;")
    nobody = Sharing(MIX, "abc", {**S.components, "mix2": {}})
    assert format_components(nobody, "mix2") == "none"
    assert parse_sharing(str(nobody), MIX, "abc") == nobody


def test_each_and_all_let_every_task_use_every_alternative():
    for made in (Sharing.each, Sharing.all):
        s = made(MIX, "abc")
        assert s["mix1"] == Cover.full(("conv3", "conv5", "skip"), "abc")
        assert format_components(s, "mix2") == "wide: a + b + c, skip: a + b + c"


def test_values_are_what_is_the_same_tensor():
    def sets(*components):
        return tuple(map(frozenset, components))

    assert S.values("stem") == sets("abc")
    assert S.values("mix1") == sets("a", "b", "c")
    assert S.values("norm1") == sets("a", "b", "c")
    same = Sharing(MIX, "abc", {**S.components, "mix1": {"conv3": "ab", "skip": "ab", "conv5": "c"}})
    assert same.values("mix1") == same.values("norm1") == sets("ab", "c")
    assert same.values("mix2") == sets("ab", "c")
    apart = Sharing(MIX, "abc", {**same.components, "stem": ["a", "b", "c"]})
    assert apart.values("mix1") == sets("a", "b", "c")


@given(sharings())
@quick
def test_without_alternatives_values_are_the_components(one):
    (s,) = one
    assert all(s.values(layer) == s[layer] for layer in s.backbone.layers)


@given(st.data())
@quick
def test_values_are_the_coarsest_that_have_the_same_components_and_read_the_same(data):
    (s,) = data.draw(sharings_with_covers())
    layer = data.draw(st.sampled_from(s.backbone.layers))
    first, second = data.draw(st.sampled_from(s.tasks)), data.draw(st.sampled_from(s.tasks))

    def same(name):
        return set(s.of(name, first)) == set(s.of(name, second)) and all(map(same, s.backbone.inputs(name)))

    together = any({first, second} <= block for block in s.values(layer))
    assert together == same(layer)


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ({"conv7": "a"}, "MTL409", "no alternative `conv7`"),
        ({"conv3": "ax"}, "MTL402", "no task `x`"),
        ({"conv3": "aa"}, "MTL404", "`a` is listed more than once for `conv3`"),
        (["abc"], "MTL408", "does not say who uses which"),
    ],
)
def test_what_is_wrong_with_a_cover_is_said(row, code, words):
    found = problems(MIX, "abc", {**S.components, "mix1": row})
    assert [(each.layer, each.code) for each in found] == [("mix1", code)]
    assert words in str(found[0])


def test_a_layer_without_alternatives_has_no_cover():
    found = problems(MIX, "abc", {**S.components, "norm1": {"conv3": "abc"}})
    assert [(each.layer, each.code) for each in found] == [("norm1", "MTL408")]


def test_tasks_may_share_weights_below_a_cover_and_nowhere_else():
    backbone = Backbone(
        ("stem", "mix", "below", "beside"),
        {"mix": ("stem",), "below": ("mix", "stem"), "beside": ("stem",)},
        {"mix": ("one", "two")},
    )
    rows = {"stem": ["a", "b"], "mix": {"one": "a", "two": "b"}, "below": ["ab"], "beside": ["ab"]}
    found = problems(backbone, "ab", rows)
    assert [(each.layer, each.code, each.keeper) for each in found] == [("beside", "MTL405", "stem")]
    s = Sharing(backbone, "ab", {**rows, "beside": ["a", "b"]})
    assert s.values("below") == (frozenset("a"), frozenset("b"))
    assert s.split("below", "a").merge("below", "ab") == s


@pytest.mark.parametrize(
    "what",
    [
        lambda s: s.merge("mix1", "ab"),
        lambda s: s.split("mix1", "a"),
        lambda s: s.frontier(),
        lambda s: unmerged(s),
        lambda s: s.component("mix1", "a"),
    ],
)
def test_what_is_for_partitions_says_what_to_use(what):
    with pytest.raises(SharingError, match=r"`mix1`(.|\n)*say with `switch`"):
        what(S)


def test_alternatives_are_switched_on_and_off():
    on = S.switch("mix1", "bc", "conv5", on=True)
    assert format_components(on, "mix1") == "conv3: a + b, conv5: b + c, skip: a + c"
    assert on.switch("mix1", "bc", "conv5", on=False) == S
    assert S.switch("mix1", "a", "conv3", on=True) == S
    with pytest.raises(SharingError, match="no alternative `conv`"):
        S.switch("mix1", "a", "conv", on=True)
    with pytest.raises(SharingError, match="merged and split"):
        S.switch("norm1", "a", "conv3", on=True)
    with pytest.raises(SharingError, match="no task `d`"):
        S.switch("mix1", "d", "conv3", on=True)


@given(sharings_with_covers(3))
@quick
def test_covers_are_a_distributive_lattice(three):
    a, b, c = three
    assert a.join(b) == b.join(a)
    assert a.meet(b) == b.meet(a)
    assert a.join(b.join(c)) == a.join(b).join(c)
    assert a.meet(b.meet(c)) == a.meet(b).meet(c)
    assert a.join(a) == a == a.meet(a)
    assert a.join(a.meet(b)) == a == a.meet(a.join(b))
    for layer in filter(a.backbone.alternatives, a.backbone.layers):
        assert a.meet(b.join(c))[layer] == a.meet(b).join(a.meet(c))[layer]
        assert a.join(b.meet(c))[layer] == a.join(b).meet(a.join(c))[layer]


@given(sharings_with_covers(2))
@quick
def test_join_is_the_union_and_meet_the_intersection_and_both_are_valid(two):
    a, b = two
    assert bits(a.join(b)) == bits(a) | bits(b)
    assert bits(a.meet(b)) == bits(a) & bits(b)
    assert rebuilt(a.join(b)) == a.join(b)
    assert rebuilt(a.meet(b)) == a.meet(b)
    assert a.meet(b) <= a <= a.join(b)


@given(sharings_with_covers(2))
@quick
def test_inclusion_orders_covers(two):
    a, b = two
    assert (a <= b) == (a.join(b) == b) == (a.meet(b) == a)


@given(sharings_with_covers(2))
@quick
def test_sharings_that_differ_in_covers_alone_are_ordered_as_their_bits_are(two):
    a, b = two
    other = Sharing(a.backbone, a.tasks, {**a.components, **covers(b)})
    assert (a <= other) == (bits(a) <= bits(other))
    assert (a < other) == (bits(a) < bits(other))


@given(sharings_with_covers())
@quick
def test_printing_and_parsing_give_the_same_sharing(one):
    (s,) = one
    assert parse_sharing(str(s), s.backbone, s.tasks) == s
    assert Sharing(s.backbone, s.tasks, {x: parse_row(format_components(s, x)) for x in s.backbone.layers}) == s
    assert pickle.loads(pickle.dumps(s)) == copy.deepcopy(s) == s == rebuilt(s)


@given(st.data())
@quick
def test_the_order_in_which_a_cover_is_given_does_not_matter(data):
    (s,) = data.draw(sharings_with_covers())
    layers = [layer for layer in s.backbone.layers if s.backbone.alternatives(layer)]
    assume(layers)
    layer = data.draw(st.sampled_from(layers))
    uses = data.draw(st.permutations(s[layer].components))
    given_ = {use.alternative: data.draw(st.permutations(sorted(use.tasks))) for use in uses}
    again = Sharing(s.backbone, s.tasks, {**s.components, layer: given_})
    assert again == s
    assert str(again) == str(s)
    assert hash(again) == hash(s)


@given(sharings_with_covers(2))
@quick
def test_a_difference_is_the_bits_that_differ_and_leads_there_and_back(two):
    a, b = two
    found = diff(a, b)
    assert apply(a, found) == b
    assert apply(b, found.inverse()) == a
    assert found.inverse() == diff(b, a)
    assert not diff(a, a)
    switched = {(each.layer, task, each.alternative, each.on) for each in found.switches for task in each.tasks}
    assert switched == {(*bit, True) for bit in bits(b) - bits(a)} | {(*bit, False) for bit in bits(a) - bits(b)}


def test_a_difference_reads_as_a_person_says_it():
    b = Sharing(MIX, "abc", {**S.components, "mix1": {"conv3": "a", "conv5": "bc", "skip": "abc"}})
    assert [change.text("abc") for change in diff(S, b)] == [
        "mix1: switch off conv3 for b",
        "mix1: switch on conv5 for b + c",
        "mix1: switch on skip for b",
    ]
    with pytest.raises(SharingError, match="does not use it"):
        apply(b, diff(S, b))


@given(sharings_with_covers(3))
@quick
def test_three_ways_are_merged_bit_by_bit(three):
    base, ours, theirs = (Sharing(each.backbone, each.tasks, {**three[0].components, **covers(each)}) for each in three)
    merged = merge3(base, ours, theirs)
    wanted = {bit for bit in bits(ours) | bits(theirs) | bits(base) if sided(bit, base, ours, theirs)}
    assert bits(merged) == wanted
    assert merged == merge3(base, theirs, ours)
    assert merge3(base, ours, base) == ours == merge3(base, base, ours)


def covers(sharing):
    return {layer: sharing[layer] for layer in sharing.backbone.layers if sharing.backbone.alternatives(layer)}


def sided(bit, base, ours, theirs):
    """Whether it is on: as the side says that changed it, or as it was."""
    one, two, former = bit in bits(ours), bit in bits(theirs), bit in bits(base)
    return one if one != former else two


@given(st.data())
@quick
def test_relabelling_commutes_with_covers(data):
    a, b = data.draw(sharings_with_covers(2))
    moved, name = data.draw(relabellings(a.tasks))
    assert moved(a).join(moved(b)) == moved(a.join(b))
    assert moved(a).meet(moved(b)) == moved(a.meet(b))
    assert (moved(a) <= moved(b)) == (a <= b)
    assert apply(moved(a), diff(moved(a), moved(b))) == moved(b)
    for layer in a.backbone.layers:
        assert set(moved(a).values(layer)) == set(map(name, a.values(layer)))
