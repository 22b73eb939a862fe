"""Names and strings as a text of the language has them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_word(text: str) -> bool:
    """Whether it stands as it is where a text gives a name, such as a key or the label of a block."""
    return text.isascii() and text.isidentifier()


def can_be_quoted(text: str) -> bool:
    """Whether a text can say it in quotes: all but halves of characters, which no file in UTF-8 has."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def quoted(text: str) -> str:
    """The text as a string of the language."""
    return '"' + "".join(_ESCAPES.get(each, each if each.isprintable() else _escape(each)) for each in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character


_OTHERWISE = ("true", "false", "none")
"""Names that say something else where a value stands."""


def spelled(name: str) -> str:
    """A name, in quotes where it is none of the language, or would be read as another value."""
    return name if _NAME.fullmatch(name) and name not in _OTHERWISE else quoted(name)
