"""The files that a person means where a command takes files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtsldsl.cli.output import say
from mtsldsl.cli.project_settings import FILE, ProjectSettings

STANDARD_INPUT = Path("-")
"""What stands for the standard input."""

_RUN = frozenset(("spec.mtl", "events.jsonl"))
"""Files that a run folder holds, whatever it is called."""

_ENVIRONMENT = "pyvenv.cfg"
"""The file that a virtual environment of Python holds."""


def spec_files(paths: Sequence[Path], settings: ProjectSettings) -> Iterator[Path]:
    """Every file once; without paths those of this folder. A folder is searched for what a person wrote: without hidden
    folders, links to folders, run folders, virtual environments, what git ignores and what the project's settings leave
    out; a file that is named counts whatever it is."""
    from mtsldsl.syntax.files import is_folder

    seen = set()
    for given in paths or (Path(),):
        for path in _specs_in(given, settings) if given != STANDARD_INPUT and is_folder(given) else [given]:
            if path not in seen:
                seen.add(path)
                yield path


def _specs_in(folder: Path, settings: ProjectSettings) -> list[Path]:
    found, runs = [], False
    for place, inner, files in os.walk(folder):
        if Path(place) != folder and (_ENVIRONMENT in files or _RUN.issubset(files)):
            inner.clear()
            runs = runs or _RUN.issubset(files)
            continue
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(place) / name for name in files if name.endswith(".mtl")]
    there = set(found) - _ignored(folder, found)
    kept = set(filter(settings.takes, there))
    if not kept:
        besides = " but those of runs, which are left out: name a run's own folder" if runs else ""
        besides = f" but those that {settings.folder / FILE} leaves out" if there else besides
        say(f"{folder}: there is no .mtl file in this folder{besides}", err=True)
    return sorted(kept)


def _ignored(folder: Path, found: list[Path]) -> set[Path]:
    """Those of the files that git ignores; none without git or a repository, or where the folder itself is ignored."""
    if not found or not any((each / ".git").exists() for each in (folder.resolve(), *folder.resolve().parents)):
        return set()
    import subprocess

    names = {os.fsencode(path.relative_to(folder)): path for path in found}
    command = ["git", "-C", str(folder), "check-ignore", "-z", "--stdin"]
    try:
        itself = subprocess.run([*command[:3], "check-ignore", "-q", "."], capture_output=True, check=False)
        said = subprocess.run(command, input=b"\0".join(names) + b"\0", capture_output=True, check=False).stdout
    except FileNotFoundError:
        return set()
    return set() if itself.returncode == 0 else {names[name] for name in said.split(b"\0") if name in names}
