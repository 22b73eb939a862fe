"""The one layout of a text: only white space changes, so that nothing a person wrote can be lost.

What follows from the words and comments alone: indentation, spaces, where a value is broken, the columns of `=` and of
the comments behind code. What stays as it was written: which comments stand behind code and which on lines of their
own, and blank lines between lines, one at most in a row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.records import Record
from mtsldsl.syntax.attachment import attached
from mtsldsl.syntax.edit import line_ending
from mtsldsl.syntax.logical_lines import BLANK, LogicalLine, Role, read_lines
from mtsldsl.syntax.parser import parse, tokens
from mtsldsl.syntax.tree import File
from mtsldsl.syntax.typeset import BLOCK_INDENT, Item, Printed

REMARK_COLUMN = 45
"""Columns before a comment that stands behind code, where the code leaves the room."""

WIDEST_REMARKED = 80
"""Columns of code up to which the comments of neighbouring lines are moved out to stand in one column."""

WIDEST_KEY = 40
"""Columns of a key up to which the `=` of neighbouring lines are moved out to stand in one column."""

_MORE = "formatting would change more than white space"


def format_text(source: Source) -> str:
    """The text in the one layout, with its line ending and byte order mark as they were.

    Raises:
        MtlError: every mistake of a text that does not parse; MTL704 where the layout would change more than white
            space, or would not stay as it is when made again, which is a defect of mtsldsl.
    """
    return formatted(parse(source)).source.text


def formatted(file: File) -> File:
    """The tree of its text in the one layout; the same tree where the text is in it.

    Raises:
        MtlError: MTL704 as `format_text`.
    """
    after = _laid_out(file.source)
    if after == file.source.text:  # then both of what follows hold
        return file
    new = hold_same(file, after)
    if _laid_out(new.source) != after:
        raise _defect(file.source, "a second formatting would change it again")
    return new


def in_layout(file: File) -> bool:
    """Whether its text is in the one layout."""
    return _laid_out(file.source) == file.source.text


def hold_same(before: File, after: str) -> File:
    """Hold that `after` differs from the text of a tree in white space alone; the tree of `after`.

    Raises:
        MtlError: MTL704 where words, comments, their order, what a comment belongs to or what the text says would
            differ.
    """
    try:
        new = parse(attrs.evolve(before.source, text=after))
    except MtlError:
        raise _defect(before.source, _MORE) from None
    if before.statements != new.statements or _content(before) != _content(new):
        raise _defect(before.source, _MORE)
    return new


def _content(file: File) -> tuple[list[str], list[tuple[int, int] | None]]:
    """The words and comments of a text, in order, and for each comment the numbers of the words that it belongs to."""
    words = [(token.start_pos or 0, str(token)) for token in tokens(file.source) if token.type != "_NEWLINE"]
    remarks = [(comment.span.start, comment.text.rstrip(BLANK)) for comment in file.comments]
    starts = [start for start, _ in words]
    belongings = [
        None if each is None else (bisect_left(starts, each.start), bisect_left(starts, each.end))
        for each in attached(file)
    ]
    return [text for _, text in sorted(words + remarks)], belongings


def _defect(source: Source, cause: str) -> MtlError:
    return MtlError.of(
        "MTL704",
        f"{source.name} is left as it is: {cause}, which is a defect of mtsldsl",
        "report it with this file",
    )


def _laid_out(source: Source) -> str:
    mark = "\ufeff" if source.text.startswith("\ufeff") else ""
    ending = line_ending(source.text)
    return mark + "".join(line + ending for line in _aligned_remarks(_spread(_blocks(read_lines(source)))))


@attrs.frozen(eq=False, repr=False)
class _Block(Record):
    """A logical line as printed lines; `tall` says that it stands apart from what comes before and after it."""

    role: Role
    lines: list[Printed]
    blank: bool
    inside: bool
    tall: bool


def _blocks(lines: Sequence[LogicalLine]) -> Iterator[_Block]:
    """Each logical line at its indentation, the `=` of neighbours in one column."""
    inside = False
    printed = _items(lines)
    for index, line in enumerate(lines):
        if line.role is Role.CLOSE:
            inside = False
        made = printed[index]
        made[-1].remark = line.tail
        tall = line.role in (Role.OPEN, Role.CLOSE) or len(made) > 1
        yield _Block(line.role, made, line.blank, inside, tall)
        if line.role is Role.OPEN:
            inside = True


def _items(lines: Sequence[LogicalLine]) -> list[list[Printed]]:
    printed: list[list[Printed]] = []
    run: list[tuple[int, Item]] = []  # neighbours that may share the column of their `=`, by their index in `lines`
    indent = 0

    def end_run() -> None:
        for index, made in _run(run, indent):
            printed[index] = made
        run.clear()

    for index, line in enumerate(lines):
        if line.blank:
            end_run()
        if line.role is Role.REMARK:
            printed.append([Printed(" " * indent + line.words[0].text)])
            continue
        item = Item(line.words)
        if line.role is Role.ITEM and item.has_value and item.can_be_single:
            if item.key_width > WIDEST_KEY:
                end_run()
                printed.append(_alone(item, indent))
            else:
                run.append((index, item))
                printed.append([])  # what `end_run` puts there
            continue
        end_run()
        if line.role is Role.CLOSE:
            indent = 0
        printed.append(item.broken(indent))
        if line.role is Role.OPEN:
            indent = BLOCK_INDENT
    end_run()
    return printed


def _run(run: Sequence[tuple[int, Item]], indent: int) -> Iterator[tuple[int, list[Printed]]]:
    """The items of a run; one that has no room for the column parts those before it from those after."""
    widest = max((item.key_width for _, item in run), default=0)
    for aligned, part in groupby(run, key=lambda pair: pair[1].fits_with(indent, widest)):
        members = list(part)
        shared = max(item.key_width for _, item in members)
        for index, item in members:
            yield index, item.single(indent, shared) if aligned else _alone(item, indent)


def _alone(item: Item, indent: int) -> list[Printed]:
    return item.single(indent, item.key_width) if item.fits(indent) else item.broken(indent)


def _spread(blocks: Iterable[_Block]) -> list[Printed | None]:
    """The printed lines with None for blank ones: none at the edges of a block, one around what is tall."""
    every = list(blocks)
    tall_next = _tall_next(every)
    lines: list[Printed | None] = []
    before: _Block | None = None
    for index, block in enumerate(every):
        if before is not None and before.role is not Role.OPEN and block.role is not Role.CLOSE:
            apart = not block.inside and before.role is not Role.REMARK and (before.tall or tall_next[index])
            if block.blank or apart:
                lines.append(None)
        opening = before.lines[-1] if before is not None and before.role is Role.OPEN else None
        if block.role is Role.CLOSE and opening is not None and opening.remark is None:
            opening.code += block.lines[0].code  # a block without items
            opening.remark = block.lines[0].remark
        else:
            lines += block.lines
        before = block
    return lines


def _tall_next(blocks: Sequence[_Block]) -> list[bool]:
    """For each block, whether the first that is no comment, from it on, is tall."""
    tall, found = False, []
    for block in reversed(blocks):
        tall = tall if block.role is Role.REMARK else block.tall
        found.append(tall)
    return found[::-1]


def _aligned_remarks(lines: Iterable[Printed | None]) -> Iterator[str]:
    """The text of the lines, the comments behind neighbouring ones in one column."""
    for remarked, run in groupby(lines, key=lambda line: line is not None and line.remark is not None):
        if not remarked:
            yield from (line.code if line else "" for line in run)
            continue
        pairs = [(line.code, line.remark) for line in run if line]
        widths = [len(code) for code, _ in pairs]
        column = max(REMARK_COLUMN, *(width + 2 for width in widths if width + 2 <= WIDEST_REMARKED), 0)
        yield from (f"{code.ljust(column - 2)}  {remark}" for code, remark in pairs)
