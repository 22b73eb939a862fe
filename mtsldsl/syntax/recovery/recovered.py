"""Every mistake in the writing of a text, each reported once, and the tree of all that is sound around them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from mtsldsl.diagnostics import Diagnostic, Source
from mtsldsl.records import Record
from mtsldsl.syntax import lexical
from mtsldsl.syntax.layout import CLOSING, CONTINUED, DEEPEST, OPENING, TOO_DEEP
from mtsldsl.syntax.recovery import messages
from mtsldsl.syntax.recovery.chunks import Chunk, Role, Structural, cut
from mtsldsl.syntax.recovery.partial_tree import PartialTree, headed
from mtsldsl.syntax.tree import Statement

if TYPE_CHECKING:
    from lark import Token

    from mtsldsl.syntax.parser import Machine

_LEXICAL = ("BAD_NUMBER", "BAD_STRING", "UNKNOWN")


@attrs.frozen(eq=False, repr=False)
class Recovered(Record):
    """What could be read of a text that does not parse, and its mistakes in order of place; there is at least one.

    `whole` and `strays` are those of `tree.File`.
    """

    statements: tuple[Statement, ...]
    whole: bool
    strays: tuple[str, ...]
    mistakes: tuple[Diagnostic, ...]


def recover(source: Source, tools: Machine) -> Recovered:
    """The sound statements and the mistakes of a text that does not parse."""
    tools.layout.every_line = True
    try:
        tokens = list(tools.lark.lex(source.text))
    finally:
        tools.layout.every_line = False
    tools.builder.begin(source)
    found: list[Diagnostic] = []
    partial = PartialTree(source, tokens)
    for piece in cut(tokens):
        if isinstance(piece, Structural):
            found.append(messages.structural(source, piece))
            partial.flaw(piece)
            continue
        mistakes, node = _judge(source, tools, piece)
        found += mistakes
        if node is None:
            partial.broken(piece)
        else:
            partial.sound(piece, node)
    found += tools.builder.problems
    if not found:
        raise AssertionError(f"{source.name} does not parse, but no piece of it is wrong")
    statements = headed(tuple(partial.statements()))
    return Recovered(
        statements, partial.whole, tuple(partial.strays), tuple(sorted(found, key=lambda diagnostic: diagnostic.place))
    )


def _judge(source: Source, tools: Machine, chunk: Chunk) -> tuple[list[Diagnostic], Any]:
    """The mistakes of one piece, or its node where there is none.

    They are what is misspelt on each of its lines, otherwise the first place that does not fit.
    """
    unread: dict[int | None, Diagnostic] = {}
    for token in chunk.tokens:
        if token.type in _LEXICAL and token.line not in unread:
            unread[token.line] = lexical.report(source, token)
    if chunk.unclosed and not any(token.type == "BAD_STRING" for token in chunk.tokens):
        return [*unread.values(), messages.unclosed_bracket(source, chunk.unclosed)], None
    if unread:
        return list(unread.values()), None
    depth = 0
    for token in chunk.tokens:
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if depth > DEEPEST or token.type == TOO_DEEP:
            return [messages.too_deep(source, token)], None
    return _parsed(source, tools, chunk)


def _parsed(source: Source, tools: Machine, chunk: Chunk) -> tuple[list[Diagnostic], Any]:
    """The node of a piece, a block's first line as a block without items; or the first token that does not fit.

    A piece that would read well on one line has both: a node, and the line end in it as a mistake.
    """
    from lark.exceptions import UnexpectedToken

    parser: Any = tools.lark.parse_interactive(start="item" if chunk.role is Role.ITEM else "statement")
    tokens = list(chunk.tokens)
    for index, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            return [messages.misfit(source, chunk, index, parser.accepts())], None
    try:
        if chunk.role is Role.OPENING:
            parser.feed_token(_like(tokens[-1], "RBRACE"))
        node = parser.feed_eof(tokens[-1])
    except UnexpectedToken:
        return [messages.misfit(source, chunk, len(tokens), parser.accepts())], None
    return [messages.early_end(source, *place) for place in _early_ends(tokens)[:1]], node


def _early_ends(tokens: Sequence[Token]) -> list[tuple[Token, Token]]:
    """The line ends in a piece that end it before its end, each as the tokens before and after it."""
    found, depth = [], 0
    for before, after in pairwise(tokens):
        depth += (before.type in OPENING) - (before.type in CLOSING)
        counts = depth == 0 and before.type not in CONTINUED and after.type != "VBAR"
        if counts and (after.line or 0) > (before.end_line or 0):
            found.append((before, after))
    return found


def _like(token: Token, kind: str) -> Token:
    from lark import Token

    return Token.new_borrow_pos(kind, "", token)
