"""Safe fixes of a text: misspelt names that can mean only one known name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, Fix, MtlError, Source
from mtsldsl.spec.checking import Report, check
from mtsldsl.syntax import TextEdit, apply_edits, read_source, verify, write_text_atomically

_MOST_ROUNDS = 10
"""A fix may let another problem be seen that can be fixed too; this often at most."""


@attrs.frozen
class Mended:
    """The diagnostics that were fixed, with the places that they had, and the report on the text as it is then."""

    fixed: tuple[Diagnostic, ...]
    report: Report


def mend(source: Source, *, pedantic: bool = False) -> Mended:
    """The text with every fix that leaves fewer problems; outside the fixes not a character changes.

    All fixes are tried together, and one by one where that does not leave a problem less for each.
    """
    before = check(source, pedantic=pedantic)
    fixable = list(_fixable(before))
    together = _rounds(before, pedantic)
    if _count(before) - _count(together.report) >= len(fixable):
        return together
    mended = Mended((), before)
    for found in fixable:
        tried = _applied(mended.report, [_moved(found, mended.fixed)], pedantic)
        if _count(tried) < _count(mended.report):
            mended = Mended((*mended.fixed, found), tried)
    return mended


def save(before: Source, after: Source, path: str) -> None:
    """Write the mended text over the file that `before` was read from, whole or not at all.

    Raises:
        MtlError: MTL704 where the file has changed meanwhile, MTL703 where it cannot be written.
    """
    if read_source(path).text != before.text:
        raise MtlError.of("MTL704", f"{path} was changed meanwhile", "run the command again")
    write_text_atomically(path, after.text, after.bom)


def _count(report: Report) -> int:
    return len(report.diagnostics)


def _fixable(report: Report) -> Iterator[Diagnostic]:
    """What can be fixed in the text itself, one fix a place."""
    places: set[tuple[int, int]] = set()
    for found in report.diagnostics:
        fix = found.fix
        if fix and fix.span.source.name == report.source.name and (fix.span.start, fix.span.end) not in places:
            places.add((fix.span.start, fix.span.end))
            yield found


def _rounds(report: Report, pedantic: bool) -> Mended:
    """All fixes, and those that can be seen once they are made."""
    fixed: tuple[Diagnostic, ...] = ()
    for _ in range(_MOST_ROUNDS):
        found = list(_fixable(report))
        if not found:
            break
        report = _applied(report, [each.fix for each in found if each.fix], pedantic)
        fixed = (*fixed, *found)
    return Mended(fixed, report)


def _applied(report: Report, fixes: Iterable[Fix], pedantic: bool) -> Report:
    """The report on the text with the fixes made."""
    source = report.source
    edits = [TextEdit(fix.span.start, fix.span.end, fix.text) for fix in fixes]
    text = apply_edits(source.text, edits)
    verify(source.text, text, edits, source.name)
    return check(attrs.evolve(source, text=text), pedantic=pedantic)


def _moved(found: Diagnostic, fixed: Sequence[Diagnostic]) -> Fix:
    """The fix of a diagnostic in the text in which others are fixed already."""
    assert found.fix is not None
    span, text = found.fix.span, found.fix.text
    earlier = [each.fix for each in fixed if each.fix and each.fix.span.end <= span.start]
    shift = sum(len(fix.text) - (fix.span.end - fix.span.start) for fix in earlier)
    return Fix(attrs.evolve(span, start=span.start + shift, end=span.end + shift), text)
