"""A copy of the package with a folder and a line more, as CONTRIBUTING.md says, and commands of that copy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests import prepared

ROOT = Path(__file__).parents[1]


def copied(place: Path) -> Path:
    """The package, with what it reads, at `place`."""
    # With what Python has compiled, which counts for a copy too; but not what another process is just writing.
    shutil.copytree(ROOT / "mtsldsl", place / "mtsldsl", ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("grammars", "specs"):
        shutil.copytree(ROOT / name, place / name)
    return place


def add(package: Path, toy: Path, table: str, entry: str = "{}") -> None:
    """Put the toy into the copy: its folder, and its line in the table of the registry, with the `entry` of its folder."""
    kind = toy.parent.name
    shutil.copytree(toy, package / "mtsldsl" / kind / toy.name, ignore=shutil.ignore_patterns("__pycache__"))
    registry = package / "mtsldsl" / kind / "registry.py"
    text = registry.read_text(encoding="utf-8")
    longer = re.sub(rf"^{table} = {{", rf"\g<0>{line(toy, entry)}, ", text, flags=re.MULTILINE)
    assert longer != text
    registry.write_text(longer, encoding="utf-8")


def line(toy: Path, entry: str = "{}") -> str:
    """The line of a registry."""
    folder = f'"mtsldsl.{toy.parent.name}.{toy.name}"'
    return f'"{toy.name}": {entry.format(folder)}'


def mtsldsl(package: Path, *arguments: str, cwd: Path, status: int = 0) -> str:
    return python(package, "-m", "mtsldsl", *arguments, cwd=cwd, status=status)


def in_one_process(package: Path, *commands: str, cwd: Path) -> str:
    """Commands one after the other, so that torch is loaded once; what they all say."""
    program = (
        "import sys; from mtsldsl.cli import main; [main(each.split(), standalone_mode=False) for each in sys.argv[1:]]"
    )
    return python(package, "-c", program, *commands, cwd=cwd)


def python(package: Path, *arguments: str, cwd: Path, status: int = 0) -> str:
    done = prepared.run(*arguments, cwd=cwd, PYTHONPATH=str(package), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr
