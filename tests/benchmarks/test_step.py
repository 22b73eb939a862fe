"""What benchmarks/step.py compares is the same computation; how long it takes is no matter here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.benchmarks.loading import loaded

TINY = {"width": 4, "size": 16, "images": 4, "rows": 16}


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    with loaded("step") as script:
        yield script


def losses(step: Any) -> torch.Tensor:
    found = step()
    return torch.stack([found[task].detach() for task in sorted(found)])


def test_what_is_compared_starts_from_equal_losses(benchmark: Any) -> None:
    benchmark.require_equal_losses(benchmark.make_steps(**TINY))


@pytest.mark.soak
def test_what_is_compared_goes_on_with_equal_losses(benchmark: Any) -> None:
    steps = benchmark.make_steps(**TINY)
    courses = {way: torch.stack([losses(step) for _ in range(4)]) for way, step in steps.items()}
    for comparison in benchmark.COMPARISONS:
        torch.testing.assert_close(courses[comparison.ours], courses[comparison.other], rtol=1e-3, atol=1e-3)
        assert (courses[comparison.ours][-1] < courses[comparison.ours][0]).all()


@pytest.mark.soak
def test_other_losses_are_not_taken_for_equal(benchmark: Any) -> None:
    steps = benchmark.make_steps(**TINY)
    steps["separate, plain loop"]()
    with pytest.raises(AssertionError):
        benchmark.require_equal_losses(steps)


@pytest.mark.soak
def test_every_way_is_timed_in_every_round(benchmark: Any) -> None:
    steps = benchmark.make_steps(**TINY)
    times = benchmark.measure(steps, rounds=2, repeats=1, light=1)
    assert {way: len(found) for way, found in times.items()} == dict.fromkeys(steps, 2)
    assert all(time > 0 for found in times.values() for time in found)


@pytest.mark.parametrize(("seconds", "status"), [(1.01, 0), (1.03, 1)])
def test_a_missed_target_is_marked_and_sets_the_exit_status(
    benchmark: Any, capsys: pytest.CaptureFixture[str], seconds: float, status: int
) -> None:
    times = {way: [2.0 if "plain" in way else 1.0] for way in benchmark.make_steps(**TINY)}
    assert benchmark.report(times | {"separate, ours": [seconds]}) == status
    assert capsys.readouterr().out.count("missed") == status
