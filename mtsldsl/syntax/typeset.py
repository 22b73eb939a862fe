"""A logical line as physical lines: on one where it fits, otherwise broken at its brackets and its bars.

Where a line breaks follows from its words and comments alone, never from where it was broken before:

- a value goes over lines where it is wider than `WIDEST`, where a comment stands inside it, where one of its pipelines
  has more than `LONGEST_PIPELINE` stages, two of them with arguments, and where a comma before a closing bracket asks
  for it;
- a broken bracket has one item a line, plain values of a list as many as fit;
- a broken pipeline starts a line at each stage with arguments; bare names stay beside the stage before them, and so
  does all that follows a closing bracket on a line of its own and fits there;
- sums, components and calls without a key stay on one line, so that one decision is one line.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import attrs

from mtsldsl.syntax.layout import CLOSING, OPENING
from mtsldsl.syntax.logical_lines import Remark, Word

WIDEST = 120
"""Columns of a line of code, where breaking it can help."""

LONGEST_PIPELINE = 6
"""Stages of a pipeline on one line."""

BLOCK_INDENT = 2
"""Columns that items stand further in than their block or bracket."""

CONTINUATION = 4
"""Columns that the rest of a value stands further in than its first line."""


@attrs.define
class Printed:
    """A physical line: its code, and the comment behind it."""

    code: str
    remark: str | None = None


class Sequence:
    """The words of a logical line, with what layout asks of a range `[first, end)` of them."""

    def __init__(self, words: tuple[Word, ...]) -> None:
        self.words = words
        self.match = _matching(words)
        self._widths = [0, *accumulate(len(word.text) + word.space for word in words)]
        marks = self._marks()
        self._marked = [0, *accumulate(bool(word.remarks) or index in marks for index, word in enumerate(words))]

    def width(self, first: int, end: int) -> int:
        """Columns that a range takes on one line, the space before it left out."""
        return self._widths[end] - self._widths[first] - self.words[first].space if first < end else 0

    def broken(self, first: int, end: int) -> bool:
        """Whether something inside a range asks for lines of its own."""
        return first < end and self._marked[end] > self._marked[first + 1]

    def places(self, kind: str, first: int, end: int) -> list[int]:
        """Where a kind of word stands in a range, outside the brackets that open in it."""
        found = []
        index = first
        while index < end:
            if self.words[index].kind == kind:
                found.append(index)
            index = self.match.get(index, index) + 1
        return found

    def brackets(self, first: int, end: int) -> list[int]:
        """The opening brackets of a range, without those inside others and those with nothing inside."""
        return [
            each
            for kind in OPENING
            for each in self.places(kind, first, end)
            if self.match[each] > each + 1 or self.words[each + 1].remarks
        ]

    def _marks(self) -> set[int]:
        """Commas before a closing bracket, and the first bars of pipelines that are too long for a line."""
        marks: set[int] = set()
        open_pipelines = [_Pipeline()]  # at each depth the one that we are in
        for index, word in enumerate(self.words):
            if word.kind in OPENING:
                open_pipelines[-1].calls.add(len(open_pipelines[-1].bars))
                open_pipelines.append(_Pipeline())
            elif word.kind in CLOSING:
                marks |= open_pipelines.pop().marks()
                if self.words[index - 1].kind == "COMMA":
                    marks.add(index - 1)
            elif word.kind == "VBAR":
                open_pipelines[-1].bars.append(index)
            elif word.kind in ("COMMA", "EQUAL"):
                marks |= open_pipelines[-1].marks()
                open_pipelines[-1] = _Pipeline()
        return marks | open_pipelines[0].marks()


@attrs.define
class _Pipeline:
    """Where the bars of a pipeline stand, and which of its stages have arguments."""

    bars: list[int] = attrs.field(factory=list)
    calls: set[int] = attrs.field(factory=set)

    def marks(self) -> set[int]:
        """Its first bar, where it is too long for a line."""
        too_long = len(self.bars) >= LONGEST_PIPELINE and len(self.calls) > 1
        return {self.bars[0]} if too_long else set()


def _matching(words: tuple[Word, ...]) -> dict[int, int]:
    match: dict[int, int] = {}
    opened: list[int] = []
    for index, word in enumerate(words):
        if word.kind in OPENING:
            opened.append(index)
        elif word.kind in CLOSING:
            match[opened.pop()] = index
    return match


class Sheet:
    """Physical lines in the making."""

    def __init__(self, indent: int) -> None:
        self.lines: list[Printed] = []
        self._code = " " * indent
        self._fresh = True
        self.closing = False
        """Whether the line in the making begins with the closing bracket of one that was broken."""

    @property
    def column(self) -> int:
        """Columns taken on the line in the making."""
        return len(self._code)

    @property
    def fresh(self) -> bool:
        """Whether the line in the making has no word yet."""
        return self._fresh

    def put(self, text: str) -> None:
        """Text at the end of the line."""
        self._code += text
        self._fresh = False

    def turn(self, remarks: tuple[Remark, ...], indent: int, remark_indent: int | None = None) -> None:
        """A new line; comments come before it, the first behind the old line if that is where it stood."""
        tail, own = (remarks[0].text, remarks[1:]) if remarks and remarks[0].trailing else (None, remarks)
        self.lines.append(Printed(self._code, tail))
        at = indent if remark_indent is None else remark_indent
        self.lines += [Printed(" " * at + remark.text) for remark in own]
        self._code = " " * indent
        self._fresh = True
        self.closing = False

    def finish(self) -> list[Printed]:
        """All lines, the last one included."""
        self.lines.append(Printed(self._code))
        return self.lines


def flat(sequence: Sequence, first: int, end: int) -> str:
    """A range on one line."""
    words = sequence.words[first:end]
    return "".join(f" {word.text}" if word.space and index else word.text for index, word in enumerate(words))


def write_range(sheet: Sheet, sequence: Sequence, first: int, end: int, indent: int) -> None:
    """A range with its brackets broken where they must be: a stage of a pipeline, or anything without bars."""
    brackets = [*sorted(sequence.brackets(first, end)), end]
    following = iter(brackets)
    bracket = next(following)
    index = first
    while index < end:
        word = sequence.words[index]
        if word.remarks and not sheet.fresh:
            sheet.turn(word.remarks, indent + CONTINUATION)
        elif word.space and not sheet.fresh and index > first:
            sheet.put(" ")
        if index < bracket:
            sheet.put(word.text)
            index += 1
            continue
        close, bracket = sequence.match[index], next(following)
        room = WIDEST - sheet.column - sequence.width(close + 1, bracket)
        if sequence.broken(index, close + 1) or sequence.width(index, close + 1) > room:
            _write_bracket(sheet, sequence, index, indent)
        else:
            sheet.put(flat(sequence, index, close + 1))
        index = close + 1


def _write_bracket(sheet: Sheet, sequence: Sequence, opening: int, indent: int) -> None:
    close = sequence.match[opening]
    inner = indent + BLOCK_INDENT
    sheet.put(sequence.words[opening].text)
    first = opening + 1
    plain = (
        sequence.words[opening].kind == "LSQB"
        and not sequence.broken(opening, close + 1)
        and not sequence.brackets(first, close)
    )
    for end in [comma + 1 for comma in sequence.places("COMMA", first, close)] + [close]:
        if first == end:
            continue
        if plain and first > opening + 1 and sheet.column + 1 + sequence.width(first, end) <= WIDEST:
            sheet.put(" ")
        else:
            sheet.turn(sequence.words[first].remarks, inner)
        write_value(sheet, sequence, first, end, inner)
        first = end
    sheet.turn(sequence.words[close].remarks, indent, inner)
    sheet.put(sequence.words[close].text)
    sheet.closing = True


def write_value(sheet: Sheet, sequence: Sequence, first: int, end: int, indent: int) -> None:
    """A value at the start of a line, an argument or a component: on this line, or broken at its bars and brackets."""
    if not sequence.broken(first, end) and sheet.column + sequence.width(first, end) <= WIDEST:
        sheet.put(flat(sequence, first, end))
        return
    labelled = end - first > 2 and sequence.words[first + 1].kind in ("EQUAL", "COLON")
    rest = indent + CONTINUATION if labelled else indent
    bars = [*sequence.places("VBAR", first, end), end]
    write_range(sheet, sequence, first, bars[0], indent)
    for bar, stop in pairwise(bars):
        if (
            sheet.closing
            and not sequence.broken(bar - 1, end)
            and sheet.column + 1 + sequence.width(bar, end) <= WIDEST
        ):
            sheet.put(f" {flat(sequence, bar, end)}")
            return
        remarks = sequence.words[bar].remarks
        wide = sheet.column + 1 + sequence.width(bar, stop) > WIDEST
        if remarks or wide or sequence.brackets(bar, stop):
            sheet.turn(remarks, rest)
        else:
            sheet.put(" ")
        sheet.put("|" if sequence.words[bar + 1].remarks else "| ")
        write_range(sheet, sequence, bar + 1, stop, rest)


class Item:
    """An entry, a definition or a line of any other kind, ready to be written at an indentation."""

    def __init__(self, words: tuple[Word, ...]) -> None:
        self.sequence = Sequence(words)
        self.length = len(words)
        equals = self.sequence.places("EQUAL", 0, self.length)
        self.value = equals[0] + 1 if equals else self.length
        """Where the value starts; the end, where there is none."""

    @property
    def has_value(self) -> bool:
        """Whether there is an `=`."""
        return self.value < self.length

    @property
    def key_width(self) -> int:
        """Columns of what stands before the `=`."""
        return self.sequence.width(0, self.value - 1)

    @property
    def is_macro(self) -> bool:
        """Whether this defines something with parameters: its body has lines of its own."""
        return self.has_value and self.sequence.words[self.value - 2].kind in CLOSING

    @property
    def can_be_single(self) -> bool:
        """Whether nothing but its width could ask for more than one line."""
        return not self.is_macro and not self.sequence.broken(0, self.length)

    def fits(self, indent: int) -> bool:
        """Whether the line is narrow enough, or would not gain by being broken."""
        several = self.sequence.places("COMMA", self.value, self.length)
        breaks = self.sequence.places("VBAR", self.value, self.length)
        gains = not several and (breaks or self.sequence.brackets(self.value, self.length))
        return not gains or self.fits_with(indent, self.key_width)

    def fits_with(self, indent: int, key_width: int) -> bool:
        """Whether the line is narrow enough with its key so wide."""
        return indent + key_width + 3 + self.sequence.width(self.value, self.length) <= WIDEST

    def single(self, indent: int, key_width: int) -> list[Printed]:
        """`key = value` on one line."""
        key = flat(self.sequence, 0, self.value - 1).ljust(key_width)
        return [Printed(f"{' ' * indent}{key} = {flat(self.sequence, self.value, self.length)}")]

    def broken(self, indent: int) -> list[Printed]:
        """The line over as many lines as it takes."""
        sheet, sequence = Sheet(indent), self.sequence
        if not self.has_value:
            if sequence.broken(0, self.length):
                write_range(sheet, sequence, 0, self.length, indent)
            else:
                sheet.put(flat(sequence, 0, self.length))
            return sheet.finish()
        write_range(sheet, sequence, 0, self.value, indent)
        remarks = sequence.words[self.value].remarks
        several = sequence.places("COMMA", self.value, self.length)
        bars = sequence.places("VBAR", self.value, self.length)
        if remarks or self.is_macro or (bars and not several):
            indent += CONTINUATION
            sheet.turn(remarks, indent)
        else:
            sheet.put(" ")
        if several or not sheet.fresh:
            write_range(sheet, sequence, self.value, self.length, indent)
        else:
            write_value(sheet, sequence, self.value, self.length, indent)
        return sheet.finish()
