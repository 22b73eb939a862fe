"""Which methods there are. Each is a folder, imported when it is asked for: `language.py` by all that reads specs,
`learner.py` by what trains them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module

from mtsldsl.methods.method import DecisionRule, Method

METHODS = {"mtsl": "mtsldsl.methods.mtsl"}
"""The folder of each method, by the label of its `structure` block."""


@cache
def method(name: str) -> Method:
    """What the method of that name says of itself."""
    found: Method = import_module(f"{METHODS[name]}.language").METHOD
    return found


def methods() -> Iterator[Method]:
    """All of them."""
    return map(method, METHODS)


def method_with(keys: Iterable[str]) -> Method:
    """The method whose block has the most of these keys."""
    given = set(keys)
    return max(methods(), key=lambda each: sum(key.name in given for key in each.block.keys or ()))


@cache
def decision_rules() -> dict[str, DecisionRule]:
    """The lines that `history` may have, by their names."""
    return {rule.call.name: rule for each in methods() for rule in each.decisions}
