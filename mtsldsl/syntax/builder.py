"""The parser's actions: each turns the parts of one grammar rule into a node of the tree.

They run while lark parses, so no second pass over a tree is needed and no recursion either.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from mtsldsl.diagnostics import Diagnostic, Source, Span, nearest
from mtsldsl.syntax import tree

if TYPE_CHECKING:
    from lark import Token

Parts: TypeAlias = list[Any]
"""What lark hands an action: tokens, and the nodes of the inner rules."""

LONGEST_PRODUCT = 16
"""Factors of one product, which nests to the left."""

_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\nrt]))')
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


class Builder:
    """Actions for one source at a time; `problems` collects what a rule cannot say, such as a number out of range."""

    def __init__(self) -> None:
        self.begin(Source("<string>", ""))

    def begin(self, source: Source) -> None:
        """Get ready for a text."""
        self._source = source
        self.problems: list[Diagnostic] = []

    def _over(self, first: Any, last: Any) -> Span:
        """From the start of a token or node to the end of another."""
        start = first.start_pos if hasattr(first, "start_pos") else first.span.start
        end = last.end_pos if hasattr(last, "end_pos") else last.span.end
        return Span(self._source, start, end)

    def _name(self, token: Token) -> tree.Name:
        return tree.Name(str(token), Span(self._source, token.start_pos or 0, token.end_pos or 0))

    # Statements

    def file(self, parts: Parts) -> tuple[tree.Statement, ...]:
        """The statements of a text."""
        return tuple(parts)

    def header(self, parts: Parts) -> tree.Header | tree.Definition:
        """`mtl 1`; anything else of that form is read as a constant that cannot be read."""
        keyword, version = parts
        span = self._over(keyword, version)
        if keyword != "mtl":
            cause = f"`{keyword} {version}` is neither a block nor a definition"
            meant = set(keyword.lower()) == set("mtl") or nearest(keyword, ["mtl"])
            remedy = "write `mtl 1`" if meant else f"write `let {keyword} = {version}` for a constant"
            unreadable = self._refuse("MTL001", cause, remedy, span)
            return tree.Definition(tree.Name("let", span), self._name(keyword), None, unreadable, span)
        number = self.number([version])
        return tree.Header(
            self._name(keyword), tree.Number(1, span) if isinstance(number, tree.Unreadable) else number, span
        )

    def section(self, parts: Parts) -> tree.Section:
        """`kind label { items }`, or with labels in brackets."""
        brace = next(index for index, part in enumerate(parts) if getattr(part, "type", None) == "LBRACE")
        kind, *labels = (self._name(token) for token in parts[:brace] if token.type == "NAME")
        body = Span(self._source, parts[brace].end_pos, parts[-1].start_pos)
        items, listed = tuple(parts[brace + 1 : -1]), parts[1].type == "LSQB"
        return tree.Section(kind, tuple(labels), items, body, self._over(parts[0], parts[-1]), listed=listed)

    def import_(self, parts: Parts) -> tree.Import | tree.Definition:
        """`import "path"`; anything else of that form is read as a constant that cannot be read."""
        keyword, path = parts
        span = self._over(keyword, path)
        if keyword != "import":
            cause = f"`{keyword}` before a string is neither a block nor a definition"
            remedy = f"write `import {path}` for another file, or `let {keyword} = {path}` for a constant"
            unreadable = self._refuse("MTL001", cause, remedy, span)
            return tree.Definition(tree.Name("let", span), self._name(keyword), None, unreadable, span)
        return tree.Import(self._name(keyword), self.string([path]), span)

    def constant(self, parts: Parts) -> tree.Definition:
        """`let name = value`."""
        kind, name, value = parts
        return tree.Definition(self._name(kind), self._name(name), None, value, self._over(kind, value))

    def macro(self, parts: Parts) -> tree.Definition:
        """`block name(parameters) = value`."""
        kind, name, _, *parameters, _, value = parts
        return tree.Definition(self._name(kind), self._name(name), tuple(parameters), value, self._over(kind, value))

    def parameter(self, parts: Parts) -> tree.Parameter:
        """`name` or `name=default`."""
        default = parts[1] if len(parts) == 2 else None
        return tree.Parameter(self._name(parts[0]), default, self._over(parts[0], parts[-1]))

    def entry(self, parts: Parts) -> tree.Entry:
        """`key = value`."""
        key, value = parts
        return tree.Entry(self._name(key), None, value, self._over(key, value))

    def range_entry(self, parts: Parts) -> tree.Entry:
        """`first..last = value`."""
        first, last, value = parts
        return tree.Entry(self._name(first), self._name(last), value, self._over(first, value))

    def components(self, parts: Parts) -> tree.Components:
        """`a + b, c`."""
        return tree.Components(tuple(parts), self._over(parts[0], parts[-1]))

    def component(self, parts: Parts) -> tree.Component:
        """A component without a label."""
        return tree.Component(None, parts[0], parts[0].span)

    def labelled(self, parts: Parts) -> tree.Component:
        """`label: value`."""
        return tree.Component(self._name(parts[0]), parts[1], self._over(parts[0], parts[1]))

    # Values

    def pipeline(self, parts: Parts) -> tree.Pipeline:
        """`a | b`."""
        return tree.Pipeline(tuple(parts), self._over(parts[0], parts[-1]))

    def sum(self, parts: Parts) -> tree.Sum:
        """`a + b`."""
        return tree.Sum(tuple(parts), self._over(parts[0], parts[-1]))

    def product(self, parts: Parts) -> tree.Product | tree.Unreadable:
        """`a * b`, and `a * b * c` as `(a * b) * c`."""
        if len(parts) > LONGEST_PRODUCT:
            return self._refuse(
                "MTL008",
                f"a product of {len(parts)} factors",
                f"use {LONGEST_PRODUCT} factors at most",
                self._over(parts[0], parts[-1]),
            )
        left, *rest = parts
        for right in rest:
            left = tree.Product(left, right, self._over(left, right))
        product: tree.Product = left
        return product

    def group(self, parts: Parts) -> tree.Group:
        """`( value )`."""
        return tree.Group(parts[1], self._over(parts[0], parts[-1]))

    def list(self, parts: Parts) -> tree.List:
        """`[a, b]`."""
        return tree.List(tuple(parts[1:-1]), self._over(parts[0], parts[-1]))

    def call(self, parts: Parts) -> tree.Call:
        """`function(arguments)`."""
        return tree.Call(self._name(parts[0]), tuple(parts[2:-1]), self._over(parts[0], parts[-1]))

    def positional(self, parts: Parts) -> tree.Argument:
        """`value` in a call."""
        return tree.Argument(None, parts[0], parts[0].span)

    def keyword(self, parts: Parts) -> tree.Argument:
        """`name=value` in a call."""
        return tree.Argument(self._name(parts[0]), parts[1], self._over(parts[0], parts[1]))

    def name(self, parts: Parts) -> tree.Name:
        """A name as a value."""
        return self._name(parts[0])

    def true(self, parts: Parts) -> tree.Boolean:
        """`true`."""
        return tree.Boolean(True, self._over(parts[0], parts[0]))

    def false(self, parts: Parts) -> tree.Boolean:
        """`false`."""
        return tree.Boolean(False, self._over(parts[0], parts[0]))

    def number(self, parts: Parts) -> tree.Number | tree.Unreadable:
        """An integer where it has neither a point nor an exponent, otherwise a float."""
        text, span = str(parts[0]), self._over(parts[0], parts[0])
        if text.lstrip("-").isdigit():
            if len(text) <= 20:
                return tree.Number(int(text), span)
        elif math.isfinite(value := float(text)):
            return tree.Number(value, span)
        return self._refuse("MTL008", "a number too large to compute with", "write a smaller number", span)

    def string(self, parts: Parts) -> tree.String:
        """A string without its quotes, escapes resolved."""
        text = _ESCAPE.sub(_unescape, str(parts[0])[1:-1])
        return tree.String(text, self._over(parts[0], parts[0]))

    def _refuse(self, code: str, cause: str, remedy: str, span: Span) -> tree.Unreadable:
        self.problems.append(Diagnostic(code, cause, remedy, span))
        return tree.Unreadable(span)


def _unescape(match: re.Match[str]) -> str:
    code, character = match.groups()
    return chr(int(code, 16)) if code else _ESCAPED[character]
