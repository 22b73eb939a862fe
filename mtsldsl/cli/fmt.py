"""`mtsldsl fmt`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Source

_STANDARD_INPUT = Path("-")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change, and exit 1 for any.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(paths: tuple[Path, ...], check: bool, diff: bool) -> None:
    """Lay out specs in the one style: PATHS are files, folders (every .mtl file in them), or - for standard input.

    Only white space changes; a file with mistakes is left as it is.
    """
    from mtsldsl.diagnostics import MtlError

    if _STANDARD_INPUT in paths and len(paths) > 1:
        raise click.UsageError("`-` stands alone: standard input is formatted to standard output")
    problems = changes = 0
    for path in _files(paths):
        try:
            changes += _format(path, check, diff)
        except MtlError as error:
            problems += len(error.diagnostics)
            click.echo(str(error), err=True)
    if check and changes:
        click.echo(f"{changes} file{'s' if changes > 1 else ''} would change; run mtsldsl fmt", err=True)
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''}", err=True)
    if problems or (check and changes):
        raise SystemExit(1)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """Every file once, folders searched without hidden ones and without links to folders."""
    seen = set()
    for given in paths:
        for path in sorted(_specs_in(given)) if given.is_dir() and given != _STANDARD_INPUT else [given]:
            if path not in seen:
                seen.add(path)
                yield path


def _specs_in(folder: Path) -> Iterator[Path]:
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        yield from (Path(place) / name for name in files if name.endswith(".mtl"))


def _format(path: Path, check: bool, diff: bool) -> bool:
    """Whether a file was not in the one style; it is rewritten unless `check` or `diff` is set."""
    from mtsldsl.syntax.files import decode_source, read_source, write_text_atomically
    from mtsldsl.syntax.format import format_text

    from_input = path == _STANDARD_INPUT
    source = decode_source("<stdin>", sys.stdin.buffer.read()) if from_input else read_source(path)
    after = format_text(source)
    changed = after != source.text
    if diff:
        _print_difference(source, after)
    elif check:
        if changed:
            click.echo(click.format_filename(source.name))
    elif from_input:
        sys.stdout.buffer.write(_encoded(source, after))
    elif changed:
        write_text_atomically(path, after, source.bom)
        click.echo(f"{click.format_filename(path)}: formatted")
    return changed


def _encoded(source: Source, text: str) -> bytes:
    return text.encode("utf-8-sig" if source.bom else "utf-8")


def _print_difference(source: Source, after: str) -> None:
    from difflib import unified_diff

    name = click.format_filename(source.name)
    for line in unified_diff(_lines(source.text), _lines(after), name, f"{name} (formatted)"):
        click.echo(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n", nl=False)


def _lines(text: str) -> list[str]:
    """The lines with their ends; no other character than the line feed ends one."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])
