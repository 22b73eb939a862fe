"""The files that a person means where a command takes files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

STANDARD_INPUT = Path("-")
"""What stands for the standard input."""


def spec_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file once, folders searched without hidden ones and without links to folders."""
    from mtsldsl.syntax.files import is_folder

    seen = set()
    for given in paths:
        for path in _specs_in(given) if given != STANDARD_INPUT and is_folder(given) else [given]:
            if path not in seen:
                seen.add(path)
                yield path


def _specs_in(folder: Path) -> list[Path]:
    found = []
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(place) / name for name in files if name.endswith(".mtl")]
    if not found:
        click.echo(f"{click.format_filename(folder)}: there is no .mtl file in this folder", err=True)
    return sorted(found)
