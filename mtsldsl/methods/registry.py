"""Which methods there are. Each is a folder, imported when it is asked for: `language.py` by all that reads specs,
`learner.py` by what trains them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import TypeVar

import attrs

from mtsldsl.language.kinds import REQUIRED
from mtsldsl.methods.evidence import PENALTY, Finding, Words
from mtsldsl.methods.method import DecisionRule, Method
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Entry(Record):
    """Where a method is, and what stands here so that a name can be held against it without importing the method."""

    folder: str
    penalty: str = PENALTY
    """What its learner's own loss is called among those of the tasks."""


METHODS = {
    "mtsl": Entry("mtsldsl.methods.mtsl", penalty="align"),
    "allocation": Entry("mtsldsl.methods.allocation", penalty="allocation"),
    "transference": Entry("mtsldsl.methods.transference"),
    "split": Entry("mtsldsl.methods.split"),
    "branch": Entry("mtsldsl.methods.branch"),
    "ltb": Entry("mtsldsl.methods.ltb"),
    "ladder": Entry("mtsldsl.methods.ladder"),
}
"""Each of them, by the label of its `structure` block."""


@cache
def method(name: str) -> Method:
    """What the method of that name says of itself."""
    found: Method = import_module(f"{METHODS[name].folder}.language").METHOD
    return found


def methods() -> Iterator[Method]:
    """All of them."""
    return map(method, METHODS)


def method_with(keys: Iterable[str]) -> Method:
    """The method whose block has the most of these keys; of several the one that requires the fewest others."""
    given = set(keys)

    def fits(each: Method) -> tuple[int, int]:
        own = each.block.keys or ()
        missing = sum(key.default is REQUIRED and key.name not in given for key in own)
        return sum(key.name in given for key in own), -missing

    return max(methods(), key=fits)


@cache
def decision_rules() -> dict[str, DecisionRule]:
    """The lines that `history` may have, by their names."""
    return _by_name((rule.call.name, rule) for each in methods() for rule in each.decisions)


@cache
def findings() -> dict[str, type[Finding]]:
    """The events that learners write, by their kinds."""
    return _by_name((found.kind, found) for each in methods() for found in each.findings)


ALL_TASKS = "mean"
"""What a run's record calls all tasks together."""


@cache
def run_names() -> frozenset[str]:
    """What a run's record calls things beside the tasks: learners' own losses, and all tasks together."""
    return frozenset(entry.penalty for entry in METHODS.values()) | {PENALTY, ALL_TASKS}


def words(name: str) -> Words:
    """How a person is told of the phases of the method of that name, also of one that is not known here."""
    return method(name).words if name in METHODS else Words()


_Named = TypeVar("_Named")


def _by_name(pairs: Iterable[tuple[str, _Named]]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for name, named in pairs:
        if found.setdefault(name, named) is not named:
            raise ValueError(f"two methods have something of the name `{name}`")
    return found
