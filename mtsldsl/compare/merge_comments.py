"""The three-way merge of comments: each belongs to a piece of the text, and follows it into the merged text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import attrs

from mtsldsl.compare.outline import (
    TAIL,
    Outline,
    Piece,
    as_lines,
    first_line,
    indent_at,
    indent_of,
    line_of,
    opened,
    outline,
)
from mtsldsl.compare.threeway import counted
from mtsldsl.diagnostics import Source
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import TextEdit, apply_edits

Wanted = Mapping[str, Counter[str]]
"""For every piece and tail of any side, how often each comment is to be there."""


def wanted_comments(base: Outline, ours: Outline, theirs: Outline) -> dict[str, Counter[str]]:
    """The comments of both sides; one that a side took away, and the other left alone, is gone."""
    sides = [{key: _texts(comments) for key, comments in each.comments().items()} for each in (base, ours, theirs)]
    keys = dict.fromkeys(key for side in sides for key in side)
    wanted = {key: counted(*(side.get(key, ()) for side in sides)) for key in keys}
    _drop_doubles(wanted, sides)
    return wanted


def _drop_doubles(wanted: dict[str, Counter[str]], sides: Sequence[Mapping[str, Sequence[str]]]) -> None:
    """A comment of the base that each side has before another piece, as each wrote one of its own below it, is there
    once. In all there are no more of a text than the base has and the sides added; of more, theirs go first."""
    base, ours, theirs = (Counter(text for texts in side.values() for text in texts) for side in sides)
    for text in base:
        most = base[text] + max(0, ours[text] - base[text]) + max(0, theirs[text] - base[text])
        there = sum(counts[text] for counts in wanted.values())
        for key in sorted(wanted, key=lambda key: (text in sides[1].get(key, ()), key)):
            spare = min(there - most, wanted[key][text])
            if spare > 0:
                wanted[key][text] -= spare
                there -= spare


def moved_comments(wanted: Wanted, keys: Collection[str]) -> Iterator[str]:
    """What is said of comments whose piece none of the merged texts has: they go to the end of its block."""
    for key, texts in wanted.items():
        piece = key.removesuffix(TAIL)
        if piece and piece not in keys and not piece.startswith(("sharing", "history")):
            block = piece.rpartition(".")[0]
            place = f"`{block}`" if block in keys else "the text"
            yield from (f"`{piece}` is gone, and its comment `{text}` is at the end of {place}" for text in texts)


def _texts(comments: Iterable[tree.Comment]) -> tuple[str, ...]:
    return tuple(comment.text for comment in comments)


def with_comments(
    source: Source,
    ours: Outline,
    theirs: Outline,
    wanted: Wanted,
    home: Callable[[str], str | None],
    skipped: Callable[[str], bool],
) -> Source:
    """The merged text, so far made from ours, with the comments that it is to have.

    `home` says for a piece that is not there which one its comments go to, None for the end of its block; `skipped`
    for a piece whose comments are somewhere else, in a conflict.
    """
    outlined = outline(source)
    present, before = outlined.comments(), ours.comments()
    changes: dict[str, _Change] = {}
    for key, counts in wanted.items():
        if skipped(key):
            continue
        mine = Counter(_texts(before.get(key, ())))
        if key in present:
            have = Counter(_texts(present[key]))
            changes.setdefault(key, _Change()).add(counts - have, (have - counts) & (mine - counts))
        else:
            place = home(key) or key.rpartition(".")[0] + TAIL
            changes.setdefault(place if place in present else TAIL, _Change()).add(counts, Counter())
    changes = {key: change for key, change in changes.items() if change.new or change.old}
    roomy = opened(source, [piece.key for piece in outlined.pieces if _touched(piece, changes)])
    if roomy.text != source.text:
        return with_comments(roomy, ours, theirs, wanted, home, skipped)
    edits = [edit for key, change in changes.items() for edit in _edits(outlined, ours, theirs, key, change)]
    return attrs.evolve(source, text=apply_edits(source.text, edits))


@attrs.define
class _Change:
    """The comments that come to a piece, and those that go."""

    new: Counter[str] = attrs.field(factory=Counter)
    old: Counter[str] = attrs.field(factory=Counter)

    def add(self, new: Counter[str], old: Counter[str]) -> None:
        """Take note of further ones."""
        self.new += new
        self.old += old


def _touched(piece: Piece, changes: Mapping[str, _Change]) -> bool:
    keys = [piece.key, f"{piece.key}{TAIL}", *(child.key for child in piece.children)]
    return isinstance(piece.node, tree.Section) and any(key in changes for key in keys)


def _edits(outlined: Outline, ours: Outline, theirs: Outline, key: str, change: _Change) -> Iterator[TextEdit]:
    text = outlined.text
    pieces = outlined.everything()
    new = _in_order(change.new, key, theirs, ours)
    if key not in pieces:
        yield from _removed(text, outlined.comments()[key], Counter(change.old))
        yield from _at_the_end(outlined, key, new)
        return
    piece, other = pieces[key], theirs.everything().get(key)
    old = Counter(change.old)
    trailing = piece.trailing
    if other and other.trailing and other.trailing.text in new and (trailing is None or old[trailing.text]):
        new.remove(other.trailing.text)
        if trailing:  # it is another one now
            old[trailing.text] -= 1
            yield TextEdit(trailing.span.start, trailing.span.end, other.trailing.text)
        else:
            gap = theirs.text[other.node.span.end : other.trailing.span.start]
            yield TextEdit(piece.node.span.end, piece.node.span.end, gap + other.trailing.text)
    if other and other.opening and piece.opening is None and other.opening.text in new:
        new.remove(other.opening.text)
        assert isinstance(piece.node, tree.Section)
        yield TextEdit(piece.node.body.start, piece.node.body.start, f" {other.opening.text}")
    yield from _removed(text, [each for each in piece.own_comments if each is not trailing or old[each.text]], old)
    indent = indent_at(text, piece.node.span.start)
    for comment in new:
        yield as_lines(text, _place(text, piece, other, comment), [indent + comment])


def _in_order(new: Counter[str], key: str, *outlines: Outline) -> list[str]:
    """The new comments in the order in which the sides have them."""
    left, ordered = Counter(new), []
    for each in outlines:
        for comment in each.comments().get(key, ()):
            if left[comment.text]:
                left[comment.text] -= 1
                ordered.append(comment.text)
    return [*ordered, *left.elements()]


def _place(text: str, piece: Piece, other: Piece | None, comment: str) -> int:
    """The line above which a comment goes: that of the comment which follows it on the other side, or the piece's."""
    following = _texts(other.leading) if other else ()
    if comment in following:
        after = following[following.index(comment) + 1 :]
        for each in piece.leading:
            if each.text in after:
                return text.rfind("\n", 0, each.span.start) + 1
    return piece.start


def _removed(text: str, comments: Iterable[tree.Comment], old: Counter[str]) -> Iterator[TextEdit]:
    for comment in comments:
        if old[comment.text]:
            old[comment.text] -= 1
            start = text.rfind("\n", 0, comment.span.start) + 1
            blank = text[start : comment.span.start]
            if blank.strip():
                yield TextEdit(start + len(blank.rstrip(" \t")), comment.span.end, "")
            else:
                yield line_of(text, comment)


def _at_the_end(outlined: Outline, key: str, new: list[str]) -> Iterator[TextEdit]:
    """Comments at the end of a block, or of the text."""
    text = outlined.text
    if not new:
        return
    if key == TAIL:
        yield as_lines(text, len(text), new)
        return
    section = outlined.everything()[key.removesuffix(TAIL)]
    assert isinstance(section.node, tree.Section)
    place = text.rfind("\n", 0, section.node.body.end) + 1
    yield as_lines(text, max(place, first_line(text, section)), [indent_of(text, section) + each for each in new])
