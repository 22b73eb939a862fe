"""However large the network that a short text means, every command is quick and needs little memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.explosions import EXPLOSIONS, text_of, text_with_tasks

MEMORY = 500 * 2**20
COMMANDS = {
    "check": ("check", "--pedantic", "hostile.mtl"),
    "compile": ("compile", "hostile.mtl"),
    "diff": ("diff", "hostile.mtl", "hostile.mtl"),
    "show": ("show", "hostile.mtl"),
    "fmt": ("fmt", "hostile.mtl"),
}
HOSTILE = {
    **{name: text_of(*parts) for name, parts in EXPLOSIONS.items()},
    "many tasks": text_with_tasks(1500, "conv2d(1, 1)", 1),
    "many tasks with many layers": text_with_tasks(700, "conv2d(1, 1)", 400),
}
HARDEST = (
    "blocks with arguments",
    "a long constant in a long pipeline",
    "a long constant in a wide join",
    "repetitions side by side",
    "many tasks with many layers",
)
LARGE = {
    "many tasks": text_with_tasks(200, "conv2d(1, 1)", 100),
    "many layers": text_with_tasks(20, "conv2d(1, 1)", 900),
    "a long layer": text_of("", "conv2d(3, 3) * 9000"),
    "a wide layer": text_of("let r = conv2d(3, 3)", f"concat({','.join(['r'] * 4500)})"),
    "long heads": text_with_tasks(200, "conv2d(3, 3) * 40 | conv2d(1, 1)", 1),
}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(command: str, text: str, folder: Path) -> tuple[int, str, float]:
    """The exit status, all that a command says of the text, and the seconds of processor time that it takes."""
    (folder / "hostile.mtl").write_text(text, encoding="utf-8")
    with (folder / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mtsldsl", *COMMANDS[command]],
            stdout=said,
            stderr=said,
            cwd=folder,
            preexec_fn=limited,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return process.returncode, said.read(), used.ru_utime + used.ru_stime


def held(command: str, text: str, folder: Path, limit: float) -> tuple[int, str]:
    """Exit status and words of a command that keeps to the limit; a busy machine gets three tries."""
    seconds = limit
    for _ in range(3):
        status, said, taken = run(command, text, folder)
        seconds = min(seconds, taken)
        if seconds < limit:
            break
    assert seconds < limit
    assert "Traceback" not in said
    return status, said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_short_text_of_a_huge_network_is_refused_within_a_second(name: str, tmp_path: Path) -> None:
    assert len(HOSTILE[name]) < 11_000
    status, said = held("check", HOSTILE[name], tmp_path, 1)
    assert (status, said.count("error MTL"), said.count("error MTL111")) == (1, 1, 1)


@pytest.mark.parametrize(("command", "failed"), [("compile", 1), ("diff", 2), ("show", 1)])
@pytest.mark.parametrize("name", HARDEST)
def test_so_it_is_by_the_other_commands(name: str, command: str, failed: int, tmp_path: Path) -> None:
    status, said = held(command, HOSTILE[name], tmp_path, 1)
    assert (status, said.count("error MTL"), said.count("error MTL111")) == (failed, 1, 1)


@pytest.mark.parametrize("name", HARDEST)
def test_it_is_laid_out_within_a_second(name: str, tmp_path: Path) -> None:
    assert held("fmt", HOSTILE[name], tmp_path, 1)[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", LARGE)
def test_the_largest_networks_that_are_allowed_take_seconds(name: str, command: str, tmp_path: Path) -> None:
    status, said = held(command, LARGE[name], tmp_path, 5)
    assert status == 0, said
