"""What a name stands for: constants of `let`, parameters of a block, and how they are looked up."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.spec.problems import BROKEN, Broken, Problems
from mtsldsl.syntax.tree import Group, Name, Number, Product, Value

LARGEST = 2**53
"""Products stay below this: beyond it a float is no longer exact."""

DEEPEST = 100
"""How deep constants and blocks may nest."""


@attrs.frozen
class Bound:
    """A value with the scope that its names belong to; `span` is where to report what is wrong with it."""

    value: Value
    scope: Scope
    span: Span

    def shown(self) -> str:
        """The value as written, on one line and short."""
        text = " ".join(self.value.span.text.split())
        return text if len(text) <= 48 else f"{text[:45]}..."


@attrs.frozen
class Scope:
    """Names and what they are bound to, looked up from the inside out. `call` marks the parameters of a block."""

    names: Mapping[str, Bound | Broken]
    parent: Scope | None = None
    call: bool = False

    def find(self, name: str) -> tuple[Bound | Broken, bool] | None:
        """What the name is bound to and whether as a parameter; None where it is not bound."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name], scope.call
            scope = scope.parent
        return None

    def known(self) -> list[str]:
        """All names that are bound here."""
        return [*self.names, *(self.parent.known() if self.parent else ())]


EMPTY = Scope({})


def resolve(bound: Bound, problems: Problems, depth: int = 0) -> Bound | Broken:
    """The value behind parentheses and bound names, products of numbers multiplied.

    A value that came in through a parameter is reported where the block is used, one of a `let` where it is named.
    """
    while True:
        match bound.value:
            case Group(value):
                bound = attrs.evolve(bound, value=value)
            case Name(name):
                found = bound.scope.find(name)
                if found is None:
                    return bound
                target, parameter = found
                if isinstance(target, Broken):
                    return BROKEN
                bound = target if parameter else attrs.evolve(target, span=bound.span)
            case Product(left, right):
                return _product(bound, left, right, problems, depth)
            case _:
                return bound


def _product(bound: Bound, left: Value, right: Value, problems: Problems, depth: int) -> Bound | Broken:
    """The product of two numbers as a number; any other product as it is."""
    if depth > DEEPEST:
        return problems.add(
            "MTL111", f"constants nest deeper than {DEEPEST}", "write the number itself somewhere between", bound.span
        )
    sides = [resolve(attrs.evolve(bound, value=side), problems, depth + 1) for side in (left, right)]
    numbers = []
    for side in sides:
        if isinstance(side, Broken):
            return BROKEN
        if not isinstance(side.value, Number):
            return bound
        numbers.append(side.value.value)
    value = numbers[0] * numbers[1]
    if abs(value) > LARGEST:
        return problems.add("MTL202", f"the product `{bound.shown()}` is too large", "use smaller factors", bound.span)
    return attrs.evolve(bound, value=Number(value, bound.value.span))
