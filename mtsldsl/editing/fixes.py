"""Safe fixes of a text: names that can mean only one known name, misspelt or from elsewhere, and what was written in
another way before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Diagnostic, Fix, Mending, Source, Span
from mtsldsl.editing.checking import Report, check
from mtsldsl.records import Record
from mtsldsl.syntax import TextEdit, apply_edits, verify, write_text_atomically

_MOST_ROUNDS = 10
"""A fix may let another problem be seen that can be fixed too; this often at most."""

_MOST_TRIALS = 60
"""Fixes are tried together and, where some do not help, in halves; this often at most."""

_Wanted: TypeAlias = tuple[Diagnostic, Fix]
"""A diagnostic, and its fix where that stands once those before it are made."""


@attrs.frozen(eq=False, repr=False)
class Mended(Record):
    """The diagnostics that were fixed, with their places in the text as it was, and the report on the text as it is
    then."""

    fixed: tuple[Diagnostic, ...]
    report: Report


def mend(source: Source, *, pedantic: bool = False) -> Mended:
    """The text with every fix that helps; outside the fixes not a character changes."""
    mended = Mended((), check(source, pedantic=pedantic))
    trials = iter(range(_MOST_TRIALS))
    for _ in range(_MOST_ROUNDS):
        further = _round(mended.report, pedantic, trials)
        if not further.fixed:
            break
        placed = [_placed_before(found, source, mended.fixed) for found in further.fixed]
        mended = Mended((*mended.fixed, *placed), further.report)
    return mended


def save(before: Source, after: Source, path: str) -> None:
    """Write the mended text over the file that `before` was read from, whole or not at all.

    Raises:
        MtlError: MTL704 where the file has changed meanwhile, MTL703 where it cannot be written.
    """
    write_text_atomically(path, after.text, after.bom, expected=before)


def _count(report: Report) -> int:
    return len(report.diagnostics)


def _fixable(report: Report) -> Iterator[Diagnostic]:
    """What can be fixed in the text itself, one fix a place."""
    taken: list[Span] = []
    for found in report.diagnostics:
        places = [edit.span for edit in found.fix.edits] if found.fix else []
        here = all(place.source.name == report.source.name for place in places)
        if places and here and not any(_overlap(place, other) for place in places for other in taken):
            taken += places
            yield found


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _round(before: Report, pedantic: bool, trials: Iterator[int]) -> Mended:
    """All fixes that can be seen, as many together as leave a problem less for each."""
    wanted = [(found, found.fix) for found in _fixable(before) if found.fix]
    made, after = _made(before, wanted, pedantic, trials) if wanted else ([], before)
    return Mended(tuple(found for found, _ in made), after)


def _made(
    before: Report, wanted: Sequence[_Wanted], pedantic: bool, trials: Iterator[int]
) -> tuple[list[_Wanted], Report]:
    """The fixes that are made, and the report then: all together, or each half by itself where some do not help."""
    if next(trials, None) is None:
        return [], before
    after = _applied(before, [fix for _, fix in wanted], pedantic)
    errors = len(before.errors) - len(after.errors)  # where none is left, warnings may come to light
    if max(errors, _count(before) - _count(after)) >= len(wanted):
        return list(wanted), after
    if len(wanted) == 1:
        return (list(wanted), after) if _helps(wanted[0][1], before, after) else ([], before)
    half = len(wanted) // 2
    first, between = _made(before, wanted[:half], pedantic, trials)
    moved = [(found, _moved(fix, [other for _, other in first])) for found, fix in wanted[half:]]
    second, after = _made(between, moved, pedantic, trials)
    kept = set(map(id, second))
    return [*first, *(each for each, now in zip(wanted[half:], moved, strict=True) if id(now) in kept)], after


def _helps(fix: Fix, before: Report, after: Report) -> bool:
    """Whether a fix leaves fewer problems, or only lets those be seen that it hid: one more at another place, or any
    number behind it on its line."""
    if _count(after) < _count(before):
        return True
    known = {(each.code, each.cause) for each in before.diagnostics}
    new = [each.span for each in after.diagnostics if (each.code, each.cause) not in known]
    behind = [span for span in new if span and span.line == fix.span.line and span.start > fix.span.start]
    return len(behind) == len(new) or (
        _count(after) == _count(before) and all(span and span.start != fix.span.start for span in new)
    )


def _applied(report: Report, fixes: Iterable[Fix], pedantic: bool) -> Report:
    """The report on the text with the fixes made."""
    source = report.source
    edits = [TextEdit(edit.span.start, edit.span.end, edit.text) for fix in fixes for edit in fix.edits]
    text = apply_edits(source.text, edits)
    verify(source.text, text, edits, source.name)
    return check(attrs.evolve(source, text=text), pedantic=pedantic)


def _placed_before(found: Diagnostic, source: Source, fixed: Sequence[Diagnostic]) -> Diagnostic:
    """A diagnostic of the text in which others are fixed, with its place in the text as it was before."""
    assert found.span is not None
    made = [edit for each in fixed if each.fix for edit in each.fix.edits]
    made.sort(key=lambda edit: edit.span.start)
    remedy = found.remedy
    if isinstance(remedy, Mending):
        edits = [
            attrs.evolve(edit, span=_span_before(edit.span, source, made)) for edit in (remedy.fix, *remedy.fix.also)
        ]
        remedy = Mending(remedy, attrs.evolve(edits[0], also=tuple(edits[1:])))
    return attrs.evolve(found, remedy=remedy, span=_span_before(found.span, source, made))


def _span_before(span: Span, source: Source, made: Sequence[Fix]) -> Span:
    start, end = span.start, span.end
    for edit in reversed(made):
        moved = sum(_growth(other) for other in made if other.span.end <= edit.span.start)
        if edit.span.start + moved + len(edit.text) <= start:
            start, end = start - _growth(edit), end - _growth(edit)
    return attrs.evolve(span, source=source, start=start, end=end)


def _growth(fix: Fix) -> int:
    return len(fix.text) - (fix.span.end - fix.span.start)


def _moved(fix: Fix, made: Iterable[Fix]) -> Fix:
    """A fix in the text in which others are made already."""
    before = [edit for other in made for edit in other.edits]
    return _shifted(fix, before)


def _shifted(fix: Fix, before: Sequence[Fix]) -> Fix:
    shift = sum(_growth(edit) for edit in before if edit.span.end <= fix.span.start)
    place = attrs.evolve(fix.span, start=fix.span.start + shift, end=fix.span.end + shift)
    return Fix(place, fix.text, tuple(_shifted(edit, before) for edit in fix.also))
