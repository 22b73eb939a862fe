"""Which line ends count: those that end an entry, and none of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from lark import Token

OPENING = {"LPAR": "RPAR", "LSQB": "RSQB"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}

CONTINUED = frozenset({"EQUAL", "PLUS", "COMMA", "STAR", "COLON", "VBAR"})
"""After one of these a value must go on, so the line's end cannot end it."""

DEEPEST = 60
"""Brackets inside brackets that a text may have; far beyond use, far below Python's recursion limit."""

TOO_DEEP = "TOO_DEEP"


class Layout:
    """Filters the tokens on their way to the parser (a lark `postlex`).

    With `every_line` set, all line ends are kept: what the search for mistakes needs.
    """

    always_accept: ClassVar[tuple[str, ...]] = ("_NEWLINE", "BAD_NUMBER", "BAD_STRING", "UNKNOWN")

    def __init__(self) -> None:
        self.every_line = False

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens of `stream` without the line ends that end nothing."""
        return stream if self.every_line else _entries(stream)


def _entries(stream: Iterable[Token]) -> Iterator[Token]:
    depth = 0
    previous = "LBRACE"  # the start of the text is like the start of a block: a line end there is nothing
    for token in stream:
        kind = token.type
        if kind == "_NEWLINE":
            if depth or previous == "LBRACE" or previous in CONTINUED:
                continue
        elif kind in OPENING:
            depth += 1
            if depth > DEEPEST:
                token.type = TOO_DEEP
        elif kind in CLOSING:
            depth -= 1
        previous = kind
        yield token
