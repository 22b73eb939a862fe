"""Safe fixes of a text: names that can mean only one known name, misspelt or from elsewhere."""

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
    """The text with every fix that helps; outside the fixes not a character changes."""
    mended = Mended((), check(source, pedantic=pedantic))
    for _ in range(_MOST_ROUNDS):
        further = _round(mended.report, pedantic)
        if not further.fixed:
            break
        mended = Mended((*mended.fixed, *further.fixed), further.report)
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


def _round(before: Report, pedantic: bool) -> Mended:
    """All fixes that can be seen, together, and one by one where that does not leave a problem less for each."""
    fixable = list(_fixable(before))
    together = _applied(before, [each.fix for each in fixable if each.fix], pedantic) if fixable else before
    if _count(before) - _count(together) >= len(fixable):
        return Mended(tuple(fixable), together)
    mended = Mended((), before)
    for found in fixable:
        fix = _moved(found, mended.fixed)
        tried = _applied(mended.report, [fix], pedantic)
        if _helps(fix, mended.report, tried):
            mended = Mended((*mended.fixed, found), tried)
    return mended


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
