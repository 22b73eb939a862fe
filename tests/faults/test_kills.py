"""A run that is killed at any instant goes on to the same bits."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mtsldsl.methods.registry import METHODS
from tests.faults.kills import facts, instants, killed_and_resumed, prepared_job, whole_run
from tests.faults.test_within_an_epoch import AVAILABLE
from tests.methods.each_learner import text

SPECS = {name: text(name, at=2, epochs=3) for name in METHODS}


def held(tmp_path: Path, spec: str, count: int, seed: int, *options: str) -> None:
    prepared_job(tmp_path / "whole", spec)
    words = ["job.mtl", *options, *(["--in-place"] if "structure mtsl" in spec else [])]
    calls = whole_run(tmp_path / "whole", *words)
    (run,) = (tmp_path / "whole" / "runs").glob("*/*")
    expected = facts(run)
    for at in instants(calls, count, seed):
        place = tmp_path / str(at)
        prepared_job(place, spec)
        found = facts(killed_and_resumed(place, at, len(calls), *words))
        assert found.keys() == expected.keys(), at
        for name, value in expected.items():
            if name == "events":
                for one, other in zip(value, found[name], strict=True):
                    assert one == other, at
            assert found[name] == value, (at, name)
        assert (place / "job.mtl").read_bytes() == (tmp_path / "whole" / "job.mtl").read_bytes()


@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_is_killed_at_any_instant_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    held(tmp_path, SPECS[name], 9 if name == "mtsl" else 4, 0)


@pytest.mark.parametrize(
    "name", [name if name in ("mtsl", "ladder") else pytest.param(name, marks=pytest.mark.soak) for name in METHODS]
)
def test_so_does_one_that_is_killed_within_an_epoch(name: str, tmp_path: Path) -> None:
    """With a checkpoint after every step."""
    held(tmp_path, SPECS[name], 2, 1, "--checkpoint-every", "0")


BALANCES_TO_KILL = [name for name in AVAILABLE if name != "equal"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", METHODS)
def test_three_hundred_kills_of_every_learner(name: str, seed: int, tmp_path: Path) -> None:
    """With a checkpoint after every step in every other one, and another balance each time."""
    spec = SPECS[name]
    if name != "ladder":
        balance = random.Random(f"{name} {seed}").choice(BALANCES_TO_KILL)
        spec = spec.replace("  keep       = last\n", f"  balance    = {balance}\n  keep       = last\n")
    held(tmp_path, spec, 8, 100 + seed, *(["--checkpoint-every", "0"] if seed % 2 else []))
