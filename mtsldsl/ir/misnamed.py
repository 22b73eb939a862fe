"""A name that is misspelt where it is given, and right wherever it is used: one mistake, and so one report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from mtsldsl.diagnostics import Diagnostic, Source, Span
from mtsldsl.diagnostics.names import Suggestion
from mtsldsl.syntax.comments import find_comments

_UNKNOWN = frozenset(("MTL107", "MTL203", "MTL401", "MTL402", "MTL504"))
"""Codes of names that are nothing known."""


def where_given(found: Iterable[Diagnostic], places: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """The diagnostics, with one at the definition for all those of a name that is used at several places, and that is
    near a single known name which is used at none. `places` are those where names are given."""
    uses: dict[tuple[str, str], list[Diagnostic]] = {}
    for each in found:
        if each.code in _UNKNOWN and isinstance(each.remedy, Suggestion) and each.remedy.right:
            uses.setdefault((each.remedy.wrong, each.remedy.right), []).append(each)
        else:
            yield each
    for (used, given), reports in uses.items():
        place = places.get(given)
        sources = {report.span.source for report in reports if report.span}
        if len(reports) < 2 or place is None or sources != {place.source} or not _stands_once(given, place.source):
            yield from reports
        else:
            lines = sorted({report.span.line for report in reports if report.span})
            listed = " and ".join(filter(None, (", ".join(map(str, lines[:-1])), str(lines[-1]))))
            where = f"line{'s' if len(lines) > 1 else ''} {listed}"
            cause = f"`{given}` is used nowhere, and `{used}`, which nothing is called, on {where}"
            yield Diagnostic("MTL107", cause, f"call it `{used}` here, or write `{given}` there", place)


def _stands_once(name: str, source: Source) -> bool:
    """Whether a name stands at a single place of a text, comments left out."""
    comments = [comment.span for comment in find_comments(source)]
    places = [match.start() for match in re.finditer(rf"\b{re.escape(name)}\b", source.text)]
    return len([place for place in places if not any(each.start <= place < each.end for each in comments)]) == 1
