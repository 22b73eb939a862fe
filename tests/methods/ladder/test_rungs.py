"""Which shapes fit a budget, what they cost, and how long it takes until one is left."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import cost_of, sizes_of
from mtsldsl.sharing.halving import LAST, best_within, cost, end_of_search, halvings, knee, latest, looks, rungs
from mtsldsl.sharing.shape import ALL_SHARED, Shape, assigned
from tests.laws import law

WIDTHS = st.lists(st.sampled_from([None, 1, 2, 3, 5, 8]), min_size=1, max_size=5).filter(any)
"""Of the layers of a network; None is one without weights."""


def network(widths: list[int | None], tasks: int, early: bool) -> Spec:
    """One of linear layers, whose last task may read the first layer alone."""
    layers = [f"  l{place} = {'tanh' if width is None else f'linear({width})'}" for place, width in enumerate(widths)]
    heads = ["linear(1)"] * (tasks - 1) + ["l0 | linear(1)" if early else "linear(1)"]
    blocks = [f"task t{place} {{\n  target = values(1)\n  head = {head}\n}}" for place, head in enumerate(heads)]
    return loads(
        'mtl 1\ndata arrays {\n  path = "x.npz"\n  input = row(3)\n}\n'
        + "\n".join(blocks)
        + "\nbackbone {\n"
        + "\n".join(layers)
        + "\n}\ntrain {\n  epochs = 8\n  balance = relative\n}\n"
    )


@law(60)
@given(WIDTHS, st.integers(1, 5), st.booleans(), st.sampled_from([0.2, 0.35, 0.5, 0.75, 1.0]))
def test_the_edge_is_what_brute_force_finds_with_the_cost_of_each_network(
    widths: list[int | None], tasks: int, early: bool, budget: float
) -> None:
    spec = network(widths, tasks, early)
    sizes = sizes_of(spec)

    def parameters(shape: Shape) -> int:
        chosen = {task: min(place, shape.copies - 1) for place, task in enumerate(sizes.readers(shape.since))}
        sharing = sizes.sharing(shape, chosen, spec.sharing)
        found = cost_of(attrs.evolve(spec, sharing=sharing)).parameters
        assert found == sizes.of(shape)
        return found

    single = cost_of(attrs.evolve(spec, sharing=spec.sharing.apart())).parameters
    assert sizes.single == single
    most = Fraction(str(budget)) * single
    wanted = []
    for since, width in enumerate(widths):
        readers = tasks if since == 0 else tasks - early
        fitting = [n for n in range(1, readers + 1) if width and parameters(Shape(since, n)) <= most]
        if fitting:
            wanted.append(Shape(since, max(fitting)) if max(fitting) > 1 else ALL_SHARED)
    if not wanted and parameters(ALL_SHARED) <= most:  # no layer with weights has a reader
        wanted.append(ALL_SHARED)
    assert list(sizes.edge(budget)) == list(dict.fromkeys(wanted))
    assert len(sizes.edge(budget)) <= len(widths)


@given(st.integers(1, 300), st.sampled_from([Fraction(1, 20), Fraction(1, 8), Fraction(3, 10), LAST]))
def test_the_search_costs_at_most_two_trainings(count: int, first: Fraction) -> None:
    """Counted step by step, with so many epochs that nothing is rounded away."""
    epochs = 100_000
    ends = rungs(count, first, epochs)
    assert len(ends) == len(halvings(count))
    assert ends == tuple(sorted(set(ends)))
    spent, left, before = 0, count, 0
    for end, after in zip(ends, halvings(count), strict=True):
        spent += left * (end - before)
        left, before = after, end
    assert left == 1
    spent += epochs - before
    assert spent <= 2 * epochs
    assert ends == () or ends[0] <= first * epochs
    assert ends == () or end_of_search(ends, LAST, epochs) == epochs // 2


def test_the_first_rung_is_as_late_as_two_trainings_allow() -> None:
    assert [latest(count) for count in (1, 2, 3, 4, 5, 6, 7, 8)] == [
        LAST, LAST, LAST, Fraction(1, 4), Fraction(1, 6), Fraction(1, 10), Fraction(1, 12), Fraction(1, 16),
    ]  # fmt: skip
    for count in range(3, 100):
        assert cost(count, latest(count)) == 2
    assert cost(2, LAST) == Fraction(3, 2)
    assert rungs(3, LAST, 40) == (20,)
    assert rungs(7, LAST, 60) == (5, 10, 30)
    assert rungs(7, Fraction(1, 20), 60) == (3, 6, 30)
    assert rungs(8, LAST, 48) == (3, 6, 24)


def test_the_better_half_goes_on_and_two_until_the_last_rung() -> None:
    assert [halvings(count) for count in (1, 2, 3, 4, 5, 6, 12)] == [
        (), (1,), (1,), (2, 1), (2, 1), (3, 2, 1), (6, 3, 2, 1),
    ]  # fmt: skip


@given(st.integers(1, 400))
def test_shapes_are_looked_at_in_the_last_quarter_until_a_rung(end: int) -> None:
    found = looks(end)
    assert found[-1] == end
    assert len(found) == max(1, end // 4)


@given(st.integers(1, 40), st.integers(60, 600))
def test_nothing_is_looked_at_for_two_rungs(count: int, epochs: int) -> None:
    seen = [epoch for end in rungs(count, LAST, epochs) for epoch in looks(end)]
    assert len(seen) == len(set(seen))
    assert rungs(1, LAST, 40) == ()
    assert cost(1, Fraction(1, 8)) == 1


@given(st.integers(1, 40), st.integers(1, 60))
def test_each_rung_has_an_epoch_of_its_own(count: int, epochs: int) -> None:
    ends = rungs(count, LAST, epochs)
    assume(ends)
    assert ends[0] >= 1
    assert all(later > earlier for earlier, later in pairwise(ends))
    assert end_of_search(ends, LAST, epochs) <= max(epochs, len(ends))


LOSSES = st.integers(1, 4).flatmap(
    lambda copies: st.lists(st.lists(st.floats(0.1, 2), min_size=copies, max_size=copies), min_size=1, max_size=6)
)


@given(LOSSES)
def test_where_no_copy_is_free_or_tasks_are_too_few_each_has_its_best(losses: list[list[float]]) -> None:
    copies, least = len(losses[0]), [row.index(min(row)) for row in losses]
    assume(len(losses) < copies or set(least) == set(range(copies)))
    assert assigned(losses) == least


@st.composite
def with_a_free_copy(draw: st.DrawFn) -> list[list[float]]:
    """Losses of at least as many tasks as copies, of which one is the best for none."""
    copies = draw(st.integers(2, 4))
    free, row = draw(st.integers(0, copies - 1)), st.lists(st.floats(0.1, 2), min_size=copies - 1, max_size=copies - 1)
    rows = draw(st.lists(row, min_size=copies, max_size=6))
    return [[*row[:free], 2.0 + at, *row[free:]] for at, row in enumerate(rows, 1)]


@given(with_a_free_copy())
def test_every_copy_is_taken_where_there_are_as_many_tasks(losses: list[list[float]]) -> None:
    chosen, copies = assigned(losses), len(losses[0])
    least = [row.index(min(row)) for row in losses]
    assert set(least) < set(range(copies))
    assert set(chosen) == set(range(copies))
    moved = sum(one != other for one, other in zip(chosen, least, strict=True))
    assert moved >= copies - len(set(least))


def test_the_task_that_loses_the_least_by_it_moves() -> None:
    assert assigned([[0.9, 1.1], [0.7, 1.3], [0.98, 1.02]]) == [0, 0, 1]
    assert assigned([[1.0, 1.0], [1.0, 1.0]]) == [1, 0]


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), min_size=1, max_size=6))
def test_a_budget_takes_the_best_that_fits_it_and_of_equal_ones_the_smallest(gains: list[float]) -> None:
    names = [str(place) for place in range(len(gains))]
    taken = best_within(names, dict(zip(names, gains, strict=True)))
    for place, name in enumerate(taken):
        fitting = gains[: place + 1]
        assert name == str(fitting.index(max(fitting)))


def test_a_budget_takes_nothing_that_is_no_number_but_where_nothing_is() -> None:
    nan = float("nan")
    assert best_within(["a", "b", "c"], {"a": nan, "b": -9.0, "c": nan}) == ["a", "b", "b"]
    assert best_within(["a", "b"], {"a": nan, "b": nan}) == ["a", "a"]
    assert best_within(["a", "a", "b"], {"a": 1.0, "b": 1.0}) == ["a", "a", "a"]


@pytest.mark.parametrize(
    ("sizes", "gains", "place"),
    [
        ([10, 20, 30, 40], [-1.0, -0.2, -0.1, 0.0], 1),
        ([10, 20, 30, 40], [-1.0, -0.9, -0.1, 0.0], 2),
        ([10, 20], [0.0, 1.0], 0),
        ([10, 20], [1.0, 0.0], 0),
        ([10, 20, 20], [0.0, 1.0, 1.0], 0),
        ([10], [1.0], 0),
        ([10, 20, 30], [0.5, 0.5, 0.5], 0),
    ],
)
def test_the_knee_is_where_more_begins_to_gain_little(sizes: list[int], gains: list[float], place: int) -> None:
    assert knee(sizes, gains) == place


def test_no_copy_is_for_a_task_of_weight_0_unless_all_are() -> None:
    text = """mtl 1
data planted {
  samples = 100
}
task [a1, b1, c1] {
  target = values(4)
  head   = linear(4)
}
task c2 {
  target = values(4)
  head   = linear(4)
  weight = 0
}
backbone {
  stem = linear(8) | relu
}
train {
  epochs = 1
}
"""
    assert sizes_of(loads(text)).readers(0) == ("a1", "b1", "c1")
    none = text.replace("head   = linear(4)\n}", "head   = linear(4)\n  weight = 0\n}")
    assert sizes_of(loads(none)).readers(0) == ("a1", "b1", "c1", "c2")
