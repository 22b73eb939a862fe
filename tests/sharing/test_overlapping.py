"""Groups chosen by affinity, and networks chosen under a budget: against published choices and all choices tried."""

from __future__ import annotations

from itertools import chain, combinations
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import Sharing, decide_groups, select_groups, select_networks
from mtsldsl.sharing.backbone import Backbone
from mtsldsl.sharing.climbing import climb
from mtsldsl.sharing.overlapping import EXACT_TASKS, Singles
from tests.laws import law

Affinity = dict[str, dict[str, float]]

PUBLISHED: Affinity = {
    "segment": {"normal": 0.0489, "depth": 0.1154, "keypoint": 0.0045, "edge": 0.0088},
    "depth": {"segment": 0.4136, "normal": 0.2914, "keypoint": 0.0135, "edge": 0.0740},
    "normal": {"segment": 0.1398, "depth": 0.2210, "keypoint": 0.0105, "edge": 0.0765},
    "keypoint": {"segment": 0.0211, "normal": 0.0107, "depth": 0.0134, "edge": 0.6897},
    "edge": {"segment": 0.0567, "normal": 0.0360, "depth": 0.0367, "keypoint": 0.3037},
}
"""Of Taskonomy (Fifty et al., 2021), rounded to four digits, which is why the means below have one less."""


def groups_of(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(name.split()) for name in names)


@pytest.mark.parametrize(
    ("groups", "wanted", "value"),
    [
        (2, groups_of("depth normal segment", "edge keypoint"), 0.3217),
        (3, groups_of("depth normal", "depth segment", "edge keypoint"), 0.3487),
        (4, groups_of("depth normal", "depth segment", "edge keypoint"), 0.3487),
    ],
)
def test_the_published_groups_of_taskonomy(groups: int, wanted: tuple[frozenset[str], ...], value: float) -> None:
    found = decide_groups(PUBLISHED, groups)
    assert found.groups == wanted
    assert found.value == pytest.approx(value, abs=5e-5)
    assert found.exact


def test_who_is_trained_in_a_group_and_better_served_by_another_helps_there() -> None:
    found = decide_groups(PUBLISHED, 3)
    row = found.row(tuple(PUBLISHED))
    assert [(sorted(each.tasks), sorted(each.helped)) for each in row] == [
        (["depth", "segment"], []),
        (["normal"], ["depth"]),
        (["edge", "keypoint"], []),
    ]
    backbone = Backbone(["trunk"], {"trunk": []})
    assert str(Sharing(backbone, tuple(PUBLISHED), {"trunk": row})) == (
        "trunk = segment + depth, (depth) + normal, keypoint + edge"
    )


def random_affinity(tasks: int, seed: int) -> Affinity:
    chance = Random(seed)
    names = [f"t{number:02}" for number in range(tasks)]
    return {one: {other: chance.gauss(0, 1) for other in names if other != one} for one in names}


def score(affinity: Affinity, group: tuple[str, ...], task: str) -> float:
    if len(group) == 1:
        return affinity[task].get(task, 0.0)
    return sum(affinity[task][other] for other in group if other != task) / (len(group) - 1)


def best_of_all(affinity: Affinity, groups: int, smallest: int) -> float:
    """The highest value, of every choice."""
    tasks = sorted(affinity)
    every = list(chain.from_iterable(combinations(tasks, size) for size in range(smallest, len(tasks) + 1)))
    scores = {group: {task: score(affinity, group, task) for task in group} for group in every}
    values = []
    for count in range(1, groups + 1):
        for chosen in combinations(every, count):
            served = [max((scores[group][task] for group in chosen if task in group), default=-1e9) for task in tasks]
            values.append(sum(served) / len(tasks))
    return max(values)


numbers = st.integers(-8, 8).map(lambda number: number / 4)


@st.composite
def affinities(draw: st.DrawFn, most: int = 5, *, alone: bool = False) -> Affinity:
    tasks = "abcdefgh"[: draw(st.integers(2, most))]
    return {one: {other: draw(numbers) for other in tasks if alone or other != one} for one in tasks}


@law(60)
@given(affinities(4), st.integers(1, 3))
def test_no_choice_is_better(affinity: Affinity, groups: int) -> None:
    found = decide_groups(affinity, groups)
    assert len(found.groups) <= groups
    assert found.value == pytest.approx(best_of_all(affinity, groups, 2))


@law(40)
@given(affinities(4, alone=True), st.integers(1, 3))
def test_no_choice_is_better_where_a_task_may_be_alone(affinity: Affinity, groups: int) -> None:
    found = decide_groups(affinity, groups, "allowed")
    assert found.value == pytest.approx(best_of_all(affinity, groups, 1))


@law(60)
@given(affinities(6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_the_tasks_changes_nothing(affinity: Affinity, groups: int, chance: Random) -> None:
    names = list(affinity)
    chance.shuffle(names)
    other = {name: dict(sorted(affinity[name].items(), key=lambda _: chance.random())) for name in names}
    assert decide_groups(other, groups) == decide_groups(affinity, groups)


@law(60)
@given(affinities(6), st.integers(1, 4), st.sampled_from(["never", "allowed"]))
def test_every_group_serves_some_and_no_task_would_be_better_served(
    affinity: Affinity, groups: int, singles: Singles
) -> None:
    found = decide_groups(affinity, groups, singles)
    assert sorted(task for served in found.served for task in served) == sorted(affinity)
    assert all(served and served <= group for group, served in zip(found.groups, found.served, strict=True))
    assert singles == "allowed" or all(len(group) > 1 for group in found.groups)
    of = {task: place for place, served in enumerate(found.served) for task in served}
    for task, place in of.items():
        here = score(affinity, tuple(found.groups[place]), task)
        assert all(score(affinity, tuple(group), task) <= here + 1e-12 for group in found.groups if task in group)


@law(60)
@given(affinities(5), st.integers(1, 3))
def test_one_group_more_is_taken_only_where_it_gains(affinity: Affinity, groups: int) -> None:
    fewer, more = decide_groups(affinity, groups), decide_groups(affinity, groups + 1)
    assert more.value >= fewer.value
    assume(more.value == fewer.value)
    assert len(more.groups) <= len(fewer.groups)


@pytest.mark.parametrize(("tasks", "groups"), [(9, 4), (12, 3)])
def test_the_choice_of_many_tasks_is_proven(tasks: int, groups: int) -> None:
    assert decide_groups(random_affinity(tasks, 0), groups).exact  # benchmarks/grouping.py says how long it takes


def test_more_tasks_than_can_be_proven_have_a_good_choice_and_it_says_so() -> None:
    affinity = random_affinity(EXACT_TASKS + 2, 1)
    found = decide_groups(affinity, 3)
    assert not found.exact
    assert sorted(task for served in found.served for task in served) == sorted(affinity)
    assert found.value > decide_groups(affinity, 1).value
    assert decide_groups(dict(reversed(affinity.items())), 3) == found


def test_climbing_finds_the_best_choice_of_nearly_all_matrices() -> None:
    found = 0
    for seed in range(10):
        affinity = random_affinity(6 + seed % 4, seed)
        exact = decide_groups(affinity, 2 + seed % 2)
        names = sorted(affinity)
        matrix = np.array([[affinity[one].get(other, 0.0) for other in names] for one in names])
        rows = [
            tuple(name for name, member in zip(names, row, strict=True) if member)
            for row in climb(matrix, 2 + seed % 2, alone=False)
        ]
        best = [max(score(affinity, row, task) for row in rows if task in row and len(row) > 1) for task in names]
        found += sum(best) / len(names) == pytest.approx(exact.value)
    assert found >= 9


@pytest.mark.parametrize(
    ("affinity", "groups", "said"),
    [
        ({"a": {"b": 1.0}, "b": {}}, 1, "nothing says how much a helps b"),
        ({"a": {"b": 1.0}, "b": {"a": float("nan")}}, 1, "how much a helps b is nan, not a finite number"),
        ({"a": {"b": 1.0}, "b": {"a": 1.0}}, 0, "a whole number of 1 or more, not 0"),
    ],
)
def test_an_affinity_that_is_none_is_refused(affinity: Affinity, groups: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select_groups(affinity, groups)


def test_one_task_is_its_own_group_and_none_has_none() -> None:
    assert select_groups({"a": {}}, 2) == (frozenset("a"),)
    assert select_groups({}, 2) == ()


Losses = dict[str, dict[str, float]]


def cheapest_of_all(losses: Losses, cost: dict[str, float], budget: float) -> float | None:
    tasks = {task for row in losses.values() for task in row}
    values = []
    for chosen in chain.from_iterable(combinations(losses, size) for size in range(1, len(losses) + 1)):
        served = {task for name in chosen for task in losses[name]}
        if served == tasks and sum(cost[name] for name in chosen) <= budget:
            values.append(sum(min(losses[name].get(task, 1e9) for name in chosen) for task in tasks))
    return min(values, default=None)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Losses, dict[str, float]]:
    """Networks of some tasks, each a task at least, named by them."""
    sets = draw(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=7))
    losses = {
        f"{number} {''.join(sorted(tasks))}": {task: draw(st.integers(1, 9)) / 8 for task in sorted(tasks)}
        for number, tasks in enumerate(sets)
    }
    return losses, {name: draw(st.sampled_from([0.5, 1.0, 1.5])) for name in losses}


@law(150)
@given(candidates(), st.sampled_from([0.5, 1.0, 2.0, 2.5, 4.0]))
def test_no_networks_within_the_budget_are_better(given: tuple[Losses, dict[str, float]], budget: float) -> None:
    losses, cost = given
    wanted = cheapest_of_all(losses, cost, budget)
    assume(wanted is not None)
    chosen = select_networks(losses, cost, budget)
    assert sum(cost[name] for name in chosen) <= budget
    tasks = {task for row in losses.values() for task in row}
    found = sum(min(losses[name][task] for name in chosen if task in losses[name]) for task in tasks)
    assert found == pytest.approx(wanted)
    assert list(chosen) == [name for name in losses if name in chosen]


def test_costs_are_added_as_they_are_written() -> None:
    losses = {"one": {"a": 1.0}, "two": {"b": 1.0}, "three": {"c": 1.0}}
    assert select_networks(losses, dict.fromkeys(losses, 0.1), 0.3) == ("one", "two", "three")


@pytest.mark.parametrize(
    ("losses", "cost", "budget", "said"),
    [
        ({"x": {"a": 1.0}}, {"x": 2.0}, 1, "nothing at the cost of 1 or less serves a"),
        ({"x": {"a": 1.0}, "y": {"b": 1.0}}, {"x": 1.0, "y": 1.0}, 1, "nothing at the cost of 1 or less serves all"),
        ({"x": {"a": float("inf")}}, {"x": 1.0}, 1, "the loss of a in x is inf, not a finite number"),
        ({"x": {"a": 1.0}}, {}, 1, "nothing says what x costs"),
        ({"x": {"a": 1.0}}, {"x": -1.0}, 1, "the cost of x is -1.0, below 0"),
        ({"x": {"a": 1.0}}, {"x": 1.0}, float("nan"), "the budget is nan, not a finite number"),
    ],
)
def test_what_cannot_be_chosen_is_refused(losses: Losses, cost: dict[str, float], budget: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select_networks(losses, cost, budget)
