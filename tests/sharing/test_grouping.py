from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.sharing import decide_grouping, group_tasks
from mtsldsl.sharing.exact import MOST_EXACT_TASKS
from mtsldsl.sharing.subsets import SubsetSearch
from tests.laws import law
from tests.sharing.families import FAMILIES
from tests.sharing.test_difference import partitions

quick = law(120)


def brute_value(similarity, partition, alone=0):
    total = Fraction(0)
    for group in partition:
        for one in group:
            others = [
                (Fraction(similarity[one][other]) + Fraction(similarity[other][one])) / 2
                for other in group
                if other != one
            ]
            total += sum(others) / len(others) if others else Fraction(alone)
    return total / len(similarity)


def brute_force(similarity, threshold, alone=0):
    """The rule word by word: the trace as (value, every best partition with the fewest groups), and the last s."""
    ranked = [(brute_value(similarity, p, alone), p) for p in partitions(list(range(len(similarity))))]
    trace = []
    for limit in range(1, len(similarity)):
        allowed = [(value, p) for value, p in ranked if len(p) <= limit]
        best = max(value for value, _ in allowed)
        fewest = min(len(p) for value, p in allowed if value == best)
        trace.append((best, [p for value, p in allowed if value == best and len(p) == fewest]))
        if best >= Fraction(threshold):
            break
    return trace, ranked


def as_sets(partition):
    return frozenset(map(frozenset, partition))


def matrices(least=2, most=6, entries=None):
    numbers = st.floats(-1, 1) if entries is None else entries
    return st.integers(least, most).flatmap(
        lambda size: st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=size, max_size=size)
    )


def compare(similarity, threshold, tolerance, alone=0.0):
    decision = decide_grouping(similarity, threshold, alone=alone)
    trace, ranked = brute_force(similarity, threshold, alone)
    assert [entry[0] for entry in decision.trace] == list(range(1, len(trace) + 1))
    for (_, value, partition), (best, equal) in zip(decision.trace, trace, strict=True):
        assert abs(brute_value(similarity, partition, alone) - best) <= tolerance
        assert value == float(brute_value(similarity, partition, alone))
        if not tolerance:
            assert as_sets(partition) in equal
    assert (decision.partition, decision.value) == (decision.trace[-1][2], decision.trace[-1][1])
    assert list(decision.accepted) == [
        group
        for group in decision.partition
        if len(group) > 1 and brute_value(similarity, [group]) * len(similarity) / len(group) > Fraction(threshold)
    ]
    others = [value for value, p in ranked if len(p) <= max(len(trace), 2) and p != as_sets(decision.partition)]
    assert as_sets(decision.runner_up) != as_sets(decision.partition)
    assert abs(brute_value(similarity, decision.runner_up, alone) - max(others)) <= tolerance
    assert decision.runner_up_value == float(brute_value(similarity, decision.runner_up, alone))
    assert decision.exact
    assert group_tasks(similarity, threshold, alone=alone) == list(decision.accepted)


@given(matrices(), st.sampled_from([-0.5, 0.0, 0.2, 0.5, 0.8, 2.0]))
@quick
def test_grouping_is_the_best_of_all_partitions(similarity, threshold):
    compare(similarity, threshold, tolerance=2**-40)


@given(matrices(entries=st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0])), st.sampled_from([0.25, 0.5, 0.75]))
@quick
def test_ties_and_values_on_the_threshold_follow_the_rule_exactly(similarity, threshold):
    compare(similarity, threshold, tolerance=0)


@given(matrices(), st.sampled_from([-0.5, 0.2, 0.8, 2.0]), st.sampled_from([-0.5, 0.2, 0.7]))
@quick
def test_a_task_alone_scores_what_is_asked_for(similarity, threshold, alone):
    compare(similarity, threshold, tolerance=2**-40, alone=alone)


@given(matrices(entries=st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0])), st.sampled_from([0.25, 0.5, 0.75]))
@quick
def test_ties_are_broken_alike_where_a_task_alone_scores_the_threshold(similarity, threshold):
    compare(similarity, threshold, tolerance=0, alone=threshold)


@given(matrices(least=3), st.sampled_from([0.2, 0.5, 0.8]))
@quick
def test_a_pair_that_is_alike_merges_beside_tasks_that_are_like_none_where_alone_scores_the_threshold(rows, threshold):
    similarity = np.minimum(np.array(rows), threshold - 0.1)
    similarity[0, 1] = similarity[1, 0] = threshold + 0.1
    assert group_tasks(similarity, threshold, alone=threshold) == [(0, 1)]


def test_in_the_paper_a_third_task_holds_back_a_pair():
    similarity = [[1, 0.99, 0.5], [0.99, 1, 0.5], [0.5, 0.5, 1]]
    assert group_tasks(similarity, 0.8) == []
    assert group_tasks(similarity, 0.8, alone=0.8) == [(0, 1)]


@pytest.mark.parametrize("seed", range(4))
def test_grouping_of_seven_tasks_is_the_best_of_all_partitions(seed):
    similarity = np.random.default_rng(seed).uniform(-0.3, 1, (7, 7))
    compare(similarity.tolist(), 0.9, tolerance=2**-40)


@given(st.integers(2, 9), st.integers(0, 10**6), st.sampled_from([0.3, 0.6, 0.8, 0.95]))
@quick
def test_the_order_of_the_tasks_does_not_matter(size, seed, threshold):
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(-0.2, 1, (size, size))
    order = rng.permutation(size)
    one = decide_grouping(similarity, threshold)
    other = decide_grouping(similarity[np.ix_(order, order)], threshold)

    def renamed(partition):
        return as_sets([[int(order[task]) for task in group] for group in partition])

    assert renamed(other.partition) == as_sets(one.partition)
    assert renamed(other.accepted) == as_sets(one.accepted)
    assert renamed(other.runner_up) == as_sets(one.runner_up)
    assert (other.value, other.runner_up_value) == (one.value, one.runner_up_value)
    assert [value for _, value, _ in other.trace] == [value for _, value, _ in one.trace]


@given(st.integers(19, 24), st.integers(0, 10**6))
@law(30)
def test_the_order_of_many_tasks_does_not_matter_either(size, seed):
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(0, 1, (size, size))
    order = rng.permutation(size)
    one = decide_grouping(similarity, 0.7)
    other = decide_grouping(similarity[np.ix_(order, order)], 0.7)
    assert as_sets([[int(order[task]) for task in group] for group in other.partition]) == as_sets(one.partition)
    assert other.value == one.value


def test_groups_and_partitions_are_sorted():
    rng = np.random.default_rng(3)
    for size in (6, 9, 19):
        decision = decide_grouping(rng.uniform(0, 1, (size, size)), 0.7)
        for partition in (decision.partition, decision.accepted, decision.runner_up):
            assert list(partition) == sorted(partition)
            assert all(list(group) == sorted(group) for group in partition)
        assert sorted(task for group in decision.partition for task in group) == list(range(size))


def test_a_group_exactly_on_the_threshold_ends_the_search_and_is_not_accepted():
    similarity = [[1, 0.8, 0.8], [0.8, 1, 0.8], [0.8, 0.8, 1]]
    decision = decide_grouping(similarity, 0.8)
    assert decision.partition == ((0, 1, 2),)
    assert len(decision.trace) == 1
    assert decision.accepted == ()
    assert group_tasks(similarity, math.nextafter(0.8, 0)) == [(0, 1, 2)]


def test_a_task_that_is_like_no_other_stays_alone():
    similarity = [[1, 0.9, -0.2], [0.9, 1, -0.1], [-0.2, -0.1, 1]]
    decision = decide_grouping(similarity, 0.8)
    assert decision.partition == ((0, 1), (2,))
    assert decision.accepted == ((0, 1),)
    assert decision.value == pytest.approx(0.6)


def test_the_diagonal_is_not_looked_at_and_both_directions_count():
    nan = float("nan")
    assert decide_grouping([[nan, 1.0], [0.5, nan]], 0.5).value == 0.75


def test_large_and_small_similarities_are_searched_alike():
    similarity = np.random.default_rng(5).uniform(-1, 1, (8, 8))
    plain = decide_grouping(similarity, 0.6)
    for scale in (2.0**-900, 2.0**-30, 2.0**40, 2.0**900):
        scaled = decide_grouping(similarity * scale, 0.6 * scale)
        assert (scaled.partition, scaled.accepted, scaled.runner_up) == (
            plain.partition,
            plain.accepted,
            plain.runner_up,
        )


@pytest.mark.parametrize("size", [2, 5, 16, 19, 40])
def test_tasks_of_which_nothing_is_known_are_not_grouped(size):
    decision = decide_grouping(np.zeros((size, size)), 0.5)
    assert decision.partition == (tuple(range(size)),)
    assert decision.accepted == ()


@pytest.mark.parametrize("tasks", range(2, MOST_EXACT_TASKS + 1))
@pytest.mark.parametrize("sign", [1, -1])
def test_no_sum_overflows_at_the_largest_values(tasks, sign):
    full = np.full((tasks, tasks), sign * 3.9999)
    search = SubsetSearch(full - np.diag(np.diag(full)))
    assert search.best(1) == (tuple(range(tasks)),)
    # With one similarity everywhere, a set of several tasks is worth as many times the same.
    everyone = int(search._values[-1])
    assert 2**60 < sign * everyone < 2**62
    sizes = np.array([members.bit_count() for members in range(len(search._values))])
    assert np.array_equal(search._values, np.where(sizes > 1, everyone // tasks * sizes, 0))


@given(matrices(2, 9, st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0])))
@quick
def test_ties_go_to_the_fewest_groups_then_to_the_lowest_sets(similarity):
    search = SubsetSearch(np.where(np.eye(len(similarity)), 0, similarity))
    for groups in range(1, len(similarity) + 1):
        assert search.best(groups) == first_of_the_best(similarity, groups)


def first_of_the_best(similarity, groups):
    """By plain recursion over the groups of the lowest task: highest value, fewest groups, then the lowest sets."""
    doubled = (np.array(similarity) + np.array(similarity).T) * 4  # whole numbers, for entries of quarters
    scale = math.lcm(*range(1, len(similarity)))

    @cache
    def worth(members):
        inside = [task for task in range(len(similarity)) if members >> task & 1]
        total = sum(int(doubled[one, other]) for one in inside for other in inside if one < other)
        return total * scale // max(len(inside) - 1, 1)

    @cache
    def best(members, left):
        if not members:
            return 0, 0, ()
        if not left:
            return None
        lowest = members & -members
        found, others = [], members ^ lowest
        taken = others
        while True:
            end = best(others ^ taken, left - 1)
            if end is not None:
                group = taken | lowest
                found.append((-worth(group) + end[0], end[1] + 1, (group, *end[2])))
            if not taken:
                return min(found)
            taken = (taken - 1) & others

    sets = best((1 << len(similarity)) - 1, groups)[2]
    return tuple(tuple(task for task in range(len(similarity)) if members >> task & 1) for members in sets)


@pytest.mark.parametrize("tasks", [10, 13])
def test_large_groups_are_found_as_small_ones_are(tasks):
    """One group of every size and a pair, and the rest alone: the best partition into so many groups is known."""
    for size in range(2, tasks - 1):
        similarity = np.full((tasks, tasks), -1.0)
        similarity[:size, :size] = 1.0
        similarity[size : size + 2, size : size + 2] = 1.0
        decision = decide_grouping(similarity, 2.0)
        wanted = (tuple(range(size)), (size, size + 1), *((task,) for task in range(size + 2, tasks)))
        assert decision.partition == wanted
        assert decision.value == float(Fraction(size + 2, tasks))


@pytest.mark.parametrize("similarity", [[], np.zeros((0, 0)), [[1.0]]])
def test_fewer_than_two_tasks_have_nothing_to_decide(similarity):
    assert group_tasks(similarity, 0.5) == []
    decision = decide_grouping(similarity, 0.5)
    assert (decision.partition, decision.runner_up, decision.trace) == (((0,),) if len(similarity) else (), None, ())


@pytest.mark.parametrize(
    ("similarity", "threshold", "words"),
    [
        ([[1.0, 0.5]], 0.5, r"square.*\(1, 2\)"),
        ([1.0, 0.5], 0.5, "square"),
        (np.zeros((2, 2, 2)), 0.5, "square"),
        ([[1.0, float("nan")], [0.5, 1.0]], 0.5, "tasks 0 and 1 is nan"),
        ([[1.0, 0.5], [float("inf"), 1.0]], 0.5, "tasks 1 and 0 is inf"),
        ([[1.0, 0.5], [0.5, 1.0]], float("nan"), "threshold"),
    ],
)
def test_input_that_is_no_similarity_is_refused(similarity, threshold, words):
    with pytest.raises(ValueError, match=words):
        group_tasks(similarity, threshold)


def test_the_input_is_left_as_it_was():
    similarity = np.array([[1.0, 0.5], [0.5, 1.0]])
    group_tasks(similarity, 0.2)
    assert similarity.tolist() == [[1.0, 0.5], [0.5, 1.0]]


def blocks(count):
    return np.kron(np.eye(count), np.ones((3, 3))) * 0.7 + 0.2


@pytest.mark.parametrize(("tasks", "asked", "exact"), [(18, {}, True), (21, {}, False), (9, {"exact_tasks": 8}, False)])
def test_a_decision_says_whether_it_is_proven(tasks, asked, exact):
    decision = decide_grouping(blocks(tasks // 3), 0.85, **asked)
    assert decision.exact is exact
    assert decision.partition == tuple((3 * block, 3 * block + 1, 3 * block + 2) for block in range(tasks // 3))
    assert decision.accepted == decision.partition
    assert decision.runner_up_value < decision.value
    assert group_tasks(blocks(tasks // 3), 0.85, **asked) == list(decision.accepted)


def test_the_exact_search_goes_to_twenty_tasks_on_request():
    similarity = np.where(np.eye(20)[::-1] > 0, 0.9, 0.1)
    similarity[:10, :10] = similarity[10:, 10:] = 0.95
    decision = decide_grouping(similarity, 0.9, exact_tasks=20)
    assert decision.exact
    assert decision.partition == (tuple(range(10)), tuple(range(10, 20)))


@pytest.mark.parametrize("asked", [-1, 0, 1, MOST_EXACT_TASKS + 1, 10**9])
def test_a_number_of_tasks_that_cannot_be_searched_exactly_is_refused(asked):
    with pytest.raises(ValueError, match=f"exact_tasks must be a whole number of 2 to 20, not {asked}"):
        decide_grouping([[1.0, 0.5], [0.5, 1.0]], 0.5, exact_tasks=asked)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_local_search_finds_the_optimum_where_that_is_known(family):
    equal = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        similarity = family(rng, int(rng.integers(8, 13)))
        threshold = float(rng.choice([0.8, 0.95]))
        best, near = decide_grouping(similarity, threshold), decide_grouping(similarity, threshold, exact_tasks=2)
        assert not near.exact
        values = [value for _, value, _ in near.trace]
        assert values == sorted(values)
        assert all(value <= top + 2**-30 for value, (_, top, _) in zip(values, best.trace, strict=False))
        equal.append(near.value == pytest.approx(best.value, abs=2**-30))
    assert sum(equal) >= 9


@given(
    st.integers(3, 30), st.integers(0, 10**6), st.sampled_from([[0.0, 0.5], [0.1, 0.3, 0.7], [1 / 3, 1e-300, 1e300]])
)
@law(30)
def test_the_local_search_ends_on_ties_and_gives_the_same_each_time(size, seed, entries):
    similarity = np.random.default_rng(seed).choice(entries, (size, size))
    one = decide_grouping(similarity, 2e300, exact_tasks=2)
    assert one == decide_grouping(similarity, 2e300, exact_tasks=2)
    assert len(one.trace) == size - 1
    assert as_sets(one.runner_up) != as_sets(one.partition)
    assert sorted(task for group in one.runner_up for task in group) == list(range(size))
