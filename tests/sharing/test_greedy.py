"""Which copies merge under a budget: the merges, one by one, against distances of vectors to their means."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Sharing
from mtsldsl.sharing.greedy import Similarities, merge_to
from tests.sharing.strategies import sharings

Vectors = dict[str, dict[str, Any]]
CHAIN = Backbone(("stem", "body", "last"), {"body": ["stem"], "last": ["body"]})


def products(vectors: Vectors, layer: str, tasks: Any) -> Similarities:
    of = vectors[layer]
    return {frozenset(pair): float(of[pair[0]] @ of[pair[1]]) for pair in itertools.combinations(sorted(tasks), 2)}


def scatter(vectors: Vectors, layer: str, group: Any) -> float:
    """The sum of squared distances of unit vectors to their mean."""
    found = np.stack([vectors[layer][task] for task in sorted(group)])
    return float(((found - found.mean(0)) ** 2).sum())


@st.composite
def problems(draw: Any) -> tuple[Sharing, Vectors, dict[str, int], float]:
    """A start, a vector of length 1 for each copy of each layer, what a copy costs, the part that may be left."""
    (start,) = draw(sharings(most=4))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vectors: Vectors = {}
    for layer in start.backbone.layers:
        vectors[layer] = {}
        for component in start.partition(layer):
            found = chance.normal(size=4)
            vectors[layer] |= dict.fromkeys(component, found / np.linalg.norm(found))
    costs = {layer: draw(st.integers(0, 30)) for layer in start.backbone.layers}
    return start, vectors, costs, draw(st.floats(0, 1))


def spent(sharing: Sharing, costs: dict[str, int]) -> int:
    return sum(costs[layer] * len(sharing.partition(layer)) for layer in sharing.backbone.layers)


def merged(problem: Any, **more: Any) -> Any:
    start, vectors, costs, part = problem
    cost = spent(start, costs)
    return merge_to(
        start,
        cost,
        Fraction(part) * cost,
        lambda layer, tasks: products(vectors, layer, tasks),
        lambda layer, _: costs[layer],
        **more,
    )


@given(problems(), st.booleans())
@settings(max_examples=15)
def test_every_merge_is_the_cheapest_at_the_frontier_until_the_budget_is_kept(problem: Any, moving: bool) -> None:
    start, vectors, costs, part = problem
    found = merged(problem, moving=moving)
    allowed, sharing, first = Fraction(part) * spent(start, costs), start, start.frontier()
    for layer, one, other in found.made:
        assert spent(sharing, costs) > allowed
        prices = {}
        for place, tasks in sharing.frontier():
            if moving or (place, tasks) in first:
                for a, b in itertools.combinations([each for each in sharing.partition(place) if each <= tasks], 2):
                    worse = scatter(vectors, place, a | b) - scatter(vectors, place, a) - scatter(vectors, place, b)
                    prices[place, a | b] = (costs[place] > 0, worse / max(costs[place], 1))
        least = min(prices.values())
        assert prices[layer, one | other] <= (least[0], least[1] + 1e-9)
        sharing = sharing.merge(layer, one | other)
    assert sharing == found.sharing >= start
    assert found.cost == spent(sharing, costs)
    left = [place for place in sharing.frontier() if moving or place in first]
    assert found.cost <= allowed or not left


@given(problems(), st.data())
@settings(max_examples=8)
def test_the_order_of_the_tasks_decides_nothing(problem: Any, data: Any) -> None:
    start, *rest = problem
    other = start.reordered(data.draw(st.permutations(start.tasks)))
    assert merged((other, *rest)).sharing.reordered(start.tasks) == merged(problem).sharing


@given(problems())
@settings(max_examples=8)
def test_sides_and_what_nobody_reads_stay_apart(problem: Any) -> None:
    start, vectors, costs, _ = problem
    assume(len(start.tasks) > 2)
    apart = start.apart()
    first, *others = start.tasks
    last = start.backbone.layers[-1]
    found = merged((apart, vectors, costs, 0), sides=[[first], others], read_by={last: others[:1]}).sharing
    assert all(found.component(layer, first) == {first} for layer in start.backbone.layers)
    assert len(found.partition(last)) == len(start.tasks)


def test_of_equal_merges_the_first_layer_then_the_first_names_are_taken() -> None:
    start = Sharing.each(CHAIN, ["c", "a", "b"])
    alike = {frozenset(pair): 0.5 for pair in itertools.combinations("abc", 2)}
    found = merge_to(start, 9, Fraction(7), lambda *_: alike, lambda *_: 1)
    assert found.made == (("stem", {"a"}, {"b"}), ("stem", {"a", "b"}, {"c"}))
    assert found.cost == 7


def test_what_cannot_be_told_is_an_error() -> None:
    start = Sharing.each(CHAIN, "ab")
    with pytest.raises(ValueError, match="the similarity of a and b at `stem` is nan"):
        merge_to(start, 6, Fraction(1), lambda *_: {frozenset("ab"): float("nan")}, lambda *_: 1)
