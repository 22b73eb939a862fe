"""Text to tree."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.syntax.builder import Builder
from mtsldsl.syntax.comments import find_comments
from mtsldsl.syntax.grammar import build_lark
from mtsldsl.syntax.layout import Layout
from mtsldsl.syntax.tree import File

if TYPE_CHECKING:
    from lark import Lark


@attrs.frozen
class Machine:
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
    from lark.exceptions import UnexpectedInput

    with _LOCK, _no_collection():
        tools = machine()
        tools.builder.begin(source)
        try:
            statements: Any = tools.lark.parse(source.text, start="file")  # what `Builder.file` returns
        except UnexpectedInput:
            from mtsldsl.syntax.recovery import find_mistakes

            raise MtlError(find_mistakes(source, tools)) from None
        problems = tools.builder.problems
    if problems:
        raise MtlError(problems)
    return File(statements, find_comments(source), source)


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
