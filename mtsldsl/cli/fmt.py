"""`mtsldsl fmt`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.output import lines_shown, say, shown
from mtsldsl.cli.project_settings import project_settings
from mtsldsl.cli.spec_files import STANDARD_INPUT, spec_files

if TYPE_CHECKING:
    from mtsldsl.diagnostics import Source


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.option("--stdin-filename", metavar="NAME", help="What to call the standard input in reports.")
def command(paths: tuple[Path, ...], check: bool, diff: bool, stdin_filename: str | None) -> None:
    """Lay out specs in the one style: PATHS are files, folders (every .mtl file in them), or - for standard input; by
    default this folder.

    Only white space changes; a file with mistakes is left as it is. [tool.mtsldsl] of pyproject.toml may say which
    files of a folder are meant.

    Exits 0 where all is well, 1 where --check or --diff found something to change, and 2 where a text could not be
    read, has mistakes or could not be written.
    """
    from mtsldsl.diagnostics import MtlError

    if STANDARD_INPUT in paths and len(paths) > 1:
        raise click.UsageError("`-` stands alone: standard input is formatted to standard output")
    if stdin_filename is not None and STANDARD_INPUT not in paths:
        raise click.UsageError("--stdin-filename names the standard input: give `-`")
    problems = changes = 0
    for path in spec_files(paths, project_settings(Path())):
        try:
            changes += _format(path, stdin_filename or "<stdin>", check, diff)
        except MtlError as error:
            problems += len(error.diagnostics)
            click.echo(str(error), err=True)
    if check and changes:
        click.echo(f"{changes} file{'s' if changes > 1 else ''} would change; run mtsldsl fmt", err=True)
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''}", err=True)
        raise SystemExit(2)
    if changes and (check or diff):
        raise SystemExit(1)


def _format(path: Path, input_name: str, check: bool, diff: bool) -> bool:
    """Whether a file was not in the one style; it is rewritten unless `check` or `diff` is set."""
    import attrs

    from mtsldsl.syntax.files import encoded, read_source, read_standard_input
    from mtsldsl.syntax.format import format_text
    from mtsldsl.syntax.writing import write_text_atomically

    from_input = path == STANDARD_INPUT
    source = read_standard_input(input_name) if from_input else read_source(path)
    after = format_text(source)
    changed = after != source.text
    if diff:
        _show("".join(_difference(source, after)))
    elif check:
        if changed:
            say(source.name)
    elif from_input:
        click.echo(encoded(attrs.evolve(source, text=after)), nl=False)
    elif changed:
        write_text_atomically(path, after, source.bom, expected=source)
        say(f"{path}: formatted")
    return changed


def _show(patch: str) -> None:
    """A patch: for a person on a terminal, and byte for byte where a program reads it, which may apply it."""
    if sys.stdout.isatty():
        click.echo(lines_shown(patch), nl=False)
    else:
        click.echo(patch.encode("utf-8"), nl=False)


def _difference(source: Source, after: str) -> Iterator[str]:
    """The lines of a patch."""
    from difflib import unified_diff

    name = shown(source.name)
    for line in unified_diff(_lines(source.text), _lines(after), name, f"{name} (formatted)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """The lines with their ends; no other character than the line feed ends one."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])
