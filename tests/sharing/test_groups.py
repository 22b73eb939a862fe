"""Laws of groups: each a network of its own, in which tasks that another serves may help."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given

from mtsldsl.sharing import (
    Backbone,
    ConflictError,
    Group,
    Groups,
    Sharing,
    SharingError,
    apply,
    diff,
    merge3,
    parse_row,
    parse_sharing,
    problems,
)
from tests.laws import law
from tests.sharing.strategies import rebuilt, sharings_in_groups

quick = law(120)

CHAIN = Backbone(("stem", "enc1"), {"enc1": ("stem",)})
LINE = "a + b, (b) + c"
S = parse_sharing(f"stem = {LINE}\nenc1 = {LINE}", CHAIN, "abc")


def grouped(line, tasks="abc"):
    return parse_sharing(f"stem = {line}\nenc1 = {line}", CHAIN, tasks)


def test_a_group_has_whom_it_serves_and_who_helps():
    assert [(sorted(each.tasks), sorted(each.helped)) for each in S["stem"]] == [(["a", "b"], []), (["c"], ["b"])]
    assert isinstance(S["stem"], Groups)
    assert S.of("enc1", "b") == (Group(frozenset("ab")),)
    assert S.component("enc1", "c") == frozenset("c")
    assert str(S) == f"stem = {LINE}\nenc1 = {LINE}"


@given(sharings_in_groups())
@quick
def test_without_those_that_help_a_row_is_a_valid_partition(one):
    (s,) = one
    served = Sharing(s.backbone, s.tasks, {layer: s.partition(layer) for layer in s.backbone.layers})
    assert all(served[layer] == s.values(layer) for layer in s.backbone.layers)
    assert not problems(s.backbone, s.tasks, served.components)


@given(sharings_in_groups())
@quick
def test_printing_and_parsing_give_the_same_sharing(one):
    (s,) = one
    assert parse_sharing(str(s), s.backbone, s.tasks) == s == rebuilt(s)
    assert pickle.loads(pickle.dumps(s)) == copy.deepcopy(s) == s


@given(sharings_in_groups(2))
@quick
def test_a_difference_leads_there_and_back(two):
    a, b = two
    found = diff(a, b)
    assert apply(a, found) == b
    assert apply(b, found.inverse()) == a
    assert found.inverse() == diff(b, a)
    assert bool(found) == (a != b)


def test_a_difference_reads_as_a_person_says_it():
    b = grouped("a, (a) + b + c")
    assert [change.text("abc") for change in diff(S, b) if change.layer == "stem"] == [
        "stem: switch off the help of b for c",
        "stem: split a + b into a, b",
        "stem: merge b, c into b + c",
        "stem: switch on the help of a for b + c",
    ]


@given(sharings_in_groups(2))
@quick
def test_where_one_side_left_all_alone_the_other_is_taken(two):
    b, x = two
    assert merge3(b, x, b) == x == merge3(b, b, x) == merge3(b, x, x)


@given(sharings_in_groups(3))
@quick
def test_three_ways_are_merged_alike_from_both_sides_or_refused(three):
    base, ours, theirs = three

    def outcome(one, other):
        try:
            return merge3(base, one, other)
        except ConflictError as error:
            return [conflict.layer for conflict in error.conflicts]

    found = outcome(ours, theirs)
    assert found == outcome(theirs, ours)
    assert isinstance(found, list) or rebuilt(found) == found


def test_what_both_sides_changed_of_the_help_is_there():
    base, ours, theirs = grouped("a, b, c"), grouped("a + (c), b, c"), grouped("a, (a) + b, c")
    merged = merge3(base, ours, theirs)
    assert str(merged).splitlines()[0] == "stem = a + (c), (a) + b, c"
    with pytest.raises(ConflictError):
        merge3(grouped("a, b, c"), grouped("a, b + c"), grouped("a, (a) + b, c"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("a + b, (b) + (c)", "MTL403"),
        ("a + b + (b), c", "MTL404"),
        ("a + b, c + (x)", "MTL402"),
        ("a, b, (b) + a + c", "MTL404"),
    ],
)
def test_what_is_wrong_with_groups_is_said(line, code):
    with pytest.raises(SharingError) as caught:
        grouped(line)
    assert caught.value.code == code


def test_every_layer_has_the_same_groups():
    with pytest.raises(SharingError, match=r"`enc1`(.|\n)*groups of `stem`") as caught:
        parse_sharing(f"stem = {LINE}\nenc1 = a, b, c", CHAIN, "abc")
    assert caught.value.code == "MTL405"
    backbone = Backbone(("stem", "mix"), {"mix": ("stem",)}, {"mix": ("one", "two")})
    with pytest.raises(SharingError, match="network of its own"):
        parse_sharing(f"stem = {LINE}\nmix = one: a + b + c", backbone, "abc")


@pytest.mark.parametrize("what", [lambda s: s.merge("stem", "abc"), lambda s: s.split("stem", "a"), Sharing.frontier])
def test_what_is_for_partitions_says_what_to_do(what):
    with pytest.raises(SharingError, match="networks of their own: give"):
        what(S)


def test_groups_that_differ_have_no_join():
    for made in (Sharing.join, Sharing.meet):
        assert made(S, S) == S
        with pytest.raises(ValueError, match="merge3"):
            made(S, grouped("a, b, c + (a)"))


@pytest.mark.parametrize("text", ["a + (b, b + c", "a + a + (b), b + c", "a + (b) + (b), b + c", "a + b), (c)"])
def test_no_task_of_a_line_of_groups_is_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a task's name|is listed twice"):
        parse_row(text)
