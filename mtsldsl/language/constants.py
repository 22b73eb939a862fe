"""What the arguments of a spec come to once they are resolved: constants, and names with such arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, TypeVar

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.records import Record

Shape: TypeAlias = tuple[int, ...]
"""Of one sample, the batch dimension left out: image `(channels, height, width)`, tokens `(length, channels)`,
features `(channels,)`."""

T = TypeVar("T")

Scalar: TypeAlias = int | float | bool | str
Constant: TypeAlias = Scalar | tuple["Constant", ...] | None
"""A resolved value of an argument."""


def is_shape(value: object) -> bool:
    """Whether it is a shape: one to three sizes, whole numbers of at least 1."""
    return (
        isinstance(value, tuple)
        and 1 <= len(value) <= 3
        and all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in value)
    )


_PLAIN = frozenset((int, float, bool, str, type(None)))


def is_constant(value: object) -> bool:
    """Whether it is a resolved value of an argument."""
    return all(map(is_constant, value)) if isinstance(value, tuple) else type(value) in _PLAIN


def are_arguments(value: object) -> bool:
    """Whether they are resolved values by name."""
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(name, str) and is_constant(each) for name, each in value.items())


def unchanging(named: Mapping[str, T]) -> Mapping[str, T]:
    """The same as a mapping that nobody changes; what is no mapping as it is, which the record refuses."""
    return MappingProxyType(dict(named)) if isinstance(named, Mapping) else named


def frozen(arguments: Mapping[str, Constant]) -> Mapping[str, Constant]:
    """The arguments as a mapping that nobody changes."""
    return unchanging(arguments)


@attrs.frozen(eq=False, repr=False)
class Named(Record):
    """A name with resolved arguments: a loss, a metric, an optimizer, a similarity, an augmentation."""

    name: str
    arguments: Mapping[str, Constant] = attrs.field(factory=dict, converter=frozen)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name cannot be {self.name!r}: give a name")
        if not are_arguments(self.arguments):
            raise ValueError(f"arguments of {self.name} cannot be {self.arguments!r}: give constants by name")
        if not isinstance(self.span, Span | None):
            raise ValueError(f"span of {self.name} cannot be {self.span!r}: give a Span")
