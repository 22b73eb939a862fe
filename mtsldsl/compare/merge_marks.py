"""Two texts that are merged but for the conflicts, one with our side and one with the other, as one text with markers.

Whoever takes our side at every marker has the first of them, whoever takes the other side the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

import attrs

from mtsldsl.compare.outline import TAIL, Outline, Piece, first_line, outline
from mtsldsl.compare.threeway import Conflict
from mtsldsl.diagnostics import Source
from mtsldsl.records import Record
from mtsldsl.syntax import tree
from mtsldsl.syntax.edit import line_ending


@attrs.frozen(eq=False, repr=False)
class Markers(Record):
    """How conflicts are marked: git's way. With `base` there is also what the base has, as in git's diff3 style."""

    size: int = 7
    ours: str = "ours"
    base: str | None = None
    theirs: str = "theirs"

    def line(self, character: str, label: str = "") -> str:
        """One of the marker lines."""
        return f"{character * self.size} {label}".rstrip()


@attrs.frozen(eq=False, repr=False)
class _Part(Record):
    """A piece of a text, or what a block begins or ends with: whole lines, and what they say."""

    key: str
    text: str
    says: object


@attrs.frozen(eq=False, repr=False)
class _Region(Record):
    """Parts of the two texts that are not the same, and the conflicts that are about them."""

    ours: tuple[_Part, ...]
    theirs: tuple[_Part, ...]
    conflicts: tuple[Conflict, ...]

    def keys(self) -> tuple[str, ...]:
        """The keys of its pieces."""
        return tuple(dict.fromkeys(part.key.removesuffix(TAIL) for part in (*self.ours, *self.theirs)))

    def joined(self, other: _Region) -> _Region:
        """This and the following region as one."""
        return attrs.evolve(self, ours=(*self.ours, *other.ours), theirs=(*self.theirs, *other.theirs))


def marked(
    base: Outline, ours: Source, theirs: Source, conflicts: Sequence[Conflict], markers: Markers
) -> tuple[Source, tuple[Conflict, ...]]:
    """The text with markers, and what is in conflict, in the order of the text.

    What differs for another conflict's sake alone, such as the sharing of a layer that only one side has, is named too.
    """
    first, second = outline(ours), outline(theirs)
    whole = {key for conflict in conflicts for key in conflict.pieces}
    whole |= {piece.key for each in (first, second) for piece in each.pieces if not _has_lines(each, piece)}
    former = {part.key: part.text for part in _parts(base, whole)}
    found: dict[Conflict, None] = {}
    text = ""
    for each in _zipped(list(_parts(first, whole)), list(_parts(second, whole)), conflicts):
        if isinstance(each, _Part):
            text += each.text
            continue
        found |= dict.fromkeys(each.conflicts or [_dependent(each, conflicts)])
        text += _lines(each, former, markers, line_ending(ours.text), text)
    named = {key for conflict in found for key in conflict.pieces}
    found |= dict.fromkeys(conflict for conflict in conflicts if named.isdisjoint(conflict.pieces))
    return attrs.evolve(ours, text=text), tuple(found)


def _dependent(region: _Region, conflicts: Sequence[Conflict]) -> Conflict:
    keys = region.keys()
    name = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1].rpartition('.')[2]}"
    causes = [each.key for each in conflicts if not each.key.startswith(("sharing.", "train.", "structure"))]
    return Conflict(name.split(" Call(")[0], f"goes with {', '.join(causes or [each.key for each in conflicts])}", keys)


def _zipped(ours: Sequence[_Part], theirs: Sequence[_Part], conflicts: Sequence[Conflict]) -> Iterator[_Part | _Region]:
    """What both texts have, and regions where they differ; neighbouring regions of the same conflicts are one."""
    region: _Region | None = None
    matcher = SequenceMatcher(None, [part.key for part in ours], [part.key for part in theirs], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        pairs = (
            [((one,), (other,)) for one, other in zip(ours[a:b], theirs[c:d], strict=True)]
            if kind == "equal"
            else [(tuple(ours[a:b]), tuple(theirs[c:d]))]
        )
        for one, other in pairs:
            if kind == "equal" and one[0].says == other[0].says:
                if region:
                    yield region
                yield one[0]
                region = None
                continue
            keys = [part.key for part in (*one, *other)]
            new = _Region(one, other, tuple(each for each in conflicts if any(map(each.about, keys))))
            if region and region.conflicts != new.conflicts:
                yield region
                region = new
            else:
                region = region.joined(new) if region else new
    if region:
        yield region


def _lines(region: _Region, former: Mapping[str, str], markers: Markers, ending: str, before: str) -> str:
    """A region with its markers; blank lines that both sides begin with stand before it."""
    keys = region.keys()
    ours, theirs = (_ended("".join(part.text for part in side), ending) for side in (region.ours, region.theirs))
    old = _ended("".join(former.get(key, "") + former.get(key + TAIL, "") for key in keys), ending)
    blank = ""
    while ours and theirs and not (line := ours.splitlines(keepends=True)[0]).strip() and theirs.startswith(line):
        blank, ours, theirs, old = blank + line, ours[len(line) :], theirs[len(line) :], old.removeprefix(line)
    lines = [blank, markers.line("<", markers.ours) + ending, ours]
    if markers.base is not None:
        lines += [markers.line("|", markers.base) + ending, old.replace("\r\n", "\n").replace("\n", ending)]
    lines += [markers.line("=") + ending, theirs, markers.line(">", markers.theirs) + ending]
    return ("" if not before or before.endswith("\n") else ending) + "".join(lines)


def _ended(text: str, ending: str) -> str:
    return text if not text or text.endswith("\n") else text + ending


def _has_lines(outlined: Outline, piece: Piece) -> bool:
    """Whether the items of a block, if it is one, and its braces stand on lines of their own."""
    if not isinstance(piece.node, tree.Section):
        return True
    start = first_line(outlined.text, piece)
    for child in piece.children:
        if child.start < start:
            return False
        start = child.end
    return start <= outlined.text.rfind("\n", 0, piece.node.span.end) + 1


def _parts(outlined: Outline, whole: Iterable[str]) -> Iterator[_Part]:
    """The text in parts: nothing is left out. Blocks that are `whole` are one part."""
    text, start = outlined.text, 0
    for piece in outlined.pieces:
        if isinstance(piece.node, tree.Section) and piece.key not in whole:
            node = piece.node
            comments = (*piece.leading, *([piece.opening] if piece.opening else []))
            end = first_line(text, piece)
            yield _Part(piece.key, text[start:end], (node.labels, node.listed, comments))
            for child in piece.children:
                yield _Part(child.key, text[end : child.end], (child.node, child.all_comments))
                end = child.end
            ends = [piece.trailing] if piece.trailing else []
            yield _Part(piece.key + TAIL, text[end : piece.end], (*piece.tail, *ends))
        else:
            yield _Part(piece.key, text[start : piece.end], (piece.node, piece.all_comments))
        start = piece.end
    yield _Part(TAIL, text[start:], outlined.tail)
