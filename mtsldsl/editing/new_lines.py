"""How new lines of a text are written: aligned with their neighbours."""

from __future__ import annotations

from mtsldsl.syntax import tree


def aligned(key: str, value: str, sibling: tree.Entry | tree.Call | None) -> str:
    """`key = value`, its `=` under that of the sibling where the key is short enough."""
    if not isinstance(sibling, tree.Entry):
        return f"{key} = {value}"
    text = sibling.span.text
    equals = text.find("=", sibling.key.span.end - sibling.key.span.start)
    return f"{key.ljust(equals)}= {value}" if equals > len(key) else f"{key} = {value}"
