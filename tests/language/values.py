"""For every kind of value some that are of it and some that are not, as a spec in Python may hold them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nan
from typing import Any

from mtsldsl.language import Named
from mtsldsl.language.constants import is_constant
from mtsldsl.language.holding import keys_of
from mtsldsl.language.kinds import (
    AVERAGE,
    Alternatives,
    Call,
    CallRule,
    Choice,
    Flag,
    Identifier,
    Input,
    Integer,
    Keep,
    Kind,
    LayerName,
    Many,
    Maybe,
    OneOrMany,
    OrName,
    Real,
    Tasks,
    Text,
    Told,
)

NONSENSE = object()

QUOTED = ("a b", 'x } task "evil" {', "two\nlines", "\0\x1b[2J", "é\u2028")
"""What can be said in quotes, though it is no word."""


def right(kind: Kind) -> list[Any]:
    """Values of the kind, those at its bounds among them."""
    match kind:
        case Integer(low, high, step):
            least = -3 if low is None else low
            return [least, least + step if high is None else high]
        case Real(low, high, open_low, open_high):
            first, last = -1.5 if low is None else float(low), 1e9 if high is None else float(high)
            inner = first + min(1.0, (last - first) / 2)
            return [inner, *([] if open_low else [first]), *([] if open_high else [last])]
        case Flag():
            return [True, False]
        case Text() | Identifier() | LayerName():
            return ["name", *(QUOTED if isinstance(kind, Text | Identifier) else ())]
        case Choice(names):
            return list(names)
        case Many(item, minimum, length):
            return [(each,) * (length or max(minimum, 1)) for each in right(item)] + ([] if minimum or length else [()])
        case OneOrMany(item, length):
            return [*right(item), *right(Many(item, length=length))]
        case Maybe(inner):
            return [None, *right(inner)]
        case OrName(inner, name):
            return [name, *right(inner)]
        case Told(inner):
            return right(inner)
        case Call(rules):
            return [named for rule in rules for named in right_calls(rule)]
        case Input():
            return [("image", 3), ("image", 3, 8, 8)]
        case Tasks():
            return [("a",), ("a", "b")]
        case Alternatives():
            return [(), ("a",), ("a", "b")]
        case Keep():
            return ["best", "last", "depth.rmse", "normal.within_11.25", *right_calls(AVERAGE)]
    raise AssertionError(f"no values are known of {kind}")


def wrong(kind: Kind) -> list[Any]:
    """Values that are none of the kind: of another type, and beyond each of its bounds."""
    match kind:
        case Integer(low, high, step):
            beyond = [*([] if low is None else [low - 1]), *([] if high is None else [high + 1])]
            beyond += [right(kind)[0] + 1] if step > 1 else []
            return [1.5, True, "1", None, nan, inf, 10**20, 10**400, NONSENSE, *beyond]
        case Real(low, high, open_low, open_high):
            beyond = [*([] if low is None else [low - 1]), *([] if high is None else [high + 1])]
            beyond += [*([low] if open_low else []), *([high] if open_high else [])]
            return [True, "1", None, nan, inf, -inf, 10**400, NONSENSE, *beyond]
        case Flag():
            return [0, 1, "true", None, NONSENSE]
        case Text() | Identifier() | LayerName():
            return [1, None, ("name",), "\ud800", NONSENSE]
        case Choice():
            return ["worst", "", 0, None, NONSENSE]
        case Many(item, minimum, length):
            long = (right(item)[0],) * (length or max(minimum, 1))
            short = [()] if minimum or length else []
            return [NONSENSE, None, list(long), *short, *([(*long, *long)] if length else []), *inside(item, long)]
        case OneOrMany(item, length):
            single = [each for each in wrong(item) if not isinstance(each, tuple)]
            return [*single, *inside(item, (right(item)[0],) * (length or 1))]
        case Maybe(inner):
            return [each for each in wrong(inner) if each is not None]
        case OrName(inner):
            return wrong(inner)
        case Told(inner):
            return wrong(inner)
        case Call(rules):
            return ["worst", None, Named("worst"), NONSENSE, *(each for rule in rules for each in wrong_calls(rule))]
        case Input():
            return [
                ("image",),
                ("image", 0),
                ("image", 10**20),
                ("image", 1, 2, 3, 4),
                ("image", 1.5),
                (3, 3),
                "image",
                NONSENSE,
            ]
        case Tasks():
            return [(), "a", (1,), ["a"], NONSENSE]
        case Alternatives():
            return ["a", (1,), ["a"], None, NONSENSE]
        case Keep():
            return ["worst", "depth", "depth.worst", ".rmse", "", None, NONSENSE, Named("worst"), *wrong_calls(AVERAGE)]
    raise AssertionError(f"no values are known of {kind}")


def inside(item: Kind, long: tuple[Any, ...]) -> list[Any]:
    """Lists of the right length with one wrong item."""
    return [(each, *long[1:]) for each in wrong(item)]


def right_calls(rule: CallRule) -> Iterator[Named]:
    """The name with all of its arguments, each with each of its right values."""
    whole = {key.name: right(key.kind)[0] for key in keys_of(rule)}
    yield Named(rule.name, whole)
    for key in keys_of(rule):
        for value in right(key.kind):
            yield Named(rule.name, whole | {key.name: value})


def wrong_calls(rule: CallRule) -> Iterator[Named]:
    """The name without one of its arguments, with one that it has not, and with a wrong value of each that is a value
    of the language at all."""
    whole = {key.name: right(key.kind)[0] for key in keys_of(rule)}
    yield Named(rule.name, whole | {"worst": 1})
    for key in keys_of(rule):
        yield Named(rule.name, {name: value for name, value in whole.items() if name != key.name})
        for value in filter(is_constant, wrong(key.kind)):
            yield Named(rule.name, whole | {key.name: value})
