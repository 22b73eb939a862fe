"""Edits of a text that a person wrote: item by item, never by printing it anew.

Every function that makes an edit returns a `TextEdit` against the text that the tree was read from; `apply_edits` makes
the new text and `verify` refuses it where it would lose anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.records import Record
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.tree import Call, Entry, File, Section

_INDENT = "  "


@attrs.frozen(eq=False, repr=False)
class TextEdit(Record):
    """`text` in the place of the code points `[start, end)`; an insertion where the two are equal."""

    start: int
    end: int
    text: str

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"no range of a text: [{self.start}, {self.end})")


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """The text with all edits made at once; insertions at one place come out in the order given.

    Raises:
        ValueError: edits that overlap, or that lie outside the text.
    """
    parts, position = [], 0
    for edit in _in_order(edits):
        if edit.start < position or edit.end > len(text):
            raise ValueError(f"{edit} overlaps another edit or lies outside the text")
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])


def _in_order(edits: Iterable[TextEdit]) -> list[TextEdit]:
    return sorted(edits, key=lambda edit: (edit.start, edit.end))


def verify(before: str, after: str, edits: Iterable[TextEdit], name: str = "<string>") -> None:
    """Hold that `after` is `before` outside the edits, and that no comment was lost, changed or made by accident.

    Comments may be added only inside the text of an edit, whole.

    Raises:
        ValueError: bytes outside the edits differ.
        MtlError: MTL704 for each comment that would be lost, or that would swallow what follows an edit.
    """
    edits = _in_order(edits)
    if apply_edits(before, edits) != after:
        raise ValueError("the new text differs from the old one outside the edits")
    old, new = find_comments(Source(name, before)), find_comments(Source(name, after))
    lost = Counter(comment.text for comment in old) - Counter(comment.text for comment in new)
    problems = []
    for comment in old:
        if lost[comment.text] and any(
            edit.start < comment.span.end and comment.span.start < edit.end for edit in edits
        ):
            lost[comment.text] -= 1
            cause, remedy = (
                "a rewrite would lose this comment",
                "move the comment to a line of its own, outside the value",
            )
            problems.append(Diagnostic("MTL704", cause, remedy, comment.span))
    added = Counter(comment.text for comment in new) - Counter(comment.text for comment in old)
    written = Counter(comment.text for edit in edits for comment in find_comments(Source(name, edit.text)))
    if +lost or added - written:
        problems.append(
            Diagnostic("MTL704", f"a rewrite of {name} would change its comments", "undo the last edit of it")
        )
    if problems:
        raise MtlError(problems)


# Edits of a tree's text


def line_ending(text: str) -> str:
    """The line ending that a text uses: that of its first line."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def replace_value(entry: Entry, value: str) -> TextEdit:
    """`value` in the place of an entry's value; the key, the blank space and comments around it stay."""
    return TextEdit(entry.value.span.start, entry.value.span.end, value)


def replace_item(file: File, item: Entry | Call, lines: Sequence[str]) -> TextEdit:
    """Lines in the place of an item, indented like it; a comment on its line stays behind the last of them."""
    return TextEdit(item.span.start, item.span.end, _joined(file, lines, _indent_at(file, item.span.start)))


def insert_items(file: File, section: Section, lines: Sequence[str]) -> TextEdit:
    """Lines at the end of a section, indented like the items there.

    They come after everything that stands in the section, its comments included; blank lines before the closing brace
    stay before it.
    """
    text, start, end = file.source.text, section.body.start, section.body.end
    last = max((item.span.end for item in section.items), default=start)
    for comment in reversed(file.comments):
        if comment.span.start < end:
            last = max(last, comment.span.end) if comment.span.start >= start else last
            break
    indent = _indent_of_items(file, section)
    ending = line_ending(text)
    addition = indent + _joined(file, lines, indent) + ending
    newline = text.find("\n", last, end)
    if newline >= 0:
        return TextEdit(newline + 1, newline + 1, addition)
    return TextEdit(last, end, ending + addition + _indent_at(file, section.span.start))


def append_section(file: File, section: str) -> TextEdit:
    """A section at the end of a text, after a blank line; the text ends with a line ending where it did before."""
    text = file.source.text
    ending = line_ending(text)
    body = ending.join(section.rstrip("\n").split("\n"))
    if not text.strip():
        return TextEdit(len(text), len(text), body + ending)
    if not text.endswith("\n"):
        return TextEdit(len(text), len(text), ending * 2 + body)
    blank = text.endswith(("\n\n", "\n\r\n"))
    return TextEdit(len(text), len(text), ("" if blank else ending) + body + ending)


def remove_item(file: File, item: Entry | Call) -> TextEdit:
    """Without an item, and without its line where nothing else stands on it; a comment on the line stays."""
    text = file.source.text
    line_start = text.rfind("\n", 0, item.span.start) + 1
    newline = text.find("\n", item.span.end)
    line_end = newline + 1 if newline >= 0 else len(text)
    alone_before = not text[line_start : item.span.start].strip()
    alone_after = not text[item.span.end : line_end].strip()
    if alone_before and alone_after:
        return TextEdit(line_start, line_end, "")
    end = item.span.end
    while alone_before and text[end] in " \t":
        end += 1
    return TextEdit(item.span.start, end, "")


def _joined(file: File, lines: Sequence[str], indent: str) -> str:
    return (line_ending(file.source.text) + indent).join(lines)


def _indent_at(file: File, offset: int) -> str:
    """The blank space that the line of an offset starts with."""
    text = file.source.text
    start = text.rfind("\n", 0, offset) + 1
    end = start
    while end < offset and text[end] in " \t":
        end += 1
    return text[start:end]


def _indent_of_items(file: File, section: Section) -> str:
    """That of the last item that starts its line, or two columns more than the section itself."""
    text = file.source.text
    for item in reversed(section.items):
        start = text.rfind("\n", 0, item.span.start) + 1
        if start >= section.body.start and not text[start : item.span.start].strip():
            return text[start : item.span.start]
    return _indent_at(file, section.span.start) + _INDENT
