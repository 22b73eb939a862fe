"""Shell completion: what is printed is what the shell runs, and it offers the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mtsldsl", "completion", shell], capture_output=True, text=True, check=True
    )
    assert f"_MTSLDSL_COMPLETE={shell}_complete" in done.stdout


def test_the_bash_script_is_sound_for_bash() -> None:
    printed = subprocess.run([sys.executable, "-m", "mtsldsl", "completion", "bash"], capture_output=True, check=True)
    subprocess.run(["bash", "-n"], input=printed.stdout, check=True)


@pytest.mark.parametrize(
    ("typed", "expected"), [("co", {"compile", "completion"}), ("me", {"merge"}), ("tr", {"train"})]
)
def test_the_commands_are_offered(typed: str, expected: set[str]) -> None:
    environment = {
        **os.environ,
        "_MTSLDSL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"mtsldsl {typed}",
        "COMP_CWORD": "1",
    }
    program = "from mtsldsl.cli import main; main(prog_name='mtsldsl')"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert {line.split(",")[1] for line in done.stdout.split()} == expected


def test_an_unknown_shell_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, "-m", "mtsldsl", "completion", "tcsh"], capture_output=True, check=False)
    assert done.returncode == 2
