"""Every mistake in the writing of a text, each reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtsldsl.diagnostics import Diagnostic, Source
from mtsldsl.syntax import messages
from mtsldsl.syntax.chunks import Chunk, Role, Structural, cut
from mtsldsl.syntax.layout import CLOSING, DEEPEST, OPENING, TOO_DEEP

if TYPE_CHECKING:
    from lark import Token

    from mtsldsl.syntax.parser import Machine

_LEXICAL = ("BAD_NUMBER", "BAD_STRING", "UNKNOWN")


def find_mistakes(source: Source, tools: Machine) -> list[Diagnostic]:
    """The mistakes of a text that does not parse, in order of place; never an empty list."""
    tools.layout.every_line = True
    try:
        tokens = list(tools.lark.lex(source.text))
    finally:
        tools.layout.every_line = False
    tools.builder.begin(source)
    found: list[Diagnostic] = []
    for piece in cut(tokens):
        if isinstance(piece, Structural):
            found.append(messages.structural(source, piece))
        else:
            found += _judge(source, tools, piece)
    found += tools.builder.problems
    if not found:
        raise AssertionError(f"{source.name} does not parse, but no piece of it is wrong")
    return sorted(found, key=lambda diagnostic: diagnostic.place)


def _judge(source: Source, tools: Machine, chunk: Chunk) -> list[Diagnostic]:
    """The mistakes of one piece: what is misspelt on each of its lines, otherwise the first place that does not fit."""
    lexical: dict[int | None, Diagnostic] = {}
    for token in chunk.tokens:
        if token.type in _LEXICAL and token.line not in lexical:
            lexical[token.line] = messages.lexical(source, token)
    if chunk.unclosed and not any(token.type == "BAD_STRING" for token in chunk.tokens):
        return [*lexical.values(), messages.unclosed_bracket(source, chunk.unclosed)]
    if lexical:
        return list(lexical.values())
    depth = 0
    for token in chunk.tokens:
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if depth > DEEPEST or token.type == TOO_DEEP:
            return [messages.too_deep(source, token)]
    problem = _first_misfit(source, tools, chunk)
    return [problem] if problem else []


def _first_misfit(source: Source, tools: Machine, chunk: Chunk) -> Diagnostic | None:
    from lark.exceptions import UnexpectedToken

    parser: Any = tools.lark.parse_interactive(start="item" if chunk.role is Role.ITEM else "statement")
    tokens = list(chunk.tokens)
    for index, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            return messages.misfit(source, chunk, index, parser.accepts())
    try:
        if chunk.role is Role.OPENING:
            parser.feed_token(_like(tokens[-1], "RBRACE"))
        parser.feed_eof(tokens[-1])
    except UnexpectedToken:
        return messages.misfit(source, chunk, len(tokens), parser.accepts())
    return None


def _like(token: Token, kind: str) -> Token:
    from lark import Token

    return Token.new_borrow_pos(kind, "", token)
