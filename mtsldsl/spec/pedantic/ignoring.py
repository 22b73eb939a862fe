"""`# mtl: ignore MTL911`: the warnings with these codes on the comment's line are not reported.

Only warnings: where there is an error there is no specification, so nothing would be left to go on with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mtsldsl.diagnostics import CODES, Diagnostic, Span, proposal
from mtsldsl.spec.pedantic.reading import warn
from mtsldsl.syntax import tree
from mtsldsl.syntax.comments import find_comments

_IGNORE = re.compile(r"#\s*mtl:\s*ignore\b[ \t]*(?P<codes>\w+(?:[ \t]*,[ \t]*\w+)*)?")


def without_ignored(warnings: Sequence[Diagnostic], file: tree.File) -> list[Diagnostic]:
    """The warnings that no comment on their line ignores, and one for each code of the text ignored in vain."""
    sources = {warning.span.source for warning in warnings if warning.span}
    wanted = {
        (source.name, span.line, code)
        for source in sources
        for comment in find_comments(source)
        for code, span in _codes(comment)
    }
    kept = [warning for warning in warnings if not warning.span or _key(warning.span, warning.code) not in wanted]
    given = {_key(warning.span, warning.code) for warning in warnings if warning.span}
    for comment in file.comments:
        for code, span in _codes(comment):
            if _key(span, code) not in given:
                kept.append(_in_vain(code, span))
    return kept


def _key(span: Span, code: str) -> tuple[str, int, str]:
    return span.source.name, span.line, code


def _codes(comment: tree.Comment) -> Iterator[tuple[str, Span]]:
    """The codes that a comment ignores, with their places; an empty one where it names none."""
    for match in _IGNORE.finditer(comment.text):
        start = comment.span.start
        if match["codes"] is None:
            yield "", Span(comment.span.source, start + match.start(), start + match.end())
        else:
            for name in re.finditer(r"\w+", match["codes"]):
                place = start + match.start("codes")
                yield name[0], Span(comment.span.source, place + name.start(), place + name.end())


def _in_vain(code: str, span: Span) -> Diagnostic:
    if not code:
        return warn("MTL905", "the comment names no code to ignore", "write one: `# mtl: ignore MTL911`", span)
    if code not in CODES:
        remedy = proposal(code, CODES) or "write a code such as `MTL911`; `mtsldsl explain` lists them"
        # As plain text: a fix, which the proposal would be, never edits a comment.
        return warn("MTL905", f"there is no code `{code}` to ignore", str(remedy), span)
    if not code.startswith("MTL9"):
        cause = f"`{code}` is the code of an error, which cannot be ignored"
        return warn("MTL905", cause, "leave it out; only warnings, MTL9xx, can be ignored", span)
    return warn("MTL905", f"there is no `{code}` on this line to ignore", "leave it out", span)
