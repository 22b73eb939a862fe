"""The comments of a text, with their places."""

from __future__ import annotations

import re

from mtsldsl.diagnostics import Source, Span
from mtsldsl.syntax.tree import Comment

_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"?|#[^\n]*')


def find_comments(source: Source) -> tuple[Comment, ...]:
    """Every comment in order; a `#` inside a string starts none."""
    comments = []
    for match in _STRING_OR_COMMENT.finditer(source.text):
        text = match.group()
        if text[0] == "#":
            text = text.rstrip("\r")
            comments.append(Comment(text, Span(source, match.start(), match.start() + len(text))))
    return tuple(comments)
