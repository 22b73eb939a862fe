"""Every command with every text of a huge network: the whole of what `tests/cli/test_limits.py` has a choice of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.limits import COMMANDS, HARDEST, held_as_half, held_as_ordinary
from tests.ir.explosions import HOSTILE, LARGE
from tests.syntax.endurance import hold_to_memory

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", HOSTILE)
def test_a_short_text_of_a_huge_network_is_refused_as_soon_as_an_ordinary_one_is_read(
    name: str, tmp_path: Path
) -> None:
    assert len(HOSTILE[name]) < 11_000
    held_as_ordinary("check", name, tmp_path)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "check"])
@pytest.mark.parametrize("name", HARDEST)
def test_so_it_is_by_the_other_commands(name: str, command: str, tmp_path: Path) -> None:
    held_as_ordinary(command, name, tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", LARGE)
def test_the_largest_networks_that_are_allowed_take_twice_the_time_of_half_of_them(
    name: str, command: str, tmp_path: Path
) -> None:
    held_as_half(command, name, tmp_path)


def test_hard_texts_of_100_kb_need_little_memory() -> None:
    hold_to_memory(100_000, 1 << 30)
