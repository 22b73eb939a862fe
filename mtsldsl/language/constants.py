"""What the arguments of a spec come to once they are resolved: constants, and names with such arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.records import Record

Shape: TypeAlias = tuple[int, ...]
"""Of one sample, the batch dimension left out: image `(channels, height, width)`, tokens `(length, channels)`,
features `(channels,)`."""

Scalar: TypeAlias = int | float | bool | str
Constant: TypeAlias = Scalar | tuple["Constant", ...] | None
"""A resolved value of an argument."""


def frozen(arguments: Mapping[str, Constant]) -> Mapping[str, Constant]:
    """The arguments as a mapping that nobody changes."""
    return MappingProxyType(dict(arguments))


@attrs.frozen(eq=False, repr=False)
class Named(Record):
    """A name with resolved arguments: a loss, a metric, an optimizer, a similarity, an augmentation."""

    name: str
    arguments: Mapping[str, Constant] = attrs.field(factory=dict, converter=frozen)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)
