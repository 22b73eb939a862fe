"""The problems found while one text is read: all of them are gathered, each once, and raised together."""

from __future__ import annotations

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
    """A growing list of diagnostics without repetitions."""

    found: dict[tuple[str, str, int, int], Diagnostic] = attrs.field(factory=dict)

    def add(self, code: str, cause: str, remedy: str, span: Span | None) -> Broken:
        """Report a problem; the answer stands for the value that could not be read."""
        self.found.setdefault(_key(code, cause, span), Diagnostic(code, cause, remedy, span))
        return BROKEN

    def has(self, code: str, cause: str, span: Span) -> bool:
        """Whether that is reported already, so that no remedy need be looked for."""
        return _key(code, cause, span) in self.found

    def check(self) -> None:
        """Raise MtlError with every problem, in the order of their places, where there is one."""
        if self.found:
            raise MtlError(sorted(self.found.values(), key=lambda found: (found.place, found.code)))


def _key(code: str, cause: str, span: Span | None) -> tuple[str, str, int, int]:
    return (code, cause, span.start, span.end) if span else (code, cause, -1, -1)
