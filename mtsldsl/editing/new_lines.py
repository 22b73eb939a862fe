"""How new lines of a text are written: aligned with their neighbours, strings in quotes."""

from __future__ import annotations

from mtsldsl.syntax import tree

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    """The text as a string of the language."""
    return '"' + "".join(_ESCAPES.get(each, each if each.isprintable() else _escape(each)) for each in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character


def aligned(key: str, value: str, sibling: tree.Entry | tree.Call | None) -> str:
    """`key = value`, its `=` under that of the sibling where the key is short enough."""
    if not isinstance(sibling, tree.Entry):
        return f"{key} = {value}"
    text = sibling.span.text
    equals = text.find("=", sibling.key.span.end - sibling.key.span.start)
    return f"{key.ljust(equals)}= {value}" if equals > len(key) else f"{key} = {value}"
