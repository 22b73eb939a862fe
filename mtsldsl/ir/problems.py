"""The problems found while one text is read: all of them are gathered, each once, and raised together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Span, misspelt
from mtsldsl.records import Record

_LONGEST_NAME = 100
"""Characters of a name, or of a quoted piece of the text, that a cause shows."""


class Broken(Enum):
    """Stands for what could not be read; its problem is reported already, so whoever meets it says nothing more."""

    BROKEN = "broken"


BROKEN: Final = Broken.BROKEN


class Sort(Enum):
    """Sorts of names of which some may be missing, because the line that gives them cannot be read."""

    DEFINITION = "a constant or block"
    LAYER = "a layer"
    TASK = "a task"
    DATA = "a data block"


@attrs.frozen(eq=False, repr=False)
class Through(Record):
    """A constant by way of which a value came to where it is used; `span` is the place of its value."""

    name: str
    span: Span


@attrs.frozen(eq=False, repr=False)
class _Unfit(Record):
    """A value that came `through` constants and is wrong where it is used, with what is wrong there."""

    through: tuple[Through, ...]
    use: Span
    found: tuple[Diagnostic, ...]


@attrs.define(eq=False, repr=False)
class Problems:
    """A growing list of diagnostics without repetitions.

    `lost` are the sorts of which names may be missing: an unknown name that is near no known one is then no mistake of
    who uses it. `repeated` counts reports that were there already, `exhausted` says that the network is too large to go
    on with, `nameless` that a constant was left without its name. `sources` are the names of the texts, in the order in
    which their problems are to come; `places` are those where names are given.
    """

    found: dict[tuple[str, str, str, int, int], Diagnostic] = attrs.field(factory=dict)
    lost: set[Sort] = attrs.field(factory=set)
    sources: tuple[str, ...] = ()
    repeated: int = 0
    exhausted: bool = False
    nameless: bool = False
    places: Mapping[str, Span] = attrs.field(factory=dict)
    _unfit: list[_Unfit] = attrs.field(factory=list)
    _fit: set[Through] = attrs.field(factory=set)

    def take(self, mistakes: Iterable[Diagnostic]) -> None:
        """Add what was found before, in the writing of the text."""
        for mistake in mistakes:
            self.found.setdefault(_key(mistake.code, mistake.cause, mistake.span), mistake)

    def add(self, code: str, cause: str, remedy: str, span: Span | None) -> Broken:
        """Report a problem; the answer stands for the value that could not be read."""
        cause = _shortened(cause)
        key = _key(code, cause, span)
        if key in self.found:
            self.repeated += 1
        else:
            self.found[key] = Diagnostic(code, cause, remedy, span)
        return BROKEN

    def aside(self) -> Problems:
        """An empty list beside this one, which knows of the same lost names and constants."""
        return Problems(lost=self.lost, unfit=self._unfit, fit=self._fit)

    def fits(self, through: tuple[Through, ...]) -> None:
        """Note that a value which came through these constants is right where it is used."""
        self._fit.update(through)

    def unfit(self, through: tuple[Through, ...], use: Span, found: Iterable[Diagnostic]) -> Broken:
        """Report what is wrong with a value that came through constants: at the constant, once, where it is right
        nowhere, otherwise where it is used. So it takes all uses to say which, and is left to `check`."""
        self._unfit.append(_Unfit(through, use, tuple(found)))
        return BROKEN

    def _settle(self) -> None:
        said: set[tuple[str, int, int]] = set()
        for unfit in self._unfit:
            wrong = next((each for each in reversed(unfit.through) if each not in self._fit), None)
            for found in unfit.found:
                if wrong is None:
                    self.take([attrs.evolve(found, span=unfit.use)])
                    continue
                if found.span is None or not is_inside(found.span, wrong.span):
                    cause = f"{found.cause} (`{wrong.name}`, used on {line_of(unfit.use, wrong.span)})"
                    found = attrs.evolve(found, cause=cause, span=wrong.span)
                assert found.span is not None
                place = (found.span.source.name, found.span.start, found.span.end)
                if place not in said:
                    said.add(place)
                    self.take([found])
        self._unfit.clear()

    def may_be_lost(self, name: str, known: Iterable[str], *sorts: Sort) -> bool:
        """Whether an unknown name may be one of those that could not be read, and not a known one misspelt."""
        return not self.lost.isdisjoint(sorts) and not misspelt(name, known)

    def get(self, code: str, cause: str, span: Span) -> Diagnostic | None:
        """The report of that, where there is one already, so that no remedy need be looked for."""
        return self.found.get(_key(code, _shortened(cause), span))

    def check(self) -> None:
        """Raise MtlError with every problem, in the order of their places, where there is one."""
        self._settle()
        if self.found:
            from mtsldsl.ir.misnamed import where_given  # a sound text needs none of it

            found = list(where_given(self.found.values(), self.places))
            if self.nameless:
                found = _without_the_nameless(found)
            order = {name: place for place, name in enumerate(self.sources)}
            raise MtlError(sorted(found, key=lambda each: (_rank(each, order), each.place, each.code)))


def _without_the_nameless(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """A name that is unknown at several places is that of the constant which lacks its name."""
    unknown = Counter(each.span.text for each in found if each.code == "MTL107" and each.span)
    return [each for each in found if each.code != "MTL107" or not each.span or unknown[each.span.text] < 2]


def is_inside(inner: Span, outer: Span) -> bool:
    """Whether a span is part of another."""
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _shortened(cause: str) -> str:
    """The cause with every quoted piece of it cut to a length that can be read."""
    if len(cause) <= _LONGEST_NAME:
        return cause
    return re.sub(rf"`([^`]{{{_LONGEST_NAME - 3}}})[^`]{{4,}}`", r"`\1...`", cause)


def _rank(found: Diagnostic, order: Mapping[str, int]) -> int:
    return order.get(found.span.source.name, -1) if found.span else -1


def _key(code: str, cause: str, span: Span | None) -> tuple[str, str, str, int, int]:
    return (code, cause, span.source.name, span.start, span.end) if span else (code, cause, "", -1, -1)


def line_of(span: Span, seen_from: Span) -> str:
    """Where a span starts, as a report at another place says it: `line 3`, or `line 3 of blocks.mtl`."""
    name = span.source.name
    return f"line {span.line}" if name == seen_from.source.name else f"line {span.line} of {name}"
