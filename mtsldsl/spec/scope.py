"""What a name stands for: constants of `let`, parameters of a block, and how they are looked up."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.spec.problems import BROKEN, Broken, Problems
from mtsldsl.syntax.tree import Group, Name, Number, Product, Unreadable, Value

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
    """Names and what they are bound to, looked up from the inside out. `call` marks the parameters of a block.

    `resolved` keeps what `resolve` found, so that constants that use others many times are worked out once.
    """

    names: Mapping[str, Bound | Broken]
    parent: Scope | None = None
    call: bool = False
    resolved: dict[str, Bound | Broken] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def find(self, name: str) -> tuple[Bound | Broken, bool] | None:
        """What the name is bound to and whether as a parameter; None where it is not bound."""
        scope = self.home(name)
        return None if scope is None else (scope.names[name], scope.call)

    def home(self, name: str) -> Scope | None:
        """The scope that binds the name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope

    def known(self) -> list[str]:
        """All names that are bound here."""
        return [*self.names, *(self.parent.known() if self.parent else ())]


EMPTY = Scope({})


def resolve(bound: Bound, problems: Problems, depth: int = 0) -> Bound | Broken:
    """The value behind parentheses and bound names, products of numbers multiplied.

    A value that came in through a parameter is reported where the block is used, one of a `let` where it is named.
    """
    trail: list[tuple[Scope, str]] = []
    found: Bound | Broken = bound
    while isinstance(found, Bound):
        match found.value:
            case Group(value):
                found = Bound(value, found.scope, found.span)
                continue
            case Name(name) if (scope := found.scope.home(name)) is not None:
                known = scope.resolved.get(name)
                target = scope.names[name] if known is None else known
                found = target if scope.call or isinstance(target, Broken) else attrs.evolve(target, span=found.span)
                if known is None:
                    trail.append((scope, name))
                    continue
            case Product(left, right):
                found = _product(found, left, right, problems, depth)
        break
    for scope, name in trail:
        scope.resolved[name] = found
    return found


def _product(bound: Bound, left: Value, right: Value, problems: Problems, depth: int) -> Bound | Broken:
    """The product of two numbers as a number; any other product as it is."""
    if depth > DEEPEST:
        return problems.add(
            "MTL111", f"constants nest deeper than {DEEPEST}", "write the number itself somewhere between", bound.span
        )
    sides = [resolve(attrs.evolve(bound, value=side), problems, depth + 1) for side in (left, right)]
    numbers = []
    for side in sides:
        if isinstance(side, Broken) or isinstance(side.value, Unreadable):
            return BROKEN
        if not isinstance(side.value, Number):
            return bound
        numbers.append(side.value.value)
    value = numbers[0] * numbers[1]
    if abs(value) > LARGEST:
        return problems.add("MTL202", f"the product `{bound.shown()}` is too large", "use smaller factors", bound.span)
    return attrs.evolve(bound, value=Number(value, bound.value.span))
