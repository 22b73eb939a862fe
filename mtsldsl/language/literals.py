"""Constants as Python source, spelled the way `ruff format` spells them."""

from __future__ import annotations

from math import isfinite

from mtsldsl.language.constants import Constant


def literal(value: Constant) -> str:
    """The Python literal of a constant: strings in double quotes, floats by `repr`, tuples as tuples.

    >>> literal(("a", 5e-05, (1,), None, True))
    '("a", 5e-05, (1,), None, True)'
    """
    match value:
        case str():
            return _text(value)
        case float() if not isfinite(value):
            return f'float("{value}")'
        case (only,):
            return f"({literal(only)},)"
        case tuple():
            return f"({', '.join(map(literal, value))})"
    return repr(value)


def _text(value: str) -> str:
    double = value.count('"') <= value.count("'")
    if not double:
        return repr(value) if "'" not in value else f"'{_escaped(value).replace(chr(39), chr(92) + chr(39))}'"
    return f'"{_escaped(value).replace(chr(34), chr(92) + chr(34))}"'


def _escaped(value: str) -> str:
    """The text with everything but quotes escaped as `repr` does."""
    return "".join(character if character in "'\"" else repr(character)[1:-1] for character in value)
