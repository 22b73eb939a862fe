"""Law 12: a rewrite changes no byte outside the lines that it edits, and no comment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.editing.load import loads_source
from mtsldsl.ir import Decision, Spec
from mtsldsl.syntax import parse, tree
from mtsldsl.syntax.edit import line_ending
from mtsldsl.syntax.format import format_text

_EDITED = "\x00"
_BLANK = " \t\r\n\f"


def hold_law_12(before: Spec, after: Spec, added: Sequence[Decision]) -> None:
    """Hold that the text of `after` says what it should, and differs from that of `before` where it must alone.

    Of how rewriting works this knows nothing. It takes both texts, marks the entries whose meaning changed, cuts out
    the lines that are new and the comments that an edited entry had inside, and compares all that is left.
    """
    old, new = before.source, after.source
    assert after.history == (*before.history, *added)
    assert attrs.evolve(after, sharing=before.sharing, history=before.history) == before
    assert loads_source(new) == after
    assert (new.name, new.bom, line_ending(new.text)) == (old.name, old.bom, line_ending(old.text))
    assert new.text.endswith("\n") == old.text.endswith("\n")
    assert [each.text for each in parse(new).comments] == [each.text for each in parse(old).comments]
    one, other = _Comparison(before, after).remainders()
    if format_text(old) != old.text:
        assert one == other
    else:  # then the columns of neighbouring lines may move
        assert format_text(new) == new.text
        assert re.sub(" +", " ", one) == re.sub(" +", " ", other)


class _Comparison:
    """Two texts, and what is meant to differ in each: ranges, and what stands for them."""

    def __init__(self, before: Spec, after: Spec) -> None:
        self.before, self.after = parse(before.source), parse(after.source)
        self.ending = line_ending(before.source.text)
        self.layers = before.backbone.layers
        self.changed = {layer for layer in self.layers if before.sharing[layer] != after.sharing[layer]}
        self.old_cuts: dict[tuple[int, int], str] = {}
        self.new_cuts: dict[tuple[int, int], str] = {}

    def remainders(self) -> tuple[str, str]:
        """Both texts without what is meant to differ."""
        old, new = _blocks(self.before), _blocks(self.after)
        if "sharing" in old:
            self._cut_new(old["sharing"], new["sharing"], self._edited(old["sharing"], new["sharing"]))
        if "history" in old:
            self._cut_new(old["history"], new["history"], new["history"].items[: len(old["history"].items)])
        appended = [section.span.start for kind, section in new.items() if kind not in old]
        if appended:
            text, start = self.after.source.text, min(appended)
            end = len(text[:start].rstrip(_BLANK))
            kept = len(self.before.source.text[len(self.before.source.text.rstrip(_BLANK)) :])
            blank = text[end:start]
            assert blank.endswith((f"{self.ending}{self.ending}", "\n\n", "\n\r\n")) or not end
            self.new_cuts[end + kept, len(text)] = ""
        return _without(self.before, self.old_cuts), _without(self.after, self.new_cuts)

    def _edited(self, old: tree.Section, new: tree.Section) -> list[tree.Entry | tree.Call]:
        """Mark the entries whose meaning changed; those of the new text that are not new, in order."""
        edited = {}
        for item in old.items:
            if self.changed.intersection(covered := self._covered(item)):
                edited[covered[0]] = item
                self.old_cuts[item.span.start, item.span.end] = _EDITED
        same = [item for item in old.items if item not in edited.values()]
        known: list[tree.Entry | tree.Call] = []
        for item in new.items:
            assert isinstance(item, tree.Entry)
            if item in same:
                known.append(item)
            elif item.key.text in edited:
                assert item.last is None
                known.append(item)
                self.new_cuts[item.span.start, item.span.end] = _EDITED
                self._cut_lifted_comments(edited[item.key.text], item)
        assert len(known) == len(old.items)
        return known

    def _covered(self, item: tree.Entry | tree.Call) -> Sequence[str]:
        assert isinstance(item, tree.Entry)
        first = self.layers.index(item.key.text)
        return self.layers[first : self.layers.index(item.last.text) + 1] if item.last else (item.key.text,)

    def _cut_lifted_comments(self, old: tree.Entry | tree.Call, new: tree.Entry) -> None:
        """A comment from inside an entry is inside it, or on a line of its own next above it."""
        lifted = []
        for comment, moved in zip(self.before.comments, self.after.comments, strict=True):
            if old.span.start <= comment.span.start < old.span.end and moved.span.start < new.span.start:
                assert "mtl: ignore" not in comment.text
                lifted.append(moved.span)
                self._cut_above(moved.span)
            elif old.span.start <= comment.span.start < old.span.end:
                assert moved.span.end < new.span.end
        if lifted:
            lines = self.after.source.text[lifted[0].start : new.span.start].split("\n")
            assert all(line.strip(_BLANK).startswith("#") for line in lines[:-1])

    def _cut_new(self, old: tree.Section, new: tree.Section, known: Sequence[tree.Entry | tree.Call]) -> None:
        """Cut the lines that are new: above the first that is not, below another, or behind the last before the `}`."""
        text, end = self.before.source.text, len(self.before.source.text[: old.body.end].rstrip(_BLANK))
        closed_behind = "\n" not in text[end : old.body.end]
        added = [item for item in new.items if not any(item is each for each in known)]
        for item in added:
            if known and item.span.start < known[0].span.start:
                self._cut_above(item.span)
            elif closed_behind and not (known and item.span.start < known[-1].span.start):
                self._cut_behind(item.span)
            else:
                self._cut_line(item.span)
        if added and closed_behind and added[-1] is new.items[-1]:
            self.old_cuts[end, old.body.end] = ""
            self.new_cuts[len(self.after.source.text[: new.body.end].rstrip(_BLANK)), new.body.end] = ""

    def _cut_above(self, span: Span) -> None:
        text = self.after.source.text
        end = len(text) - len(text[span.end :].lstrip(_BLANK))
        assert re.fullmatch(f"{self.ending}[ \t\r\f]*", text[span.end : end])
        self.new_cuts[span.start, end] = ""

    def _cut_behind(self, span: Span) -> None:
        text = self.after.source.text
        start = len(text[: span.start].rstrip(_BLANK))
        assert re.fullmatch(f"{self.ending}[ \t\r\f]*", text[start : span.start])
        self.new_cuts[start, span.end] = ""

    def _cut_line(self, span: Span) -> None:
        text = self.after.source.text
        start = text.rfind("\n", 0, span.start) + 1
        assert not text[start : span.start].strip(_BLANK)
        assert text.startswith(self.ending, span.end)
        self.new_cuts[start, span.end + len(self.ending)] = ""


def _blocks(file: tree.File) -> Mapping[str, tree.Section]:
    sections = [each for each in file.statements if isinstance(each, tree.Section)]
    return {each.kind.text: each for each in sections if each.kind.text in ("sharing", "history")}


def _without(file: tree.File, cuts: Mapping[tuple[int, int], str]) -> str:
    parts: list[str] = []
    place = 0
    for (start, end), text in sorted(cuts.items()):
        assert start >= place
        parts += [file.source.text[place:start], text]
        place = end
    return "".join([*parts, file.source.text[place:]])
