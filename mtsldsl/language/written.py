"""Names and strings as a text of the language has them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
