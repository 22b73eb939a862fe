"""The problems found while one text is read: all of them are gathered, each once, and raised together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Span


class Broken(Enum):
    """Stands for what could not be read; its problem is reported already, so whoever meets it says nothing more."""

    BROKEN = "broken"


BROKEN: Final = Broken.BROKEN


@attrs.define
class Problems:
    """A growing list of diagnostics without repetitions.

    `names_lost` says that parts of the text were left out in which names may be defined: an unknown name is then no
    mistake of who uses it. `repeated` counts reports that were there already, `exhausted` says that the network is too
    large to go on with. `sources` are the names of the texts, in the order in which their problems are to come.
    """

    found: dict[tuple[str, str, str, int, int], Diagnostic] = attrs.field(factory=dict)
    names_lost: bool = False
    sources: tuple[str, ...] = ()
    repeated: int = 0
    exhausted: bool = False

    def take(self, mistakes: Iterable[Diagnostic]) -> None:
        """Add what was found before, in the writing of the text."""
        for mistake in mistakes:
            self.found.setdefault(_key(mistake.code, mistake.cause, mistake.span), mistake)

    def add(self, code: str, cause: str, remedy: str, span: Span | None) -> Broken:
        """Report a problem; the answer stands for the value that could not be read."""
        key = _key(code, cause, span)
        if key in self.found:
            self.repeated += 1
        else:
            self.found[key] = Diagnostic(code, cause, remedy, span)
        return BROKEN

    def has(self, code: str, cause: str, span: Span) -> bool:
        """Whether that is reported already, so that no remedy need be looked for."""
        return _key(code, cause, span) in self.found

    def check(self) -> None:
        """Raise MtlError with every problem, in the order of their places, where there is one."""
        if self.found:
            order = {name: place for place, name in enumerate(self.sources)}
            raise MtlError(
                sorted(self.found.values(), key=lambda found: (_rank(found, order), found.place, found.code))
            )


def _rank(found: Diagnostic, order: Mapping[str, int]) -> int:
    return order.get(found.span.source.name, -1) if found.span else -1


def _key(code: str, cause: str, span: Span | None) -> tuple[str, str, str, int, int]:
    return (code, cause, span.source.name, span.start, span.end) if span else (code, cause, "", -1, -1)


def line_of(span: Span, seen_from: Span) -> str:
    """Where a span starts, as a report at another place says it: `line 3`, or `line 3 of blocks.mtl`."""
    name = span.source.name
    return f"line {span.line}" if name == seen_from.source.name else f"line {span.line} of {name}"
