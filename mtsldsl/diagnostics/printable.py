"""Text of unknown origin, such as a file's name or a value of a spec, as a terminal can be given it."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """The text without what would steer a terminal, or cannot be written: control and format characters, and what
    stands for bytes of a file's name that are no text, become `?`, ends of lines among them; tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("?" if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    return character != "\t" and unicodedata.category(character)[0] in "CZ" and not character.isprintable()
