"""Which run is meant by the folder of all runs of a spec."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.diagnostics.bounded import named
from mtsldsl.syntax.files import is_file, is_folder


def newest_run(path: Path) -> Path:
    """Of `runs/scenes`, which holds runs by their numbers, the last one, and of `runs` the same where that is the only
    such folder in it; any other path is what it is."""
    if not is_folder(path) or is_file(path / "spec.mtl"):
        return path
    runs = _runs(path)
    if not runs:
        inside = _folders_of_runs(path)
        runs = _runs(inside[0]) if len(inside) == 1 else []
    return max(runs, key=lambda run: int(run.name), default=path)


def what_to_name(path: Path) -> str:
    """The remedy where a path is no run, nor a folder of which one is meant."""
    found = _folders_of_runs(path) if is_folder(path) else []
    if not found:
        return "name a folder such as runs/nyuv2/1"
    return f"name one of the folders with runs in it: {named([str(each) for each in found])}"


def _runs(path: Path) -> list[Path]:
    return [spec.parent for spec in path.glob("*/spec.mtl") if spec.parent.name.isdecimal()]


def _folders_of_runs(path: Path) -> list[Path]:
    return sorted({spec.parents[1] for spec in path.glob("*/*/spec.mtl") if spec.parent.name.isdecimal()})
