"""What must hold for every command, whatever the files it is given: it finishes or reports, and keeps to its files."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from click.testing import CliRunner

from mtsldsl.cli import main
from tests.timing import Measure, clocked

SEPARATOR = b"\x1e"
"""Between the texts of one input."""

FILES = ("a.mtl", "b.mtl", "c.mtl")
"""What the texts are called; they may import each other."""

SETTING = "SETTING"
"""Stands in a command for the first line of the last text."""

SETTINGS = (
    "train.epochs=3", "train.optimizer=sgd(lr=0.1)", "train.optimizer=sgd(", "data.input=image(3, 8, 8)", "data.root=\"a\"",
    "task.depth.weight=2", "sharing.stem=all", "sharing.dec1=depth + edge", "backbone.stem=relu", "width=32", "nonsense=1",
    "structure.threshold=none", "history.x=1", "train.epochs=3\r", "=", "a", "MTL204", "mtl999", "",
)  # fmt: skip
"""What such a line may be."""

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check", "a.mtl"),
    ("check", "--pedantic", "a.mtl", "b.mtl"),
    ("check", "--pedantic", "--output-format", "json", "a.mtl"),
    ("check", "--pedantic", "--output-format", "github", "a.mtl"),
    ("check", "--pedantic", "--output-format", "sarif", "a.mtl"),
    ("check", "--fix", "--pedantic", "a.mtl"),
    ("check", "--set", SETTING, "a.mtl"),
    ("fmt", "--diff", "a.mtl"),
    ("fmt", "a.mtl"),
    ("compile", "a.mtl", "-o", "out"),
    ("compile", "--set", SETTING, "a.mtl", "-o", "out"),
    ("show", "a.mtl"),
    ("diff", "a.mtl", "b.mtl"),
    ("diff", "--json", "--history", "a.mtl", "b.mtl"),
    ("diff", "--html", "page.html", "a.mtl", "b.mtl"),
    ("diff", "a.mtl", "b.mtl", "c.mtl"),
    ("diff", "--json", "a.mtl", "b.mtl", "c.mtl"),
    ("merge", "a.mtl", "b.mtl", "c.mtl", "-o", "merged.mtl"),
    ("explain", SETTING),
)
"""New ones go to the end: the kept inputs choose by number."""

MADE = frozenset(("merged.mtl", "page.html", "out", ".last-compiled", "pyproject.toml"))
"""What commands may leave beside the texts."""


def examine(data: bytes, folder: Path) -> str:
    """Run the command that the first byte chooses on the texts of the rest, in a folder for this alone.

    Returns the command and its exit status. Raises AssertionError where the command does anything else than finish or
    report: whatever escapes from it, a file elsewhere, code that is no Python, a merged text that is no sound spec.
    """
    return run(*parts(data), folder)


def parts(data: bytes) -> tuple[tuple[str, ...], list[bytes]]:
    """The command and the texts that an input stands for."""
    return COMMANDS[data[0] % len(COMMANDS)] if data else COMMANDS[0], data[1:].split(SEPARATOR)


def run(command: tuple[str, ...], texts: list[bytes], folder: Path) -> str:
    """Run a command on up to three texts; where there are fewer, the last stands for the others."""
    status = _invoke(_placed(command, texts, folder))
    _hold(folder, status, command)
    return f"{command[0]} {status}"


def measured(command: tuple[str, ...], texts: list[bytes], folder: Path) -> Measure:
    """Measures such a run, without what comes before and after it."""

    def measure() -> float:
        arguments = _placed(command, texts, folder)
        statuses: list[int] = []
        seconds = clocked(lambda: statuses.append(_invoke(arguments)))()
        _hold(folder, statuses[0], command)
        return seconds

    return measure


def _placed(command: tuple[str, ...], texts: list[bytes], folder: Path) -> list[str]:
    """Put the texts into the folder, and give the command's arguments there."""
    _fill(folder, texts)
    setting = texts[-1].decode("utf-8", "replace").partition("\n")[0].replace("\0", "")
    arguments = [setting if each == SETTING else each for each in command]
    return [str(folder / each) if each in FILES or each in MADE else each for each in arguments]


def _fill(folder: Path, texts: list[bytes]) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / "pyproject.toml").touch()
    for place, name in enumerate(FILES):
        (folder / name).write_bytes(texts[min(place, len(texts) - 1)])


def _invoke(arguments: list[str]) -> int:
    result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), (arguments, result.exit_code)
    return result.exit_code


def _hold(folder: Path, status: int, command: tuple[str, ...]) -> None:
    made = {path.name for path in folder.iterdir()}
    assert made <= {*FILES, *MADE}, made
    for path in (folder / "out").glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), path.name)
    if command[0] == "merge" and status == 0:
        assert _invoke(["check", str(folder / "merged.mtl")]) == 0
    if command[0] == "compile" and status == 0:
        again = [str(folder / each) if each in FILES or each in MADE else each for each in command]
        assert SETTING in again or _invoke([*again, "--check"]) == 0
    if command == ("fmt", "a.mtl") and status == 0:
        assert _invoke(["fmt", "--check", str(folder / "a.mtl")]) == 0
