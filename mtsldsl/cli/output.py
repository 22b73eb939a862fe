"""Lines for a person's terminal. What makes them harmless is imported when the first is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def say(text: str, *, err: bool = False) -> None:
    """Print one line that may hold names of files and values: what is no plain text in it becomes `?`, ends of lines
    too."""
    click.echo(shown(text), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines, each as `say` does; a name in it is `shown` before."""
    click.echo(lines_shown(text), err=err)


def lines_shown(text: str) -> str:
    """Text of one line or more, each as `shown` makes it."""
    return "\n".join(map(shown, text.split("\n")))


def shown(name: object) -> str:
    """The name of a file, or any other text, on one line of a terminal; style it after that, for that steers too."""
    from mtsldsl.diagnostics.printable import printable

    return printable(str(name))


def refuse_another_kind(option: str, output: Path | None, ending: str) -> None:
    """Raise click's UsageError where a file is there that is of another kind, by its name, than what is to be written:
    somebody's spec or data, and not what the command wrote before."""
    from mtsldsl.syntax.files import is_file

    if output is not None and output.suffix.lower() != ending and is_file(output):
        raise click.UsageError(f"{option} would replace {output}, which is no {ending} file: give another name")
