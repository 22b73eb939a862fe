"""`# mtl: ignore MTL911`: what has one of these codes on the comment's line is not reported by `check`.

The line is the whole entry or definition that the comment stands in or behind, over however many lines it goes, and the
whole block for a comment behind its `}`: so no other layout changes what is ignored.

An error is ignored in the report alone: it leaves no specification, so every other command stops at it all the same.
Mistakes in the writing of the text, MTL0xx, cannot be ignored: after one it is not sure what is a comment.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import CODES, Diagnostic, Severity, Source, Span, proposal
from mtsldsl.records import Record
from mtsldsl.syntax import read
from mtsldsl.syntax.attachment import attached
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.tree import Comment

_IGNORE = re.compile(r"#\s*mtl:\s*ignore\b[ \t]*(?P<codes>\w+(?:[ \t]*,[ \t]*\w+)*)?")
_WRITING = "MTL0"


def sift(found: Iterable[Diagnostic]) -> tuple[tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """The diagnostics to report, and those that a comment on their line ignores; both in their order."""
    diagnostics = tuple(found)
    sources = {each.span.source for each in diagnostics if each.span}
    places = _places(diagnostics)
    reaches = {(each.code, each.reach) for source in sources for each in _ignores(source)}
    named = {number for code, reach in reaches for number in _inside(reach, code, places)}
    kept: list[Diagnostic] = []
    ignored: list[Diagnostic] = []
    for number, each in enumerate(diagnostics):
        (ignored if number in named and not each.code.startswith(_WRITING) else kept).append(each)
    return tuple(kept), tuple(ignored)


def in_vain(source: Source, ignored: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """A warning, MTL905, for each code of the text's comments that is none of `ignored`."""
    places = _places(ignored)
    for ignore in _ignores(source):
        if not _inside(ignore.reach, ignore.code, places):
            cause, remedy = _why_in_vain(ignore.code)
            yield Diagnostic("MTL905", cause, remedy, ignore.place, Severity.WARNING)


@attrs.frozen(eq=False, repr=False)
class _Ignore(Record):
    """A code that a comment names, empty where it names none; where it stands, and what it holds for."""

    code: str
    place: Span
    reach: Span


_Places: TypeAlias = Mapping[tuple[str, str], Sequence[tuple[int, int]]]
"""For a text's name and a code, in order, where the code is reported, and the numbers of the diagnostics."""


def _places(diagnostics: Sequence[Diagnostic]) -> _Places:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, each in enumerate(diagnostics):
        if each.span is not None:
            found.setdefault((each.span.source.name, each.code), []).append((each.span.start, number))
    return {key: sorted(places) for key, places in found.items()}


def _inside(reach: Span, code: str, places: _Places) -> list[int]:
    """The numbers of the diagnostics with that code in the reach of a comment."""
    found = places.get((reach.source.name, code), [])
    first, end = bisect_left(found, (reach.start, 0)), bisect_left(found, (reach.end, 0))
    return [number for _, number in found[first:end]]


def _ignores(source: Source) -> list[_Ignore]:
    """What the comments of a text ignore, in order."""
    if not any(map(ignores, find_comments(source))):
        return []
    file, _ = read(source)
    return [
        _Ignore(code, place, reach or _physical_line(comment))
        for comment, reach in zip(file.comments, attached(file), strict=True)
        for code, place in _named(comment)
    ]


def ignores(comment: Comment) -> bool:
    """Whether a comment is one that ignores."""
    return _IGNORE.search(comment.text) is not None


def _named(comment: Comment) -> Iterator[tuple[str, Span]]:
    """The codes that a comment ignores, with their places; an empty one where it names none."""
    start = comment.span.start
    for match in _IGNORE.finditer(comment.text):
        if match["codes"] is None:
            yield "", Span(comment.span.source, start + match.start(), start + match.end())
        else:
            for name in re.finditer(r"\w+", match["codes"]):
                place = start + match.start("codes")
                yield name[0], Span(comment.span.source, place + name.start(), place + name.end())


def _physical_line(comment: Comment) -> Span:
    """The line of a comment behind what cannot be read."""
    text, start = comment.span.source.text, comment.span.start
    return Span(comment.span.source, text.rfind("\n", 0, start) + 1, start)


def _why_in_vain(code: str) -> tuple[str, str]:
    """Cause and remedy."""
    if not code:
        return "the comment names no code to ignore", "write one: `# mtl: ignore MTL911`"
    if code not in CODES:
        remedy = proposal(code, CODES) or "write a code such as `MTL911`; `mtsldsl explain` lists them"
        # As plain text: a fix, which the proposal would be, never edits a comment.
        return f"there is no code `{code}` to ignore", str(remedy)
    if code.startswith(_WRITING):
        return f"`{code}` is a mistake in the writing of the text, which cannot be ignored", "leave it out"
    return f"there is no `{code}` on this line to ignore", "leave it out"
