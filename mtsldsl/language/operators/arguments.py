"""Typed reading of an operator's arguments, and writing them as Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import Chosen
from mtsldsl.language.literals import literal
from mtsldsl.language.operator import Arguments, Given

Pair: TypeAlias = tuple[int, int]
"""Height and width."""


def integer(arguments: Given, name: str) -> int:
    """The argument as an integer; TypeError if it is none, for the kinds are checked before."""
    value = arguments[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is no integer: {value!r}")
    return value


def number(arguments: Given, name: str) -> int | float:
    """The argument as a number; TypeError if it is none."""
    value = arguments[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is no number: {value!r}")
    return value


def numbers(arguments: Given, name: str) -> tuple[int | float, ...]:
    """An argument that is a list of numbers."""
    value = arguments[name]
    assert isinstance(value, tuple)
    found = tuple(each for each in value if isinstance(each, (int, float)))
    assert len(found) == len(value)
    return found


def flag(arguments: Given, name: str) -> bool:
    """The argument as a truth value; TypeError if it is none."""
    value = arguments[name]
    if not isinstance(value, bool):
        raise TypeError(f"{name} is not true or false: {value!r}")
    return value


def word(arguments: Given, name: str) -> str:
    """The argument as a name; TypeError if it is none."""
    value = arguments[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no name: {value!r}")
    return value


def pair(arguments: Given, name: str) -> Pair:
    """The argument of kind `size` as height and width; TypeError if it is no such thing."""
    match arguments[name]:
        case bool():
            pass
        case int(both):
            return both, both
        case (int(height), int(width)) if not (isinstance(height, bool) or isinstance(width, bool)):
            return height, width
    raise TypeError(f"{name} is no integer or pair of integers: {arguments[name]!r}")


def completed(given: Given, **chosen: Constant) -> Arguments:
    """The arguments as given, those left open as chosen."""
    return {**chosen, **{name: value for name, value in given.items() if not isinstance(value, Chosen)}}


def written(value: Constant) -> str:
    """The value in Python; a pair of equal integers is written as one, as torch reads them alike."""
    match value:
        case (int(height), int(width)) if height == width:
            return literal(height)
    return literal(value)


def call(function: str, *positional: Constant, **optional: tuple[Constant, Constant]) -> str:
    """A call such as `nn.Conv2d(3, 64, 3, bias=False)`.

    An optional argument comes as its value and torch's own default, and is left out where the two are equal.
    """
    return f"{function}({', '.join([*map(written, positional), *_keywords(optional)])})"


def apply(function: str, value: str, *positional: Constant, **optional: tuple[Constant, Constant]) -> str:
    """A call such as `F.max_pool2d(x, 3, stride=2)`: like `call`, after the name of a value."""
    return f"{function}({', '.join([value, *map(written, positional), *_keywords(optional)])})"


def _keywords(optional: Mapping[str, tuple[Constant, Constant]]) -> list[str]:
    return [
        f"{name}={written(value)}" for name, (value, default) in optional.items() if written(value) != written(default)
    ]
