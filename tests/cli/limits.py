"""Commands on texts of huge networks: what each takes, as a process of its own with little memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.ir.explosions import HOSTILE, LARGE, text_with_tasks
from tests.timing import Measure, held_in_proportion, held_within

MEMORY = 500 * 2**20
COMMANDS = {
    "check": ("check", "--pedantic", "hostile.mtl"),
    "compile": ("compile", "hostile.mtl"),
    "diff": ("diff", "hostile.mtl", "hostile.mtl"),
    "show": ("show", "hostile.mtl"),
    "fmt": ("fmt", "hostile.mtl"),
}
FAILED = {"check": 1, "compile": 1, "diff": 2, "show": 1, "fmt": 0}
"""The exit status where the network is refused, which laying a text out does not look at."""

HARDEST = (
    "blocks with arguments",
    "a long constant in a long pipeline",
    "a long constant in a wide join",
    "repetitions side by side",
    "many tasks with many layers",
)
ORDINARY = text_with_tasks(20, "conv2d(1, 1)", 900)
"""A sound text about as long as the hostile ones."""


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


def measured(command: str, text: str, folder: Path, status: int) -> Measure:
    """Measures a command that is to have that exit status; where it refuses, it says why and nothing else."""

    def measure() -> float:
        found, said, seconds = run(command, text, folder)
        assert "Traceback" not in said
        assert found == status, said
        if found:
            assert (said.count("error MTL"), said.count("error MTL111")) == (1, 1)
        return seconds

    return measure


def held_as_ordinary(command: str, name: str, folder: Path) -> None:
    """A command takes a hostile text not much longer than an ordinary one of its length; what it refuses it need not
    even show."""
    ordinary = "check" if command == "show" else command
    held_within(3, measured(command, HOSTILE[name], folder, FAILED[command]), measured(ordinary, ORDINARY, folder, 0))


def held_as_half(command: str, name: str, folder: Path) -> None:
    """A command takes the largest network that is allowed at most twice as long as half of it."""
    whole = 40 if command == "show" else 100  # rich takes seconds to lay out 200 columns
    held_in_proportion(lambda percent: measured(command, LARGE[name](percent), folder, 0), whole)
