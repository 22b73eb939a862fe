"""What benchmarks/allocation.py compares is the same computation; how long it takes is no matter here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.benchmarks.loading import loaded

TINY = {"filters": 4, "images": 2}


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    with loaded("allocation") as script:
        yield script


@pytest.mark.soak
def test_steps_with_the_same_noise_have_the_same_losses_and_pruned_networks_the_same_outputs(benchmark: Any) -> None:
    ways = benchmark.make_ways(**TINY, same_noise=True)
    for _ in range(2):  # of all tasks: forty steps
        benchmark.require_equal(ways, tolerance=1e-4)


@pytest.mark.soak
def test_other_noise_gives_other_losses(benchmark: Any) -> None:
    ways = benchmark.make_ways(**TINY)
    with pytest.raises(AssertionError):
        benchmark.require_equal(ways)


def test_about_half_of_the_uses_are_left(benchmark: Any) -> None:
    uses = benchmark.half([f"task{number}" for number in range(20)])
    used = sum(len(names) for layers in uses.values() for names in layers)
    assert 0.4 < used / (20 * len(benchmark.LAYERS) * len(benchmark.ALTERNATIVES)) < 0.6
    assert all(names for layers in uses.values() for names in layers)


@pytest.mark.soak
def test_every_way_is_timed_in_every_round(benchmark: Any) -> None:
    ways = benchmark.make_ways(**TINY)
    times = benchmark.measure(ways, rounds=2)
    assert {way: len(found) for way, found in times.items()} == dict.fromkeys(ways.by_name, 2)
    assert all(time > 0 for found in times.values() for time in found)


@pytest.mark.soak
def test_alike_alternatives_have_the_same_gradients_at_once(benchmark: Any) -> None:
    for kind in ({}, {"inputs": 1}, {"groups": 2}):
        passes, pays = benchmark.make_passes(benchmark.Alike(3, 6, 3, 5, images=2, **kind))
        assert pays
        benchmark.require_equal_gradients(passes)
        assert all(ratio > 0 for ratio in benchmark.ratios_of(passes, 2))
    assert not benchmark.make_passes(benchmark.Alike(2, 32, 3, 16, images=8))[1]


@pytest.mark.parametrize(("way", "seconds", "missed"), [
    ("train, ours", 1.04, 0), ("train, ours", 1.06, 1), ("infer, ours", 1.01, 0), ("infer, ours", 1.03, 1),
])  # fmt: skip
def test_a_missed_target_is_marked_and_sets_the_exit_status(
    benchmark: Any, capsys: pytest.CaptureFixture[str], way: str, seconds: float, missed: int
) -> None:
    names = [name for each in benchmark.COMPARISONS for name in (each.ours, each.other)]
    times = {name: [1.0] for name in names}
    assert benchmark.report(times | {way: [seconds]}) == missed
    assert capsys.readouterr().out.count("missed") == missed
