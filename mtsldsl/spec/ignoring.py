"""`# mtl: ignore MTL911`: what has one of these codes on the comment's line is not reported by `check`.

An error is ignored in the report alone: it leaves no specification, so every other command stops at it all the same.
Mistakes in the writing of the text, MTL0xx, cannot be ignored: after one it is not sure what is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mtsldsl.diagnostics import CODES, Diagnostic, Severity, Source, Span, proposal
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.tree import Comment

_IGNORE = re.compile(r"#\s*mtl:\s*ignore\b[ \t]*(?P<codes>\w+(?:[ \t]*,[ \t]*\w+)*)?")
_WRITING = "MTL0"


def sift(found: Iterable[Diagnostic]) -> tuple[tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """The diagnostics to report, and those that a comment on their line ignores; both in their order."""
    diagnostics = tuple(found)
    sources = {each.span.source for each in diagnostics if each.span}
    wanted = {_key(span, code) for source in sources for code, span in _ignored(find_comments(source))}
    kept: list[Diagnostic] = []
    ignored: list[Diagnostic] = []
    for each in diagnostics:
        named = each.span is not None and _key(each.span, each.code) in wanted
        (ignored if named and not each.code.startswith(_WRITING) else kept).append(each)
    return tuple(kept), tuple(ignored)


def in_vain(source: Source, ignored: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """A warning, MTL905, for each code of the text's comments that is none of `ignored`."""
    given = {_key(each.span, each.code) for each in ignored if each.span}
    for code, span in _ignored(find_comments(source)):
        if _key(span, code) not in given:
            cause, remedy = _why_in_vain(code)
            yield Diagnostic("MTL905", cause, remedy, span, Severity.WARNING)


def _key(span: Span, code: str) -> tuple[str, int, str]:
    return span.source.name, span.line, code


def _ignored(comments: Iterable[Comment]) -> Iterator[tuple[str, Span]]:
    """The codes that the comments ignore, with their places; an empty one where a comment names none."""
    for comment in comments:
        for match in _IGNORE.finditer(comment.text):
            start = comment.span.start
            if match["codes"] is None:
                yield "", Span(comment.span.source, start + match.start(), start + match.end())
            else:
                for name in re.finditer(r"\w+", match["codes"]):
                    place = start + match.start("codes")
                    yield name[0], Span(comment.span.source, place + name.start(), place + name.end())


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
