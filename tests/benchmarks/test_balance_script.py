"""What benchmarks/balance.py compares is the same computation; how long it takes is no matter here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.benchmarks.loading import loaded


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    with loaded("balance") as script:
        yield script


def cases(benchmark: Any) -> list[Any]:
    images = benchmark.image_case(width=4, size=16, images=2)
    return [images, images.in_default_layout(), benchmark.row_case(count=5, rows=4)]


@pytest.mark.soak
def test_ours_and_by_hand_have_equal_losses_and_gradients(benchmark: Any) -> None:
    for case in cases(benchmark):
        for balance in benchmark.COMPARED:
            benchmark.require_equal(case, balance)


@pytest.mark.soak
def test_another_balance_has_other_gradients(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of_mgda = benchmark.aggregator_of("mgda")
    monkeypatch.setattr(benchmark, "aggregator_of", lambda _: of_mgda)
    with pytest.raises(AssertionError):
        benchmark.require_equal(benchmark.row_case(count=5, rows=4), "pcgrad")


@pytest.mark.soak
def test_every_way_is_timed_in_every_round_and_every_balance_has_its_cost(benchmark: Any) -> None:
    case = benchmark.row_case(count=2, rows=4)
    ways, comparisons = benchmark.make_ways("rows", case, 1.05)
    assert len(comparisons) == len(benchmark.COMPARED)
    times = benchmark.measure(ways | benchmark.make_costs(case), 2, 1, 1)
    assert all(len(found) == 2 and min(found) > 0 for found in times.values())
    benchmark.report_costs({balance: times[balance] for balance in benchmark.make_costs(case)})


@pytest.mark.parametrize(("seconds", "status"), [(1.04, 0), (1.06, 1)])
def test_a_missed_target_is_marked_and_sets_the_exit_status(
    benchmark: Any, capsys: pytest.CaptureFixture[str], seconds: float, status: int
) -> None:
    compared = [
        benchmark.Comparison("a, ours", "a, by hand", 1.05),
        benchmark.Comparison("b, ours", "a, by hand", None),
    ]
    times = {"a, ours": [seconds], "b, ours": [9.0], "a, by hand": [1.0]}
    assert benchmark.report(times, compared) == status
    assert benchmark.report_memory({"a, ours": seconds, "a, by hand": 1.05}) == status
    assert capsys.readouterr().out.count("missed") == 2 * status
