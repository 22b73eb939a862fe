"""What benchmarks/planted.py holds: transference finds what was planted, and a run that does not is told."""

from __future__ import annotations

import attrs
import pytest

from tests.benchmarks.loading import loaded


@pytest.mark.soak
def test_a_short_run_finds_who_helps_whom_and_the_groups() -> None:
    with loaded("planted") as script:
        found = script.found_of(5, "train.epochs=4")
        assert found.right, found
        assert (len(found.helpful), len(found.harmful), len(found.unrelated)) == (6, 8, 16)
        wrong = (
            {"helpful": [*found.helpful[:-1], -0.01]},
            {"harmful": [*found.harmful[:-1], 0.01]},
            {"unrelated": [*found.unrelated[:-1], min(found.helpful)]},
            {"groups": (frozenset({"a1", "b1"}), *found.groups)},
        )
        assert not any(attrs.evolve(found, **each).right for each in wrong)
