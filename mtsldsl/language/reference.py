"""The language in words for whoever looks something up: what a key takes, its default, how a call is written."""

from __future__ import annotations

from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import REQUIRED, Call, CallRule, Chosen, Key, Kind, Many, describe

CHOSEN = "…"
"""Stands for a default that depends on something."""


def written(value: Constant | Chosen) -> str:
    """A constant in the words of the language."""
    match value:
        case Chosen():
            return CHOSEN
        case bool():
            return "true" if value else "false"
        case tuple((str(name), *sizes)):
            return f"{name}({', '.join(map(str, sizes))})"
        case tuple(items):
            return f"[{', '.join(map(written, items))}]"
        case None:
            return CHOSEN
    return str(value)


def value_of(kind: Kind) -> str:
    """What a key takes."""
    match kind:
        case Call(()):
            return "one that fits the target"
        case Many(Call(())):
            return "a list of such as fit the target"
    return describe(kind)


def default_of(key: Key) -> str:
    """What an absent key means."""
    if key.otherwise:
        return key.otherwise
    return "required" if key.default is REQUIRED else f"`{written(key.default)}`"


def call_of(rule: CallRule) -> str:
    """A call with all its arguments and their defaults: `adam(lr=0.001, ...)`."""
    parts = [_parameter(key) for key in rule.keys] + ([f"{rule.rest.name}..."] if rule.rest else [])
    return f"{rule.name}({', '.join(parts)})" if parts else rule.name


def _parameter(key: Key) -> str:
    if key.default is REQUIRED:
        return key.name
    return f"{key.name}={CHOSEN if key.otherwise else written(key.default)}"
