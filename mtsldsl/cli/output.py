"""Lines for a person's terminal. What makes them harmless is imported when the first is printed."""

from __future__ import annotations

import click


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
