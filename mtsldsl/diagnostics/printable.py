"""Text of unknown origin, such as a file's name or a value of a spec, as a terminal can be given it."""

from __future__ import annotations

import os
import sys
import unicodedata


def printable(text: str) -> str:
    """The text without what would steer a terminal, or cannot be written: control and format characters, and what
    stands for bytes of a file's name that are no text, become `?`, ends of lines among them; tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("?" if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    return character != "\t" and unicodedata.category(character)[0] in "CZ" and not character.isprintable()


def let_go_of_output() -> None:
    """Print nowhere from now on, so that the end of the process does not try what the output does not take again."""
    if sys.stdout is not None:  # as it is where the caller closed it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
