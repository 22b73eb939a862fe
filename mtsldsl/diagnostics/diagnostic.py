"""One report of something wrong, and the one exception that carries reports."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import attrs

from mtsldsl.diagnostics.names import Suggestion
from mtsldsl.diagnostics.source import Span
from mtsldsl.records import Record


class Severity(StrEnum):
    """How much a diagnostic matters: an error stops the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


def _registered(_: Diagnostic, __: attrs.Attribute[str], code: str) -> None:
    from mtsldsl.diagnostics.codes import CODES  # the registry is long, and a sound spec needs none of it

    if code not in CODES:
        raise ValueError(f"{code} is not in the registry of diagnostic codes")


@attrs.frozen(eq=False, repr=False)
class Fix(Record):
    """An edit that mends a problem and can mean nothing else: `text` in the place of `span`, and what must be edited
    `also`, in the same text, so that the meaning is kept."""

    span: Span
    text: str
    also: tuple[Fix, ...] = ()

    @property
    def edits(self) -> tuple[Fix, ...]:
        """All its edits, each by itself, in the order of their places."""
        alone = attrs.evolve(self, also=())
        return tuple(sorted((alone, *self.also), key=lambda edit: edit.span.start))


class Mending(str):
    """A remedy whose `fix` is more than a known name in the place of a wrong one."""

    fix: Fix

    def __new__(cls, text: str, fix: Fix) -> Mending:
        """The text of the remedy with its fix."""
        made = super().__new__(cls, text)
        made.fix = fix
        return made


@attrs.frozen(eq=False, repr=False)
class Diagnostic(Record):
    """What is wrong (`cause`, one sentence), where, and what to do about it (`remedy`, one sentence)."""

    code: str = attrs.field(validator=_registered)
    cause: str
    remedy: str
    span: Span | None = None
    severity: Severity = Severity.ERROR

    @property
    def place(self) -> tuple[int, int]:
        """Line and column, (0, 0) where there is none."""
        return (self.span.line, self.span.column) if self.span else (0, 0)

    @property
    def fix(self) -> Fix | None:
        """The safe edit: that of the remedy, or the only known name near a misspelt one in its place."""
        if self.span is not None and isinstance(self.remedy, Mending):
            return self.remedy.fix
        if self.span is None or not isinstance(self.remedy, Suggestion) or self.remedy.right is None:
            return None
        return Fix(self.span, self.remedy.right) if self.span.text == self.remedy.wrong else None


class MtlError(Exception):
    """Something a user can cause and mend. Every other exception is a defect of mtsldsl and keeps its traceback."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    @classmethod
    def of(cls, code: str, cause: str, remedy: str, span: Span | None = None) -> MtlError:
        """An error with a single diagnostic."""
        return cls([Diagnostic(code, cause, remedy, span)])

    def __str__(self) -> str:
        from mtsldsl.diagnostics.render import render_all

        return render_all(self.diagnostics)
