"""What can still be read of a text whose pieces were judged one by one.

A piece that is wrong keeps its name, so that whoever uses the name is not reported too: `epochs = = 4` is an entry
`epochs` with an unreadable value. Where not even the name is known, what it stood in is marked as not whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from mtsldsl.diagnostics import Source, Span
from mtsldsl.syntax import tree
from mtsldsl.syntax.chunks import DEFINITIONS, Chunk, Flaw, Role, Structural
from mtsldsl.syntax.layout import CLOSING, OPENING

if TYPE_CHECKING:
    from lark import Token


@attrs.define
class _Block:
    """A block while its items come in. A block without a kind is one that cannot be used."""

    kind: tree.Name | None
    labels: tuple[tree.Name, ...]
    start: int
    brace: int
    whole: bool
    listed: bool = False
    items: list[tree.Entry | tree.Call] = attrs.field(factory=list)


class Salvage:
    """Takes the pieces of a text in order; `statements` are then what could be read."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._found: list[tree.Statement | _Block] = []
        self._block: _Block | None = None
        self.whole = True

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
            elif statement.kind is not None:
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
                )

    def sound(self, chunk: Chunk, node: Any) -> None:
        """A piece that reads well."""
        match chunk.role:
            case Role.OPENING:
                self._open(node.kind, node.labels, chunk.tokens[0], chunk.tokens[-1], whole=True, listed=node.listed)
            case Role.STATEMENT:
                self._block = None
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
            case Role.ITEM if self._block is not None:
                self._broken_entry(self._block, chunk.tokens)

    def flaw(self, piece: Structural) -> None:
        """Blocks or brackets that do not fit together."""
        if piece.flaw in (Flaw.NO_BRACE, Flaw.BRACE_BELOW) and piece.about is not None:
            start, end = piece.about.start_pos or 0, piece.token.end_pos or 0
            line = [token for token in self._tokens if start <= (token.start_pos or 0) < end]
            self._broken_opening(line, whole=True)
        elif piece.flaw is Flaw.NESTED:
            self.whole = False
            if self._block is not None:
                self._block.whole = False

    # Blocks

    def _open(
        self,
        kind: tree.Name | None,
        labels: tuple[tree.Name, ...],
        first: Token,
        last: Token,
        *,
        whole: bool,
        listed: bool = False,
    ) -> None:
        self._block = _Block(kind, labels, first.start_pos or 0, last.end_pos or 0, whole, listed)
        self._found.append(self._block)

    def _broken_opening(self, tokens: Sequence[Token], *, whole: bool = False) -> None:
        """A block of the kind and the labels that its first line begins with."""
        names = []
        listed = [token.type for token in tokens[1:2]] == ["LSQB"]
        for token in tokens:
            if listed and token.type in ("LSQB", "COMMA", "RSQB", "_NEWLINE"):
                continue
            if token.type == "NAME" or (token.type == "STRING" and token[1:-1].isidentifier()):
                names.append(self._name(token))
            else:
                break
        if not names or tokens[0].type != "NAME":
            self.whole = False
            self._open(None, (), tokens[0], tokens[-1], whole=False)
        else:
            self._open(names[0], tuple(names[1:]), tokens[0], tokens[-1], whole=whole, listed=listed)

    # Statements and items

    def _broken_statement(self, tokens: Sequence[Token]) -> None:
        kinds = [token.type for token in tokens]
        if tokens[0] == "mtl":
            self._found.append(_header(self._over(tokens[:1])))
        elif kinds[:2] == ["NAME", "NAME"] and tokens[0] in DEFINITIONS:
            parameters = () if tokens[0] == "block" else None
            value = tree.Unreadable(self._over(tokens[2:] or tokens[1:]))
            kind, name = self._name(tokens[0]), self._name(tokens[1])
            self._found.append(tree.Definition(kind, name, parameters, value, self._over(tokens)))
            if tokens[0] == "block" and kinds[2:3] != ["LPAR"]:
                self.whole = False  # without its `(` the name may have run into a parameter's
        else:
            self.whole = False
            if kinds[:2] == ["NAME", "EQUAL"] and isinstance(previous := self._found and self._found[-1], _Block):
                previous.whole = False  # a `}` too early may have shut the entry out

    def _broken_entry(self, block: _Block, tokens: Sequence[Token]) -> None:
        """An entry with a value that cannot be read, where the piece begins with a key. More keys may be lost in it."""
        kinds = [token.type for token in tokens]
        last = kinds.index("NAME", 2) if kinds[1:2] == ["_RANGE"] and "NAME" in kinds[2:] else 0
        keyed = kinds[0] == "NAME" and kinds[1:2] != ["LPAR"]
        if keyed:
            value = tree.Unreadable(self._over(tokens[last + 1 :] or tokens[last:]))
            second = self._name(tokens[last]) if last else None
            block.items.append(tree.Entry(self._name(tokens[0]), second, value, self._over(tokens)))
        block.whole &= keyed and not self._has_key(kinds[last + 2 :])

    def _has_key(self, kinds: Sequence[str]) -> bool:
        """Whether `name =` stands outside all brackets, as far as they can be told."""
        depth = 0
        for kind, following in pairwise(kinds):
            depth += (kind in OPENING) - (kind in CLOSING)
            if depth <= 0 and kind == "NAME" and following == "EQUAL":
                return True
        return False

    def _name(self, token: Token) -> tree.Name:
        return tree.Name(token[1:-1] if token.type == "STRING" else str(token), self._over([token]))

    def _over(self, tokens: Sequence[Token]) -> Span:
        return Span(self._source, tokens[0].start_pos or 0, tokens[-1].end_pos or 0)


def _header(span: Span) -> tree.Header:
    """As if `mtl 1` stood at the place."""
    return tree.Header(tree.Name("mtl", span), tree.Number(1, span), span)


def headed(statements: Sequence[tree.Statement]) -> tuple[tree.Statement, ...]:
    """The statements, with a header first where a line that was meant as one is misspelt: `mlt 1`."""
    match statements:
        case [tree.Definition(kind=kind, span=span), *_] if kind.span == span:
            return (_header(span), *statements)
    return tuple(statements)
