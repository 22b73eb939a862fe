"""Shell completion: what is printed is what the shell runs, and it offers commands, options, files and codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHELLS = ("bash", "zsh", "fish")


def printed(shell: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mtsldsl", "completion", shell], capture_output=True, text=True, check=True
    )
    return done.stdout


def offered(*typed: str) -> list[tuple[str, str]]:
    """The type and the text of each offer for the last word."""
    environment = {
        **os.environ,
        "_MTSLDSL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("mtsldsl", *typed)),
        "COMP_CWORD": str(len(typed)),
    }
    program = "from mtsldsl.cli import main; main(prog_name='mtsldsl')"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return [(kind, text) for kind, _, text in (line.partition(",") for line in done.stdout.splitlines())]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_first_line_says_where_to_put_what_is_printed(shell: str) -> None:
    first, rest = printed(shell).split("\n", 1)
    assert first.startswith("# ")
    assert f"mtsldsl completion {shell} >" in first
    assert f"_MTSLDSL_COMPLETE={shell}_complete" in rest


def test_zsh_loads_its_completion_system_where_nothing_else_has() -> None:
    text = printed("zsh")
    assert text.index("autoload -Uz compinit && compinit") < text.index("compdef _mtsldsl_completion mtsldsl")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_sound_for_its_shell(shell: str) -> None:
    if shutil.which(shell) is None and shell != "bash":
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=printed(shell), text=True, check=True)


def test_bash_completes_a_command_with_it(tmp_path: Path) -> None:
    (tmp_path / "mtsldsl").write_text(f"#!/bin/sh\nexec '{sys.executable}' -m mtsldsl \"$@\"\n")
    (tmp_path / "mtsldsl").chmod(0o755)
    (tmp_path / "completion").write_text(printed("bash"))
    script = (
        "source completion; COMP_WORDS=(mtsldsl explain MTL20); COMP_CWORD=2; _mtsldsl_completion mtsldsl; "
        'echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["MTL201", "MTL202", "MTL203", "MTL204", "MTL205", "MTL206"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("co", "compile completion"),
        ("me", "merge"),
        ("tr", "train"),
        ("check --out", "--output-format"),
        ("check --output-format s", "sarif"),
        ("new x --from t", "table"),
        ("train x.mtl --device c", "cpu cuda"),
        ("explain mtl20", "MTL201 MTL202 MTL203 MTL204 MTL205 MTL206"),
        ("explain str", "structure"),
        ("explain structure sp", "split"),
        ("explain balance st", "stch"),
        ("completion f", "fish"),
    ],
)
def test_commands_options_choices_and_codes_are_offered(typed: str, expected: str) -> None:
    assert offered(*typed.split()) == [("plain", each) for each in expected.split()]


@pytest.mark.parametrize(
    "command", ["check", "fmt", "compile", "train", "eval", "show", "diff", "diff a.mtl", "merge a.mtl b.mtl"]
)
def test_files_are_offered_where_a_spec_is_wanted(command: str) -> None:
    assert offered(*command.split(), "n") == [("file", "n")]


def test_an_unknown_shell_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, "-m", "mtsldsl", "completion", "tcsh"], capture_output=True, check=False)
    assert done.returncode == 2
