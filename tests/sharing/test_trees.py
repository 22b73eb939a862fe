"""Which tree to share under a budget: against all valid sharings, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Cover, Sharing, SharingError, Tree, choose_tree, problems
from tests.sharing.strategies import backbones, sharings, sharings_by_source

CHAIN = Backbone(("stem", "body", "last"), {"body": ["stem"], "last": ["body"]})
WIDE = 10**6
"""A beam that nothing is cut by."""


def every_partition(tasks: tuple[str, ...]) -> Iterator[list[list[str]]]:
    if not tasks:
        yield []
        return
    first, *rest = tasks
    for smaller in every_partition(tuple(rest)):
        yield [[first], *smaller]
        for place, group in enumerate(smaller):
            yield [*smaller[:place], [first, *group], *smaller[place + 1 :]]


def every_sharing(start: Sharing) -> Iterator[Sharing]:
    """All that are valid and keep together what `start` does."""
    layers = start.backbone.layers
    for rows in itertools.product(list(every_partition(start.tasks)), repeat=len(layers)):
        components = dict(zip(layers, rows, strict=True))
        if not problems(start.backbone, start.tasks, components, start.sources):
            made = start.given(components)
            if start <= made:
                yield made


def dissimilarity(sharing: Sharing, start: Sharing, similarity: Mapping[str, Any]) -> float:
    total = 0.0
    for layer in sharing.backbone.layers:
        worst = []
        for group in sharing.partition(layer):
            pairs = [
                0.0
                if other in start.component(layer, one)
                else 1 - (similarity[layer][i][j] + similarity[layer][j][i]) / 2
                for (i, one), (j, other) in itertools.combinations(enumerate(sharing.tasks), 2)
                if {one, other} <= group
            ]
            worst.append(max(pairs, default=0.0))
        total += sum(worst) / len(worst)
    return total


def spent(sharing: Sharing, costs: Mapping[str, int]) -> int:
    return sum(costs[layer] * len(sharing.partition(layer)) for layer in sharing.backbone.layers)


@st.composite
def cases(draw: Any, most: int = 3) -> tuple[Sharing, dict[str, Any], dict[str, int], int]:
    (start,) = draw(
        st.one_of(
            sharings(most=most).map(lambda found: (found[0].apart(),)),
            sharings(most=most),
            sharings_by_source(most=most, backbone=draw(backbones(3))),
        ).filter(lambda found: len(found[0].backbone) <= 3)
    )
    count = len(start.tasks)
    numbers = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, -0.5])  # of these sums are exact
    matrix = st.lists(st.lists(numbers, min_size=count, max_size=count), min_size=count, max_size=count)
    similarity = {layer: draw(matrix) for layer in start.backbone.layers}
    costs = {layer: draw(st.integers(0, 5)) for layer in start.backbone.layers}
    least, most_ = spent(start.united(), costs), spent(start, costs)
    return start, similarity, costs, draw(st.integers(least, max(least, most_)))


def chosen(case: Any, beam: int = WIDE) -> Tree:
    start, similarity, costs, budget = case
    return choose_tree(start, similarity, lambda layer, _: costs[layer], budget, beam=beam)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_with_a_wide_beam_it_is_the_best_of_all_valid_sharings(case: Any) -> None:
    start, similarity, costs, budget = case
    found = chosen(case)
    assert found.exact
    within = [each for each in every_sharing(start) if spent(each, costs) <= budget]
    ranked = [(dissimilarity(each, start, similarity), spent(each, costs)) for each in within]
    assert found.sharing in within
    assert (found.dissimilarity, found.cost) == pytest.approx(min(ranked))
    assert (dissimilarity(found.sharing, start, similarity), spent(found.sharing, costs)) == pytest.approx(min(ranked))


@settings(max_examples=40, deadline=None)
@given(cases(most=5), st.integers(1, 4))
def test_a_narrow_beam_keeps_the_budget_and_is_no_better(case: Any, beam: int) -> None:
    start, similarity, costs, budget = case
    found, best = chosen(case, beam), chosen(case)
    assert start <= found.sharing
    assert spent(found.sharing, costs) == found.cost <= budget
    assert found.dissimilarity == pytest.approx(dissimilarity(found.sharing, start, similarity))
    assert found.dissimilarity >= best.dissimilarity - 1e-12
    assert not found.exact or found.dissimilarity == best.dissimilarity


@settings(max_examples=40, deadline=None)
@given(cases(most=5), st.integers(1, 4), st.data())
def test_it_does_not_depend_on_the_order_of_the_tasks(case: Any, beam: int, data: st.DataObject) -> None:
    start, similarity, costs, budget = case
    order = data.draw(st.permutations(range(len(start.tasks))))
    turned = start.reordered([start.tasks[place] for place in order])
    moved = {layer: [[matrix[i][j] for j in order] for i in order] for layer, matrix in similarity.items()}
    one, other = chosen(case, beam), chosen((turned, moved, costs, budget), beam)
    assert other.sharing.reordered(start.tasks) == one.sharing
    assert (other.dissimilarity, other.cost, other.exact) == (one.dissimilarity, one.cost, one.exact)


@settings(max_examples=30, deadline=None)
@given(cases(most=4))
def test_more_to_spend_is_never_worse(case: Any) -> None:
    start, similarity, costs, budget = case
    more = chosen((start, similarity, costs, budget + 3))
    assert more.dissimilarity <= chosen(case).dissimilarity


@settings(max_examples=40, deadline=None)
@given(cases(most=4))
def test_less_than_the_cheapest_tree_is_refused(case: Any) -> None:
    start, similarity, costs, _ = case
    least = spent(start.united(), costs)
    with pytest.raises(ValueError, match=f"even the tree that shares every layer costs {least}, above {least - 1}"):
        chosen((start, similarity, costs, least - 1))


def alike(*pairs: str) -> list[list[float]]:
    """Of a, b, c and d: 0.9 where two of them are named, else 0.1."""
    return [[0.9 if "".join(sorted(one + other)) in pairs else 0.1 for other in "abcd"] for one in "abcd"]


def test_the_tree_branches_where_tasks_are_unlike() -> None:
    every = {"stem": alike("ab", "cd", "ac", "ad", "bc", "bd"), "body": alike("ab", "cd"), "last": alike()}
    start = Sharing.each(CHAIN, "abcd")
    found = choose_tree(start, every, lambda layer, _: 1, 7)
    assert str(found.sharing) == "\n".join(["stem = a + b + c + d", "body = a + b, c + d", "last = a, b, c, d"])
    assert found.cost == 7
    assert found.dissimilarity == pytest.approx(0.1 + 0.1)
    assert choose_tree(start, every, lambda layer, _: 1, 12).sharing == start


def test_tasks_of_two_sides_come_to_share_nothing() -> None:
    every = dict.fromkeys(CHAIN.layers, alike("ac", "bd"))
    start = Sharing.each(CHAIN, "abcd")
    found = choose_tree(start, every, lambda layer, _: 1, 6, sides=["ab", "cd"])
    assert {each for layer in CHAIN.layers for each in found.sharing.partition(layer)} == {
        frozenset("ab"), frozenset("cd"),
    }  # fmt: skip
    with pytest.raises(ValueError, match="costs 6, above 5"):
        choose_tree(start, every, lambda layer, _: 1, 5, sides=["ab", "cd"])
    with pytest.raises(ValueError, match="the sides do not part the tasks"):
        choose_tree(start, every, lambda layer, _: 1, 6, sides=["ab", "bcd"])
    with pytest.raises(ValueError, match="tasks of two sides share `stem`"):
        choose_tree(start.united(), every, lambda layer, _: 1, 6, sides=["ab", "cd"])


def test_a_copy_may_cost_by_its_tasks() -> None:
    every = dict.fromkeys(CHAIN.layers, alike("ab", "cd"))
    price = {"a": 5, "b": 5, "c": 1, "d": 1}
    start = Sharing.each(CHAIN, "abcd")
    found = choose_tree(start, every, lambda _, tasks: max(map(price.__getitem__, tasks)), 21, sides=["ab", "cd"])
    assert [len(found.sharing.partition(layer)) for layer in CHAIN.layers] == [3, 3, 3]
    assert found.cost == 3 * (5 + 1 + 1)


def test_many_tasks_keep_the_budget_and_do_no_worse_than_planted_pairs() -> None:
    count = 9
    tasks = tuple(f"task{place:02}" for place in range(count))
    matrix = [[0.9 if i // 2 == j // 2 else 0.1 + 0.001 * ((i * j) % 7) for j in range(count)] for i in range(count)]
    pairs = -(-count // 2)
    found = choose_tree(Sharing.each(CHAIN, tasks), dict.fromkeys(CHAIN.layers, matrix), lambda *_: 1, 3 * pairs)
    assert not found.exact
    assert found.cost <= 3 * pairs
    # Groups count alike, however large: that of the planted pairs is good, and others may be better.
    assert 0 < found.dissimilarity <= 3 * 0.1 * (count // 2) / pairs + 1e-9


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stem": alike(), "body": alike()}, "there is no similarity for `last`"),
        (dict.fromkeys(CHAIN.layers, alike()[:3]), "is no matrix of 4 x 4"),
        (dict.fromkeys(CHAIN.layers, [[float("nan")] * 4] * 4), "holds nan"),
    ],
)
def test_a_similarity_that_is_none_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose_tree(Sharing.each(CHAIN, "abcd"), wrong, lambda *_: 1, 12)


def test_a_beam_lets_something_go_on_and_alternatives_are_not_merged() -> None:
    every = dict.fromkeys(CHAIN.layers, alike())
    with pytest.raises(ValueError, match="a beam of 0"):
        choose_tree(Sharing.each(CHAIN, "abcd"), every, lambda *_: 1, 12, beam=0)
    mixed = Backbone(CHAIN.layers, CHAIN.reads, {"body": ["one", "other"]})
    assert isinstance(Sharing.each(mixed, "abcd")["body"], Cover)
    with pytest.raises(SharingError):
        choose_tree(Sharing.each(mixed, "abcd"), every, lambda *_: 1, 12)
