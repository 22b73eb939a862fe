from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.sharing import decide_grouping, group_tasks
from mtsldsl.sharing.linkage import LinkageSearch
from mtsldsl.sharing.subsets import SubsetSearch
from tests.sharing.test_difference import partitions

quick = settings(max_examples=60, deadline=None)


def brute_value(similarity, partition):
    total = Fraction(0)
    for group in partition:
        for one in group:
            others = [
                (Fraction(similarity[one][other]) + Fraction(similarity[other][one])) / 2
                for other in group
                if other != one
            ]
            total += sum(others) / len(others) if others else 0
    return total / len(similarity)


def brute_force(similarity, threshold):
    """The rule word by word: the trace as (value, every best partition with the fewest groups), and the last s."""
    ranked = [(brute_value(similarity, p), p) for p in partitions(list(range(len(similarity))))]
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


def compare(similarity, threshold, tolerance):
    decision = decide_grouping(similarity, threshold)
    trace, ranked = brute_force(similarity, threshold)
    assert [entry[0] for entry in decision.trace] == list(range(1, len(trace) + 1))
    for (_, value, partition), (best, equal) in zip(decision.trace, trace, strict=True):
        assert abs(brute_value(similarity, partition) - best) <= tolerance
        assert value == float(brute_value(similarity, partition))
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
    assert abs(brute_value(similarity, decision.runner_up) - max(others)) <= tolerance
    assert decision.runner_up_value == float(brute_value(similarity, decision.runner_up))
    assert decision.exact
    assert group_tasks(similarity, threshold) == list(decision.accepted)


@given(matrices(), st.sampled_from([-0.5, 0.0, 0.2, 0.5, 0.8, 2.0]))
@quick
def test_grouping_is_the_best_of_all_partitions(similarity, threshold):
    compare(similarity, threshold, tolerance=2**-40)


@given(matrices(entries=st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0])), st.sampled_from([0.25, 0.5, 0.75]))
@quick
def test_ties_and_values_on_the_threshold_follow_the_rule_exactly(similarity, threshold):
    compare(similarity, threshold, tolerance=0)


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


@given(st.integers(17, 22), st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
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
    for size in (6, 9, 18):
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


@pytest.mark.parametrize("size", [2, 5, 16, 18])
def test_tasks_of_which_nothing_is_known_are_not_grouped(size):
    decision = decide_grouping(np.zeros((size, size)), 0.5)
    assert decision.partition == (tuple(range(size)),)
    assert decision.accepted == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_sixteen_tasks_at_the_largest_values_do_not_overflow(sign):
    full = np.full((16, 16), sign * 3.9999)
    search = SubsetSearch(full - np.diag(np.diag(full)))
    assert search.best(1) == (tuple(range(16)),)
    assert int(np.sign(search._values[-1])) == sign
    assert abs(int(search._values[-1])) > 2**60


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


def test_beyond_sixteen_tasks_the_decision_is_not_called_exact():
    blocks = np.kron(np.eye(6), np.ones((3, 3))) * 0.7 + 0.2
    decision = decide_grouping(blocks, 0.85)
    assert not decision.exact
    assert decision.partition == tuple((3 * block, 3 * block + 1, 3 * block + 2) for block in range(6))
    assert decision.accepted == decision.partition
    assert decision.runner_up_value < decision.value


def test_the_local_search_is_close_to_the_optimum_where_that_is_known():
    shares = []
    for seed in range(20):
        similarity = np.random.default_rng(seed).uniform(0, 1, (9, 9))
        np.fill_diagonal(similarity, 0)
        best, near = SubsetSearch(similarity), LinkageSearch(similarity)
        found = [brute_value(similarity.tolist(), near.best(groups)) for groups in range(1, 9)]
        assert found == sorted(found)
        optima = [brute_value(similarity.tolist(), best.best(groups)) for groups in range(1, 9)]
        shares += [float(value / optimum) for value, optimum in zip(found, optima, strict=True)]
    assert max(shares) <= 1 + 2**-40
    assert min(shares) >= 0.8
    assert np.mean(shares) >= 0.98
