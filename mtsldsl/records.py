"""What all frozen records share: they are compared, hashed and shown by their fields.

attrs would write and compile these methods anew for each class, a fifth of the time of a short command. So records are
`@attrs.frozen(eq=False, repr=False)` and have them from here; what their fields say of `eq`, `hash` and `repr` holds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import attrs


class Record:
    """The base of a frozen attrs class."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        compared = _compared(_kind(self))
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        kind = _kind(self)
        return hash((kind, _hashed(kind)(self)))

    def __repr__(self) -> str:
        kind = _kind(self)
        return f"{kind.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in _shown(kind))})"


def _kind(record: Record) -> Any:
    """Its class; that of a class that defines `__hash__` is hashable, which mypy denies."""
    return type(record)


@cache
def _compared(kind: Any) -> Callable[[Any], Any]:
    return _values([field.name for field in attrs.fields(kind) if field.eq])


@cache
def _hashed(kind: Any) -> Callable[[Any], Any]:
    return _values([field.name for field in attrs.fields(kind) if (field.eq if field.hash is None else field.hash)])


@cache
def _shown(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind) if field.repr)


def _values(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()
