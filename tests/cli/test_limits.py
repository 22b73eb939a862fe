"""However large the network that a short text means, every command takes time in proportion and needs little memory.

Each text is here once with `check`, the other commands in `make soak`; every command with every text is in
`tests/soak/test_limits_of_commands.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.limits import COMMANDS, HARDEST, held_as_half, held_as_ordinary
from tests.ir.explosions import LARGE

OTHERS = {
    "compile": "blocks with arguments",
    "diff": "a long constant in a wide join",
    "show": "repetitions side by side",
    "fmt": "a long constant in a long pipeline",
}
LARGEST = {
    "check": "many tasks",
    "compile": "many layers",
    "diff": "a long layer",
    "show": "long heads",
    "fmt": "a wide layer",
}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.soak] * (place % 3 > 0)) for place, each in enumerate(HARDEST)]
)
def test_a_short_text_of_a_huge_network_is_refused_as_soon_as_an_ordinary_one_is_read(
    name: str, tmp_path: Path
) -> None:
    held_as_ordinary("check", name, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(("command", "name"), OTHERS.items())
def test_so_it_is_by_the_other_commands(command: str, name: str, tmp_path: Path) -> None:
    held_as_ordinary(command, name, tmp_path)


@pytest.mark.parametrize(
    ("command", "name"),
    [pytest.param(*each, marks=[pytest.mark.soak] * (each[0] != "check")) for each in LARGEST.items()],
)
def test_the_largest_networks_that_are_allowed_take_twice_the_time_of_half_of_them(
    command: str, name: str, tmp_path: Path
) -> None:
    held_as_half(command, name, tmp_path)


def test_every_command_and_every_large_network_is_among_them() -> None:
    assert {"check", *OTHERS} == set(LARGEST) == set(COMMANDS)
    assert sorted(LARGEST.values()) == sorted(LARGE)
