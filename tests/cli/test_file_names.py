"""Whatever a file is called, commands find it and show its name, or report that there can be no such file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import prepared

ROOT = Path(__file__).parents[2]
SCENES = (ROOT / "specs" / "scenes.mtl").read_bytes()
IMPOSSIBLE = {"too long": "a" * 300 + ".mtl", "too long a folder": "a" * 300 + "/net.mtl", "of nothing": "gone.mtl"}
COMMANDS = {
    "check": ["check", "NAME"],
    "fix": ["check", "--fix", "NAME"],
    "fmt": ["fmt", "NAME"],
    "compile": ["compile", "NAME", "-o", "out"],
    "show": ["show", "NAME"],
    "diff": ["diff", "NAME", "NAME"],
    "page": ["diff", "net.mtl", "net.mtl", "--html", "NAME/page.html"],
    "consensus": ["diff", "NAME", "NAME", "NAME"],
    "merge": ["merge", "NAME", "NAME", "NAME"],
    "eval": ["eval", "NAME"],
    "train": ["train", "NAME", "--device", "cpu"],
    "resume": ["train", "--resume", "NAME", "--device", "cpu"],
}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *arguments, cwd=cwd, errors="surrogateescape")


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_cannot_be_there_is_reported(command: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "net.mtl").write_bytes(SCENES)
    done = run(*(each.replace("NAME", IMPOSSIBLE[name]) for each in COMMANDS[command]), cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert "MTL" in done.stderr
    assert done.returncode in (1, 2)


@pytest.mark.parametrize("name", ["a[red].mtl", "[/x].mtl", "[", "a\\[b].mtl"])
def test_show_says_the_name_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(SCENES)
    done = run("show", name, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{name}  ")


@pytest.mark.parametrize("name", [b"b\xffd.mtl", b"two\nlines.mtl", b"\x1b[31mred.mtl", "\u202eturned.mtl".encode()])
def test_show_says_a_name_that_would_disturb_the_terminal_with_question_marks(name: bytes, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(SCENES)
    done = run("show", os.fsdecode(name), cwd=tmp_path)
    assert done.returncode == 0
    assert "?" in done.stdout.split("  ")[0]
    assert done.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("page", "eval", "train", "resume")])
def test_a_name_that_is_no_text_is_that_of_a_file(command: str, tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xffd.mtl")
    (tmp_path / name).write_bytes(SCENES)
    done = run(*(name if each == "NAME" else each for each in COMMANDS[command]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
