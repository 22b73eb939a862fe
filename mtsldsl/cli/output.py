"""Lines for a person's terminal. What makes them harmless is imported when the first is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from mtsldsl.diagnostics import Source


def say(text: str, *, err: bool = False) -> None:
    """Print lines that may hold names of files and values: what is no plain text in them becomes `?`."""
    click.echo(lines_shown(text), err=err)


def lines_shown(text: str) -> str:
    """Text of one line or more, each as `shown` makes it."""
    return "\n".join(map(shown, text.split("\n")))


def shown(name: object) -> str:
    """The name of a file, or any other text, on one line of a terminal; style it after that, for that steers too."""
    from mtsldsl.diagnostics.printable import printable

    return printable(str(name))


def write_spec(source: Source, output: Path | None) -> None:
    """Write a spec into a file, or without one, or to `-`, onto the standard output."""
    from mtsldsl.syntax import write_text_atomically
    from mtsldsl.syntax.files import encoded

    if output and str(output) != "-":
        write_text_atomically(output, source.text, bom=source.bom)
    else:
        click.echo(encoded(source), nl=False)  # bytes, for of a text click leaves out what steers a terminal
