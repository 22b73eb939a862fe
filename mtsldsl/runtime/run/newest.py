"""Which run is meant by the folder of all runs of a spec."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.syntax.files import is_file, is_folder


def newest_run(path: Path) -> Path:
    """Of `runs/scenes`, which holds runs by their numbers, the last one; any other path is what it is."""
    if not is_folder(path) or is_file(path / "spec.mtl"):
        return path
    runs = [each for each in path.iterdir() if each.name.isdecimal() and is_file(each / "spec.mtl")]
    return max(runs, key=lambda run: int(run.name), default=path)
