from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Sharing, SharingError, problems, unmerged
from tests.sharing.strategies import rebuilt, sharings

CHAIN = Backbone(("stem", "enc1", "enc2"), {"enc1": ("stem",), "enc2": ("enc1",)})
FORK = Backbone(("stem", "left", "right", "both"), {"left": ["stem"], "right": ["stem"], "both": ["left", "right"]})
ABC = ("a", "b", "c")


def sharing(backbone, *lines, tasks=ABC):
    return Sharing(backbone, tasks, {layer: line.split() for layer, line in zip(backbone.layers, lines, strict=True)})


def sets(*components):
    return tuple(map(frozenset, components))


def test_components_come_in_the_order_of_their_first_task():
    s = Sharing(CHAIN, ("c", "a", "b"), {"stem": [["b", "a"], ["c"]], "enc1": ["a", "b", "c"], "enc2": "bac"})
    assert s["stem"] == sets("c", "ab")
    assert s["enc2"] == sets("c", "a", "b")
    assert s.components["stem"] == s["stem"]
    assert list(s.components) == list(CHAIN.layers)


def test_a_task_knows_its_component():
    s = sharing(CHAIN, "abc", "ac b", "a b c")
    assert s.component("enc1", "c") == frozenset("ac")
    with pytest.raises(KeyError):
        s.component("enc1", "d")
    with pytest.raises(KeyError):
        s["enc9"]


def test_each_and_all_are_the_ends():
    assert Sharing.each(CHAIN, ABC) == sharing(CHAIN, "a b c", "a b c", "a b c")
    assert Sharing.all(CHAIN, ABC) == sharing(CHAIN, "abc", "abc", "abc")


def test_equality_is_backbone_tasks_in_order_and_components():
    one = sharing(CHAIN, "abc", "ab c", "a b c")
    assert one == sharing(CHAIN, "cba", "c ba", "b c a")
    assert hash(one) == hash(sharing(CHAIN, "cba", "c ba", "b c a"))
    assert one != sharing(CHAIN, "abc", "ab c", "ab c")
    assert one != one.reordered("cba")
    assert one != Sharing(Backbone(CHAIN.layers, {}), ABC, one.components)


def test_a_sharing_is_frozen_and_can_be_copied_and_pickled():
    s = sharing(FORK, "abc", "ab c", "a bc", "a b c")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        s.tasks = ()
    with pytest.raises(TypeError):
        s.components["stem"] = ()
    assert pickle.loads(pickle.dumps(s)) == copy.deepcopy(s) == s


@pytest.mark.parametrize(
    ("components", "code", "layer", "tasks", "words"),
    [
        ({"enc9": ["abc"]}, "MTL401", "enc9", (), "did you mean `enc"),
        ({"enc1": ["ab", "c", "x"]}, "MTL402", "enc1", ("x",), "no task `x`"),
        ({"enc1": ["a"]}, "MTL403", "enc1", ("b", "c"), "`b`, `c` are in none"),
        ({"enc1": ["ab", "bc"]}, "MTL404", "enc1", ("b",), "more than once"),
        ({"enc1": ["aab", "c"]}, "MTL404", "enc1", ("a",), "more than once"),
        ({"enc1": ["abc", ""]}, "MTL403", "enc1", (), "empty"),
        ({"stem": ["ab", "c"]}, "MTL405", "enc1", ("a", "b", "c"), "reads `stem`, which keeps them apart: `a + b, c`"),
    ],
)
def test_a_sharing_that_is_not_valid_is_refused_with_where_and_why(components, code, layer, tasks, words):
    given_components = {"stem": ["abc"], "enc1": ["abc"], "enc2": ["a", "b", "c"]} | components
    with pytest.raises(SharingError) as caught:
        Sharing(CHAIN, ABC, given_components)
    assert (caught.value.code, caught.value.layer, caught.value.tasks) == (code, layer, tasks)
    assert words in str(caught.value)


def test_a_layer_without_components_leaves_all_tasks_out():
    with pytest.raises(SharingError, match="in none") as caught:
        Sharing(CHAIN, ABC, {"stem": ["abc"], "enc1": ["abc"]})
    assert (caught.value.layer, caught.value.tasks) == ("enc2", ABC)


def test_broken_refinement_names_the_layer_that_keeps_the_tasks_apart():
    with pytest.raises(SharingError) as caught:
        sharing(FORK, "abc", "ab c", "a bc", "ab c")
    error = caught.value
    assert (error.layer, error.tasks, error.keeper, error.apart) == ("both", ("a", "b"), "right", (("a",), ("b",)))
    assert pickle.loads(pickle.dumps(error)).apart == error.apart


def test_all_problems_are_found_in_one_go():
    found = problems(CHAIN, ABC, {"stem": ["ab", "c"], "enc1": ["abc"], "enc2": ["a", "a"], "enc3": []})
    assert [(error.code, error.layer) for error in found] == [
        ("MTL401", "enc3"),
        ("MTL404", "enc2"),
        ("MTL403", "enc2"),
        ("MTL405", "enc1"),
    ]
    assert problems(CHAIN, ABC, {layer: ["abc"] for layer in CHAIN.layers}) == ()


@pytest.mark.parametrize("tasks", [(), ("a", "a")])
def test_tasks_must_be_there_and_have_names_of_their_own(tasks):
    with pytest.raises(ValueError, match="task"):
        Sharing.each(CHAIN, tasks)


@pytest.mark.parametrize(
    ("layers", "reads", "words"),
    [
        (("a", "a"), {}, "named twice"),
        (("a", "b"), {"a": ("b",)}, "layer `a` reads `b`"),
        (("a",), {"a": ("a",)}, "reads `a`"),
        (("a",), {"a": ("image",)}, "reads `image`"),
        (("a",), {"b": ()}, "not in the backbone: b"),
    ],
)
def test_a_backbone_is_a_directed_acyclic_graph_in_order(layers, reads, words):
    with pytest.raises(ValueError, match=words):
        Backbone(layers, reads)


def test_a_backbone_knows_both_ends_of_its_edges():
    assert FORK.inputs("both") == ("left", "right")
    assert FORK.readers("stem") == ("left", "right")
    assert FORK.reads == {"stem": (), "left": ("stem",), "right": ("stem",), "both": ("left", "right")}
    assert "left" in FORK
    assert "up" not in FORK
    assert Backbone(list(FORK.layers), FORK.reads) == FORK


def test_merging_puts_components_in_one():
    s = sharing(CHAIN, "abc", "a b c", "a b c").merge("enc1", ["c", "a"])
    assert s == sharing(CHAIN, "abc", "ac b", "a b c")


@pytest.mark.parametrize(
    ("layer", "tasks", "keeper", "apart"),
    [
        ("enc1", "bc", "stem", (("b",), ("c",))),
        ("stem", "ac", "stem", (("a",), ("b",))),
    ],
)
def test_an_undefined_merge_names_the_tasks_that_are_kept_apart(layer, tasks, keeper, apart):
    s = sharing(CHAIN, "ab c", "a b c", "a b c")
    with pytest.raises(SharingError) as caught:
        s.merge(layer, tasks)
    error = caught.value
    assert (error.code, error.layer, error.tasks) == ("MTL407", layer, tuple(sorted(tasks)))
    assert (error.keeper, error.apart) == (keeper, apart)
    assert s == sharing(CHAIN, "ab c", "a b c", "a b c")


@pytest.mark.parametrize(
    ("layer", "tasks", "code"), [("enc7", "ab", "MTL401"), ("enc1", "ax", "MTL402"), ("enc1", "", "MTL403")]
)
def test_merges_and_splits_of_what_is_not_there_are_refused(layer, tasks, code):
    s = Sharing.all(CHAIN, ABC)
    for change in (s.merge, s.split):
        with pytest.raises(SharingError) as caught:
            change(layer, tasks)
        assert caught.value.code == code


def test_splitting_takes_tasks_out_of_their_component():
    s = sharing(CHAIN, "abc", "abc", "a b c").split("enc1", "b")
    assert s == sharing(CHAIN, "abc", "ac b", "a b c")
    assert s.split("enc1", "ac") == s


def test_a_split_that_a_reader_still_bridges_names_the_reader():
    with pytest.raises(SharingError) as caught:
        sharing(CHAIN, "abc", "ab c", "a b c").split("stem", "a")
    assert (caught.value.keeper, caught.value.apart) == ("enc1", (("a",), ("b",)))
    with pytest.raises(SharingError, match="several"):
        sharing(CHAIN, "abc", "ab c", "a b c").split("enc1", "bc")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_split_takes_back_what_a_merge_of_two_did(data):
    (s,) = data.draw(sharings())
    frontier = s.frontier()
    assume(frontier)
    for layer, tasks in frontier:
        one, other = [component for component in s[layer] if component <= tasks][:2]
        assert rebuilt(s.merge(layer, one | other).split(layer, one)) == s


def test_the_frontier_is_where_all_inputs_but_not_the_layer_are_shared():
    s = sharing(FORK, "abc", "ab c", "abc", "a b c")
    assert s.frontier() == (("left", frozenset("abc")), ("both", frozenset("ab")))
    assert Sharing.each(CHAIN, ABC).frontier() == (("stem", frozenset("abc")),)
    assert Sharing.all(CHAIN, ABC).frontier() == ()


def test_unmerged_leaves_out_those_that_have_merged_and_the_last_alone():
    backbone = Backbone(("stem", "enc1"), {"enc1": ("stem",)})
    s = Sharing(backbone, "abcde", {"stem": ["abcde"], "enc1": ["ab", "c", "d", "e"]})
    assert unmerged(s) == (("enc1", frozenset("cde")),)
    assert unmerged(s.merge("enc1", "cd")) == ()
    assert s.merge("enc1", "cd").frontier() == (("enc1", frozenset("abcde")),)


def test_sharings_over_other_backbones_or_tasks_cannot_be_compared():
    s = Sharing.each(CHAIN, ABC)
    for other, words in [
        (Sharing.each(FORK, ABC), "different backbones"),
        (Sharing.each(CHAIN, "abd"), "different tasks"),
        (Sharing.each(CHAIN, "bac"), "reorder"),
    ]:
        for operation in (s.join, s.meet, s.__le__):
            with pytest.raises(ValueError, match=words):
                operation(other)
    assert s <= Sharing.each(CHAIN, "bac").reordered(ABC)


def test_the_order_of_sharings_is_refinement():
    each, hard = Sharing.each(CHAIN, ABC), Sharing.all(CHAIN, ABC)
    left, right = each.merge("stem", "ab"), each.merge("stem", "bc")
    assert each < left < hard
    assert hard > left >= each
    assert not left <= right
    assert not left >= right
    assert not left < left
    with pytest.raises(TypeError):
        assert left <= 3


@pytest.mark.parametrize("names", [{"a": "b"}, {"a": "c", "b": "c"}])
def test_renaming_keeps_names_apart(names):
    with pytest.raises(ValueError, match="twice"):
        Sharing.each(CHAIN, ABC).renamed(names)


def test_reordering_needs_the_same_tasks():
    with pytest.raises(ValueError, match="not the tasks"):
        Sharing.each(CHAIN, ABC).reordered("abd")


def test_numpy_is_not_imported_with_the_algebra():
    code = "import sys, mtsldsl.sharing; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
