"""Lines for a person's terminal."""

from __future__ import annotations

import click

from mtsldsl.diagnostics.printable import printable


def say(text: str, *, err: bool = False) -> None:
    """Print lines that may hold names of files and values: what is no plain text in them becomes `?`."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)
