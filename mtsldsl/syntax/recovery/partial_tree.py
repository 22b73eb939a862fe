"""What can still be read of a text whose pieces were judged one by one.

A piece that is wrong keeps its name, so that whoever uses the name is not reported too: `epochs = = 4` is an entry
`epochs` with an unreadable value. Where not even the name is known, what it stood in is marked as not whole, or its
first word is kept as a stray.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from mtsldsl.diagnostics import Source, Span
from mtsldsl.syntax import tree
from mtsldsl.syntax.layout import CLOSING, OPENING
from mtsldsl.syntax.recovery.chunks import DEFINITIONS, Chunk, Flaw, Role, Structural

if TYPE_CHECKING:
    from lark import Token


@attrs.define
class _Block:
    """A block while its items come in."""

    kind: tree.Name
    labels: tuple[tree.Name, ...]
    start: int
    brace: int
    whole: bool
    listed: bool = False
    headed: bool = True
    items: list[tree.Entry | tree.Call] = attrs.field(factory=list)
    _keys: set[str] = attrs.field(factory=set)
    _counted: int = 0

    def has(self, key: str) -> bool:
        """Whether one of the items has that key; each item is looked at once, however often that is asked."""
        self._keys.update(item.key.text for item in self.items[self._counted :] if isinstance(item, tree.Entry))
        self._counted = len(self.items)
        return key in self._keys


class PartialTree:
    """Takes the pieces of a text in order; `statements` are then what could be read."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._found: list[tree.Statement | _Block] = []
        self._block: _Block | None = None
        self.whole = True
        self.strays: list[str] = []

    def statements(self) -> Iterator[tree.Statement]:
        """All statements, a header put first where the first line is wrong and could have been one."""
        first = next((token for token in self._tokens if token.type != "_NEWLINE"), None)
        found = self._found[0] if self._found else None
        start = found.start if isinstance(found, _Block) else found.span.start if found else None
        if first is not None and not isinstance(found, tree.Header) and start != first.start_pos:
            yield _header(self._over([first]))
        for statement in self._found:
            if not isinstance(statement, _Block):
                yield statement
            else:
                end = max((item.span.end for item in statement.items), default=statement.brace)
                body, span = Span(self._source, statement.brace, end), Span(self._source, statement.start, end)
                yield tree.Section(
                    statement.kind,
                    statement.labels,
                    tuple(statement.items),
                    body,
                    span,
                    statement.whole,
                    statement.listed,
                    statement.headed,
                )

    def sound(self, chunk: Chunk, node: Any) -> None:
        """A piece that reads well."""
        match chunk.role:
            case Role.OPENING:
                self._open(_Block(node.kind, node.labels, *_ends(chunk.tokens), whole=True, listed=node.listed))
            case Role.STATEMENT:
                self._block = None
                self._found.append(node)
            case Role.DEFINITION:
                self._found.append(node)
            case Role.ITEM if self._block is not None:
                self._block.items.append(node)

    def broken(self, chunk: Chunk) -> None:
        """A piece that does not."""
        match chunk.role:
            case Role.OPENING:
                self._broken_opening(chunk.tokens)
            case Role.STATEMENT:
                self._block = None
                self._broken_statement(chunk.tokens)
            case Role.DEFINITION:
                self._broken_statement(chunk.tokens)
            case Role.ITEM if self._block is not None:
                self._broken_entry(self._block, chunk.tokens)

    def flaw(self, piece: Structural) -> None:
        """Blocks or brackets that do not fit together."""
        if piece.flaw in (Flaw.NO_BRACE, Flaw.NO_BRACES, Flaw.BRACE_BELOW) and piece.about is not None:
            start, end = piece.about.start_pos or 0, piece.token.end_pos or 0
            line = self._tokens[self._at(start) : self._at(end)]
            self._broken_opening(line)
        elif piece.flaw is Flaw.NESTED and self._block is not None:
            kinds = [token.type for token in piece.line]
            if kinds[1:2] == ["EQUAL"]:
                self._broken_entry(self._block, piece.line)
            else:
                self._block.whole = False
                self.strays += [str(token) for token in piece.line[:1]]

    def _at(self, position: int) -> int:
        """The index of the first token from that position on."""
        return bisect_left(self._tokens, position, key=lambda token: token.start_pos or 0)

    # Blocks

    def _open(self, block: _Block) -> None:
        self._block = block
        self._found.append(block)

    def _broken_opening(self, tokens: Sequence[Token]) -> None:
        """A block of the kind and the labels that its first line begins with."""
        names = []
        listed = [token.type for token in tokens[1:2]] == ["LSQB"]
        rest = list(tokens)
        while rest and (_names(rest[0]) or (listed and rest[0].type in ("LSQB", "COMMA", "RSQB", "_NEWLINE"))):
            token = rest.pop(0)
            if _names(token):
                names.append(self._name(token))
        headed = all(token.type in _SIGNS for token in rest)
        start, brace = _ends(tokens)
        kind = names[0] if names else tree.Name("", self._over(tokens))
        self._open(_Block(kind, tuple(names[1:]), start, brace, whole=True, listed=listed, headed=headed))

    # Statements and items

    def _broken_statement(self, tokens: Sequence[Token]) -> None:
        kinds = [token.type for token in tokens]
        if tokens[0] == "mtl":
            self._found.append(_header(self._over(tokens[:1])))
            return
        named = kinds[:2] == ["NAME", "NAME"] and (tokens[0] in DEFINITIONS or kinds[2:3] in (["EQUAL"], ["LPAR"]))
        if named:
            self._broken_definition(tokens)
        elif kinds[:2] == ["NAME", "EQUAL"] and tokens[0] not in DEFINITIONS:
            self._broken_constant(tokens[0], tokens)
        elif kinds[0] in ("NAME", "DOTTED"):
            self.strays.append(str(tokens[0]).partition(".")[0])
            self.whole &= tokens[0] != "block"
        last = max((index for index, kind in enumerate(kinds) if kind == "EQUAL"), default=0)
        for index in range(1, last):
            if tokens[index] in DEFINITIONS and kinds[index + 1] == "NAME":
                self._broken_definition(tokens, index)

    def _broken_definition(self, tokens: Sequence[Token], first: int = 0) -> None:
        """A definition with a value that cannot be read, also by a misspelt `let` or `block`, from that index on."""
        kinds = [token.type for token in tokens[first + 2 : first + 3]]
        macro = tokens[first] == "block" or (tokens[first] != "let" and kinds == ["LPAR"])
        kind = tree.Name("block" if macro else "let", self._over(tokens[first : first + 1]))
        value = tree.Unreadable(self._over(tokens, first + 2 if kinds else first + 1))
        parameters, name = () if macro else None, self._name(tokens[first + 1])
        self._found.append(tree.Definition(kind, name, parameters, value, self._over(tokens, first)))
        if macro and kinds != ["LPAR"]:
            self.whole = False  # without its `(` the name may have run into a parameter's

    def _broken_constant(self, name: Token, tokens: Sequence[Token]) -> None:
        """`name = value` outside every block: whoever uses the name is not to be reported too."""
        value, kind = tree.Unreadable(self._over(tokens)), tree.Name("let", self._over([name]))
        self._found.append(tree.Definition(kind, self._name(name), None, value, self._over(tokens)))

    def _broken_entry(self, block: _Block, tokens: Sequence[Token]) -> None:
        """An entry with a value that cannot be read, where the piece begins with a key; and those that follow in it."""
        kinds = [token.type for token in tokens]
        last = kinds.index("NAME", 2) if kinds[1:2] == ["_RANGE"] and "NAME" in kinds[2:] else 0
        keyed = (_names(tokens[0]) or "EQUAL" in kinds) and kinds[1:2] != ["LPAR"]
        if keyed:
            equal = kinds.index("EQUAL") if "EQUAL" in kinds else last + 1
            key = tokens[:1] if _names(tokens[0]) or equal == 0 else tokens[:equal]
            value = tree.Unreadable(self._over(tokens[last + 1 :] or tokens[last:]))
            second = self._name(tokens[last]) if last else None
            block.items.append(tree.Entry(self._key(key), second, value, self._over(tokens)))
            closed = _closed_too_often(kinds)
            for index in self._keys(kinds, equal + 1):
                if kinds[index - 1] == "COMMA" or closed[index]:
                    block.whole = False  # perhaps it is an argument that has lost its bracket
                    break
                if block.has(str(tokens[index])):
                    continue
                value = tree.Unreadable(self._over(tokens, index + 1))
                block.items.append(tree.Entry(self._name(tokens[index]), None, value, self._over(tokens, index)))
        block.whole &= keyed

    def _key(self, tokens: Sequence[Token]) -> tree.Name:
        """The key of an entry, which may be one that nothing can be called."""
        if len(tokens) == 1:
            return self._name(tokens[0])
        span = self._over(tokens)
        return tree.Name(span.text, span)

    def _keys(self, kinds: Sequence[str], start: int) -> Iterator[int]:
        """Where `name =` stands outside all brackets, as far as they can be told."""
        depth = 0
        for index, (kind, following) in enumerate(pairwise(kinds)):
            depth += (kind in OPENING) - (kind in CLOSING)
            if index >= start and depth <= 0 and kind == "NAME" and following == "EQUAL":
                yield index

    def _name(self, token: Token) -> tree.Name:
        return tree.Name(token[1:-1] if token.type == "STRING" else str(token), self._over([token]))

    def _over(self, tokens: Sequence[Token], first: int = 0) -> Span:
        """From the token of that index on."""
        return Span(self._source, tokens[first].start_pos or 0, tokens[-1].end_pos or 0)


_SIGNS = frozenset(("EQUAL", "COLON", "COMMA", "LBRACE", "LPAR", "RPAR", "LSQB", "RSQB", "_NEWLINE"))
"""What may be too much in the first line of a block without putting its words in doubt."""


def _names(token: Token) -> bool:
    """Whether the token is a name, also one in quotes."""
    return bool(token.type == "NAME" or (token.type == "STRING" and token[1:-1].isidentifier()))


def _closed_too_often(kinds: Sequence[str]) -> list[bool]:
    """For each place whether from there on, up to some token, more brackets are closed than opened."""
    found, least = [False] * len(kinds), 0
    for index in reversed(range(len(kinds))):
        least = min(0, least + (kinds[index] in OPENING) - (kinds[index] in CLOSING))
        found[index] = least < 0
    return found


def _ends(tokens: Sequence[Token]) -> tuple[int, int]:
    """Where a line starts, and where it ends."""
    return tokens[0].start_pos or 0, tokens[-1].end_pos or 0


def _header(span: Span) -> tree.Header:
    """As if `mtl 1` stood at the place."""
    return tree.Header(tree.Name("mtl", span), tree.Number(1, span), span)


def headed(statements: Sequence[tree.Statement]) -> tuple[tree.Statement, ...]:
    """The statements, with a header first where a line that was meant as one is misspelt: `mlt 1`."""
    match statements:
        case [tree.Definition(kind=kind, span=span), *_] if kind.span == span:
            return (_header(span), *statements)
    return tuple(statements)
