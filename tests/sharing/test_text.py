from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.sharing import (
    Backbone,
    Sharing,
    SharingError,
    component_name,
    format_components,
    parse_components,
    parse_sharing,
)
from mtsldsl.sharing.partition import all_in_order, in_order
from tests.laws import law
from tests.sharing.strategies import TASKS, sharings

quick = law(120)
BACKBONE = Backbone(("stem", "enc1"), {"enc1": ("stem",)})
SHARING = Sharing(
    BACKBONE,
    ("segment", "depth", "normal", "edge"),
    {"stem": [("edge", "normal", "segment", "depth")], "enc1": [("normal", "depth"), ("edge", "segment")]},
)


def test_a_sharing_prints_as_the_lines_of_its_block():
    assert str(SHARING) == "stem = segment + depth + normal + edge\nenc1 = segment + edge, depth + normal"
    assert format_components(SHARING, "enc1") == "segment + edge, depth + normal"
    assert repr(SHARING) == "Sharing(stem = segment + depth + normal + edge; enc1 = segment + edge, depth + normal)"


@given(sharings())
@quick
def test_printing_and_parsing_give_the_same_sharing(one):
    (s,) = one
    assert parse_sharing(str(s), s.backbone, s.tasks) == s
    assert Sharing(s.backbone, s.tasks, {x: parse_components(format_components(s, x)) for x in s.backbone.layers}) == s


@given(st.data())
@quick
def test_equal_sharings_print_equal_text(data):
    (s,) = data.draw(sharings())
    shuffled = {
        layer: data.draw(st.permutations([data.draw(st.permutations(sorted(each))) for each in s[layer]]))
        for layer in data.draw(st.permutations(s.backbone.layers))
    }
    again = Sharing(s.backbone, s.tasks, shuffled)
    assert again == s
    assert str(again) == str(s)


@given(st.permutations(TASKS), st.lists(st.frozensets(st.sampled_from([*TASKS, "unknown"]))))
@quick
def test_components_are_put_in_order_at_once_as_one_by_one(tasks, components):
    assert all_in_order(components, tasks) == tuple(in_order(component, tasks) for component in components)


@given(sharings(2))
@quick
def test_different_sharings_print_different_text(two):
    a, b = two
    assert (a == b) == (str(a) == str(b))


@given(st.sets(st.sampled_from(TASKS), min_size=1).flatmap(lambda tasks: st.permutations(sorted(tasks))))
@quick
def test_a_copy_has_one_name_whatever_the_order_of_its_tasks(tasks):
    assert component_name(tasks) == component_name(sorted(tasks))
    assert component_name(tasks).split("+") == sorted(tasks)


def test_a_copy_is_named_by_its_tasks():
    assert component_name(["normal", "depth"]) == "depth+normal"


@pytest.mark.parametrize("text", ["", "a +", "a,, b", "a b", "(a) + b"])
def test_text_that_is_no_list_of_components_is_refused(text):
    with pytest.raises(ValueError, match="no list of components"):
        parse_components(text)


@pytest.mark.parametrize("text", ["stem", "stem = segment\nstem = segment"])
def test_lines_that_are_no_sharing_are_refused(text):
    with pytest.raises(ValueError, match="for a layer of its own"):
        parse_sharing(text, BACKBONE, ["segment"])


def test_text_of_a_sharing_that_is_not_valid_is_refused():
    with pytest.raises(SharingError, match="keeps them apart"):
        parse_sharing("stem = a, b\nenc1 = a + b", BACKBONE, "ab")
