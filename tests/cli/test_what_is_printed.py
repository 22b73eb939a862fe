"""Whatever a file is called and whatever a spec holds, nothing of it steers the terminal, and every name can be printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mtsldsl.cli import main
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
    "check without phases": ("check", "--set", "train.epochs=1"),
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


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the test, for commands that need no process of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    """A command in this process; what is no text it cannot print, as a process cannot."""
    return CliRunner().invoke(main, arguments, prog_name="mtsldsl")


def harmless(printed: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in printed)


def broken(printed: str) -> bool:
    """Whether a line begins in the midst of a name, where that has a line's end."""
    return any(line.strip().startswith("lines") for line in printed.split("\n"))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_name_of_a_file_is_printed_without_what_steers_a_terminal(
    command: tuple[str, ...], name: str, here: Path
) -> None:
    shutil.copy(SPEC, here / name)
    if command[0] == "fmt":
        with (here / name).open("a", encoding="utf-8") as file:
            file.write("\n\n")  # so that there is something to say
    done = run(*command, name)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert done.exit_code in (0, 1), done.stderr
    assert harmless(done.stdout + done.stderr), (done.stdout, done.stderr)
    assert not broken(done.stdout + done.stderr), (done.stdout, done.stderr)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_so_it_is_where_a_problem_is_ignored_or_mended(name: str, here: Path) -> None:
    text = ARRAYS.format(path="plain.npz").replace("| relu", "| rellu")
    (here / name).write_text(text.replace("rellu", "rellu  # mtl: ignore MTL107"), encoding="utf-8")
    ignored = run("check", name)
    assert "1 problem ignored" in ignored.stderr
    (here / name).write_text(text, encoding="utf-8")
    mended = run("check", "--fix", name)
    assert "fixed MTL107" in mended.stdout
    for done in (ignored, mended):
        assert harmless(done.stdout + done.stderr)
        assert not broken(done.stdout + done.stderr)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_so_it_is_where_there_is_no_such_file(name: str, here: Path) -> None:
    for command in ("check", "fmt", "show", "compile", "train"):
        done = run(command, name)
        assert done.exit_code in (1, 2), done.stdout
        assert "MTL703" in done.stderr
        assert harmless(done.stdout + done.stderr)
        assert not broken(done.stdout + done.stderr)


def test_diff_prints_a_value_without_what_steers_a_terminal(here: Path) -> None:
    (here / "a.mtl").write_text(ARRAYS.format(path="plain.npz"), encoding="utf-8")
    (here / "b.mtl").write_text(ARRAYS.format(path="\\u001b[8mhidden\\u001b[0m\\u202e.npz"), encoding="utf-8")
    for words in (("a.mtl", "b.mtl"), ("b.mtl", "a.mtl"), ("--json", "a.mtl", "b.mtl")):
        done = run("diff", *words)
        assert done.exit_code == 0, done.stderr
        assert "hidden" in done.stdout
        assert harmless(done.stdout + done.stderr)


@pytest.mark.parametrize("special", ["pipe", "zero"])
@pytest.mark.parametrize(
    "command", [("check",), ("fmt", "--check"), ("show",), ("compile",), ("train",), ("diff", "a.mtl")]
)
def test_what_is_no_file_is_refused_and_not_read(command: tuple[str, ...], special: str, here: Path) -> None:
    shutil.copy(SPEC, here / "a.mtl")
    place = "/dev/zero" if special == "zero" else str(here / "pipe.mtl")
    if special == "pipe":
        os.mkfifo(place)
    done = run(*command, place)
    assert done.exit_code in (1, 2), done.stdout
    assert "MTL703" in done.stderr, done.stderr
    assert "is no file" in done.stderr


@pytest.mark.parametrize("command", [("check", "-"), ("check", "/dev/stdin"), ("fmt", "--check", "-")])
def test_of_what_never_ends_no_more_is_read_than_a_specification_has(command: tuple[str, ...], tmp_path: Path) -> None:
    """In as much memory as a command needs."""
    words = " ".join(command)
    program = f"ulimit -v 2000000; yes | {sys.executable} -m mtsldsl {words}"
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert "MTL703" in done.stderr, done.stderr
    assert "holds more than 8 MiB, which no specification does" in done.stderr


def test_a_file_that_is_larger_than_any_specification_is_not_read(here: Path) -> None:
    with (here / "a.mtl").open("wb") as stream:
        stream.truncate(100 * 2**30)
    done = run("check", "a.mtl")
    assert done.exit_code == 1
    assert "a.mtl holds more than 8 MiB, which no specification does" in done.stderr


def test_what_a_shell_puts_in_the_place_of_a_command_is_read(tmp_path: Path) -> None:
    shutil.copy(SPEC, tmp_path / "a.mtl")
    program = f"{sys.executable} -m mtsldsl diff a.mtl <(cat a.mtl)"
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the two specs mean the same" in done.stdout


STEERING = "a\x1b]0;title\x07b\x1b[8mc\x9bd\x08e\rf\u202eg"
SHOWN = "a?]0;title?b?[8mc?d?e?f?g"
OWN_STYLE = re.compile(r"\x1b\[(?!8m)[0-9;]*m")
"""What `mtsldsl` itself sends to a terminal for colours and bold letters; it hides nothing."""

WORDS = {
    "new": ["fresh", "--from", "table"],
    "check": ["net.mtl"],
    "explain": ["MTL107"],
    "fmt": ["net.mtl"],
    "compile": ["net.mtl"],
    "data": ["net.mtl"],
    "train": ["net.mtl"],
    "eval": ["runs/net/1"],
    "predict": ["runs/net/1", "--input", "net.mtl", "-o", "out.npz"],
    "export": ["runs/net/1", "--to", "pt2"],
    "log": ["runs/net/1"],
    "baselines": ["net.mtl", "--seeds", "0", "--rows", "each"],
    "affinity": ["runs/net/1"],
    "group": ["net.mtl", "--groups", "2"],
    "show": ["net.mtl"],
    "diff": ["net.mtl", "net.mtl"],
    "merge": ["net.mtl", "net.mtl", "net.mtl"],
    "git install": [],
    "git uninstall": [],
    "completion": ["bash"],
}
"""Every command with arguments that it takes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec without its data, one that has what steers in its name and text, and a folder that has."""
    text = ARRAYS.format(path="gone.npz")
    (tmp_path / "net.mtl").write_text(text, encoding="utf-8")
    (tmp_path / f"{STEERING}.mtl").write_text(f"{text}\n\n# {STEERING}\n", encoding="utf-8", newline="")
    (tmp_path / f"{STEERING} folder").mkdir()
    return tmp_path


def shown_on_terminal(*words: str, cwd: Path) -> str:
    """What a command sends to a terminal, without its own colours: none of it steers."""
    _, sent = prepared.run_on_terminal("-m", "mtsldsl", *words, cwd=cwd)
    plain = OWN_STYLE.sub("", sent)
    assert "Traceback" not in plain
    assert harmless(plain), (words, plain)
    return plain


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


def test_every_command_is_looked_at() -> None:
    assert [name for name, _ in commands(main)] == list(WORDS)


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.soak] * (place % 3 > 0)) for place, each in enumerate(WORDS)]
)
def test_no_word_of_a_command_line_steers_the_terminal(name: str, folder: Path) -> None:
    command, words = name.split(), WORDS[name]
    for wrong in ([f"--{STEERING}"], [f"--{STEERING}={STEERING}"], [f"-{STEERING[1:]}"]):
        assert "No such option" in shown_on_terminal(*command, *wrong, cwd=folder)
    for given in ([STEERING], [*words, *[STEERING] * 4], [f"{STEERING}/"], [f"{STEERING} folder"]):
        shown_on_terminal(*command, *given, cwd=folder)
    for option in dict(commands(main))[name].params:
        if isinstance(option, click.Option):
            value = f"train.epochs={STEERING}" if option.name == "overrides" else STEERING
            shown_on_terminal(*command, *words, f"{option.opts[-1]}={value}", cwd=folder)


@pytest.mark.parametrize(
    "words",
    [
        (STEERING,),
        (f"--{STEERING}",),
        ("git", STEERING),
        ("git", f"--{STEERING}"),
        ("git", "install", STEERING),
        ("completion", STEERING),
        ("completion", "bash", STEERING),
        ("show", "net.mtl", STEERING),
        ("check", "net.mtl", "--set", STEERING),
        ("check", "net.mtl", "--set", f"train.epochs={STEERING}"),
        ("check", "net.mtl", "--set", f"{STEERING}=1"),
        ("explain", STEERING),
        ("explain", "structure", STEERING),
        ("new", f"{STEERING}/", "--from", "table"),
        ("merge", "net.mtl", "net.mtl", "net.mtl", "-o", f"{STEERING} folder"),
        ("train", "net.mtl", "--structure", STEERING),
        ("train", "net.mtl", "--threads", STEERING),
        ("diff", "net.mtl", f"HEAD:{STEERING}"),
        ("eval", STEERING),
    ],
    ids=lambda words: " ".join(words).replace(STEERING, "X"),
)
def test_what_is_wrong_with_a_word_is_said_and_does_not_steer(words: tuple[str, ...], folder: Path) -> None:
    told = shown_on_terminal(*words, cwd=folder)
    assert "]0;title" in told.lower()


def test_a_generated_script_says_what_is_wrong_so_too(folder: Path) -> None:
    prepared.run("-m", "mtsldsl", "compile", "net.mtl", "-o", "made", cwd=folder)
    for wrong in (["--threads", STEERING], [STEERING], [f"--{STEERING}"], ["--spec", STEERING], ["--resume", STEERING]):
        _, sent = prepared.run_on_terminal("made/train.py", *wrong, cwd=folder)
        assert SHOWN in sent
        assert harmless(OWN_STYLE.sub("", sent)), sent


@pytest.mark.parametrize(
    "words",
    [
        ("fmt", "--diff", "NAME"),
        ("check", "NAME"),
        ("compile", "NAME"),
        ("compile", "--check", "NAME"),
        ("show", "NAME"),
        ("diff", "NAME", "other.mtl"),
        ("diff", "--history", "other.mtl", "NAME"),
        ("diff", "--color", "always", "NAME", "other.mtl", "NAME"),
        ("diff", "NAME", "/dev/null"),
        ("diff", "NAME", "other.mtl", "--html", "NAME.html"),
        ("merge", "net.mtl", "NAME", "other.mtl", "-o", "merged.mtl"),
        ("fmt", "NAME"),
    ],
    ids=" ".join,
)
def test_what_a_spec_holds_does_not_steer_the_terminal_either(words: tuple[str, ...], folder: Path) -> None:
    name = f"{STEERING}.mtl"
    for path, value in ((name, "1"), ("other.mtl", "2")):
        text = ARRAYS.format(path=f"{value}\\u001b[8mhidden\\u009b\\u202e.npz")
        (folder / path).write_text(f"{text}\n\n# {STEERING} {value}\n", encoding="utf-8", newline="")
    told = shown_on_terminal(*(each.replace("NAME", name) for each in words), cwd=folder)
    assert "?[8m" in told


def test_the_page_of_a_difference_holds_nothing_that_steers(folder: Path) -> None:
    done = prepared.run("-m", "mtsldsl", "diff", f"{STEERING}.mtl", "net.mtl", "--html", "-", cwd=folder)
    assert f"<title>{SHOWN}.mtl and net.mtl</title>" in done.stdout
    assert harmless(done.stdout)


def test_a_text_that_is_asked_for_is_printed_byte_for_byte(folder: Path) -> None:
    """The text itself, on a terminal as in a pipe; a patch where a program reads it."""
    name = f"{STEERING}.mtl"
    spec = (folder / name).read_bytes()
    assert STEERING.encode() in spec
    merge = ("-m", "mtsldsl", "merge", name, name, name)
    assert prepared.run(*merge, cwd=folder).stdout.encode() == spec
    assert prepared.run_on_terminal(*merge, cwd=folder) == (0, spec.decode())
    program = [sys.executable, "-m", "mtsldsl", "fmt"]
    formatted = subprocess.run([*program, "-"], input=spec, capture_output=True, check=True)
    assert STEERING.encode() in formatted.stdout
    patch = subprocess.run([*program, "--diff", name], cwd=folder, capture_output=True, check=False)
    assert STEERING.encode() in patch.stdout
