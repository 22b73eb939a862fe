"""Text to tree."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.records import Record
from mtsldsl.syntax.builder import Builder
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.grammar import build_lark
from mtsldsl.syntax.layout import Layout
from mtsldsl.syntax.tree import File

if TYPE_CHECKING:
    from lark import Lark, Token


@attrs.frozen(eq=False, repr=False)
class Machine(Record):
    """The parser with the two objects that it calls; for one text at a time, which `_LOCK` sees to."""

    lark: Lark
    builder: Builder
    layout: Layout


_LOCK = Lock()


@cache
def machine() -> Machine:
    """The parser of this process, built when first asked for."""
    builder, layout = Builder(), Layout()
    return Machine(build_lark(transformer=builder, postlex=layout), builder, layout)


def parse(source: Source) -> File:
    """The tree of a text.

    Raises:
        MtlError: every mistake of the text, in order; mistakes of one entry do not hide those of another.
    """
    file, mistakes = read(source)
    if mistakes:
        raise MtlError(mistakes)
    return file


def read(source: Source) -> tuple[File, tuple[Diagnostic, ...]]:
    """The tree of all that can be read, and every mistake in order of place.

    Where there are mistakes, a name whose value is misspelt has an `Unreadable` one, and what has lost parts is not
    `whole`; so the meaning of all the rest can be checked without reporting a mistake twice.
    """
    from lark.exceptions import UnexpectedInput

    if "\n" not in source.text and "\r" in source.text.rstrip("\r"):
        from mtsldsl.syntax.lexical import carriage_returns

        # Read as it is meant, line by line, so that there is one report and not one for each line.
        mended = attrs.evolve(source, text=source.text.replace("\r", "\n"))
        file, mistakes = read(mended)
        return file, (carriage_returns(mended), *mistakes)
    if "<<<<<<<" in source.text:
        from mtsldsl.syntax.recovery import our_side, unresolved

        if conflicts := unresolved(source):
            file, mistakes = read(attrs.evolve(source, text=our_side(source.text, in_place=True)))
            return file, (*conflicts, *mistakes)
    comments = find_comments(source)
    with _LOCK, _no_collection():
        tools = machine()
        tools.builder.begin(source)
        try:
            statements: Any = tools.lark.parse(source.text, start="file")  # what `Builder.file` returns
        except UnexpectedInput:
            from mtsldsl.syntax.recovery import recover

            found = recover(source, tools)
            return File(found.statements, comments, source, found.whole, found.strays), found.mistakes
        if tools.builder.problems:
            from mtsldsl.syntax.recovery import headed

            statements = headed(statements)
        return File(statements, comments, source), tuple(tools.builder.problems)


def tokens(source: Source) -> list[Token]:
    """The tokens of a text, without comments, blank space and the line ends that end nothing."""
    with _LOCK, _no_collection():
        return list(machine().lark.lex(source.text))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Parsing makes many objects and no cycles: the cyclic collector would only cost time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
