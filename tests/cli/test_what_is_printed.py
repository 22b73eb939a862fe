"""Whatever a file is called and whatever a spec holds, nothing of it steers the terminal, and every name can be printed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prepared

SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"
ARRAYS = """\
mtl 1

data arrays {{
  path  = "{path}"
  input = row(4)
}}

task kind {{
  target = values(1)
  head   = linear(1)
}}

backbone {{
  hidden = linear(4) | relu
}}

train {{
  epochs = 1
}}
"""
NAMES = {
    "steering": "red\x1b[31m bell\x07 turn\u202eed two\nlines.mtl",
    "no text": os.fsdecode(b"caf\xe9\x9b.mtl"),
}
COMMANDS = {
    "check": ("check",),
    "check with problems": ("check", "--set", "train.epoch=1"),
    "check pedantic": ("check", "--pedantic"),
    "check json": ("check", "--output-format", "json"),
    "check sarif": ("check", "--output-format", "sarif"),
    "check github": ("check", "--output-format", "github"),
    "fmt": ("fmt",),
    "fmt check": ("fmt", "--check"),
    "show": ("show",),
    "compile": ("compile",),
    "compile check": ("compile", "--check"),
}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *arguments, cwd=cwd)


def harmless(printed: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in printed)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_name_of_a_file_is_printed_without_what_steers_a_terminal(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    shutil.copy(SPEC, tmp_path / name)
    if command[0] == "fmt":
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("\n\n")  # so that there is something to say
    done = run(*command, name, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), done.stderr
    assert harmless(done.stdout + done.stderr), (done.stdout, done.stderr)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_so_it_is_where_there_is_no_such_file(name: str, tmp_path: Path) -> None:
    for command in ("check", "fmt", "show", "compile", "train"):
        done = run(command, name, cwd=tmp_path)
        assert done.returncode in (1, 2), done.stdout
        assert "MTL703" in done.stderr
        assert harmless(done.stdout + done.stderr)


def test_diff_prints_a_value_without_what_steers_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text(ARRAYS.format(path="plain.npz"), encoding="utf-8")
    (tmp_path / "b.mtl").write_text(ARRAYS.format(path="\\u001b[8mhidden\\u001b[0m\\u202e.npz"), encoding="utf-8")
    for words in (("a.mtl", "b.mtl"), ("b.mtl", "a.mtl"), ("--json", "a.mtl", "b.mtl")):
        done = run("diff", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "hidden" in done.stdout
        assert harmless(done.stdout + done.stderr)


@pytest.mark.parametrize("special", ["pipe", "zero"])
@pytest.mark.parametrize(
    "command", [("check",), ("fmt", "--check"), ("show",), ("compile",), ("train",), ("diff", "a.mtl")]
)
def test_what_is_no_file_is_refused_and_not_read(command: tuple[str, ...], special: str, tmp_path: Path) -> None:
    shutil.copy(SPEC, tmp_path / "a.mtl")
    place = "/dev/zero" if special == "zero" else str(tmp_path / "pipe.mtl")
    if special == "pipe":
        os.mkfifo(place)
    done = run(*command, place, cwd=tmp_path)
    assert done.returncode in (1, 2), done.stdout
    assert "MTL703" in done.stderr, done.stderr
    assert "is no file" in done.stderr


def test_what_a_shell_puts_in_the_place_of_a_command_is_read(tmp_path: Path) -> None:
    shutil.copy(SPEC, tmp_path / "a.mtl")
    program = f"{sys.executable} -m mtsldsl diff a.mtl <(cat a.mtl)"
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the two specs mean the same" in done.stdout
