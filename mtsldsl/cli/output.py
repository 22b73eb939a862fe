"""Lines for a person's terminal. What makes them harmless is imported when the first is printed."""

from __future__ import annotations

import click


def say(text: str, *, err: bool = False) -> None:
    """Print lines that may hold names of files and values: what is no plain text in them becomes `?`."""
    click.echo("\n".join(map(shown, text.split("\n"))), err=err)


def shown(name: object) -> str:
    """The name of a file, or any other text, on one line of a terminal."""
    from mtsldsl.diagnostics.printable import printable

    return printable(str(name))
