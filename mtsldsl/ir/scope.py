"""What a name stands for: constants of `let`, parameters of a block, and how they are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from mtsldsl.diagnostics import Diagnostic, Span, proposal
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort, Through
from mtsldsl.records import Record
from mtsldsl.syntax.tree import Group, Name, Number, Product, Unreadable, Value

LARGEST = 2**53
"""Products stay below this: beyond it a float is no longer exact."""

DEEPEST = 100
"""How deep constants and blocks may nest."""


@attrs.frozen(eq=False, repr=False)
class Bound(Record):
    """A value with the scope that its names belong to; `span` is where to report what is wrong with it, unless it is
    one of the constants that it came `through`."""

    value: Value
    scope: Scope
    span: Span
    through: tuple[Through, ...] = ()

    def shown(self) -> str:
        """The value as written, on one line and short."""
        text = " ".join(self.value.span.text.split())
        return text if len(text) <= 48 else f"{text[:45]}..."


@attrs.frozen(eq=False, repr=False)
class Scope(Record):
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

    A value that came in through a parameter is reported where the block is used.
    """
    trail: list[tuple[Scope, str, int]] = []
    found: Bound | Broken = bound
    while isinstance(found, Bound):
        match found.value:
            case Group(value):
                found = Bound(value, found.scope, found.span, found.through)
                continue
            case Name(name) if (scope := found.scope.home(name)) is not None:
                known = scope.resolved.get(name)
                target = scope.names[name] if known is None else known
                if known is None:
                    trail.append((scope, name, len(found.through)))
                if isinstance(target, Broken):
                    found = target
                elif scope.call:
                    found = Bound(target.value, target.scope, target.span, (*found.through, *target.through))
                else:
                    through = target.through if known else (Through(name, target.span),)
                    found = Bound(target.value, target.scope, found.span, (*found.through, *through))
                if known is None:
                    continue
            case Product(left, right):
                found = _product(found, left, right, problems, depth)
        break
    for scope, name, before in trail:
        scope.resolved[name] = (
            Bound(found.value, found.scope, found.span, found.through[before:])
            if before and not isinstance(found, Broken)
            else found
        )
    return found


def _product(bound: Bound, left: Value, right: Value, problems: Problems, depth: int) -> Bound | Broken:
    """The product of two numbers as a number; what is wrong with its factors is reported."""
    if depth > DEEPEST:
        return problems.add(
            "MTL111", f"constants nest deeper than {DEEPEST}", "write the number itself somewhere between", bound.span
        )
    sides = [resolve(Bound(side, bound.scope, bound.span), problems, depth + 1) for side in (left, right)]
    numbers: list[int | float] = []
    through = bound.through
    for side in sides:
        if isinstance(side, Broken) or isinstance(side.value, Unreadable):
            continue
        through = tuple(dict.fromkeys((*through, *side.through)))  # each once, or products of products double them
        if isinstance(side.value, Number):
            numbers.append(side.value.value)
        else:
            _no_factor(side, bound, problems)
    if len(numbers) < len(sides):
        return BROKEN
    value = numbers[0] * numbers[1]
    if abs(value) > LARGEST:
        return problems.add("MTL202", f"the product `{bound.shown()}` is too large", "use smaller factors", bound.span)
    return Bound(Number(value, bound.value.span), bound.scope, bound.span, through)


def _no_factor(side: Bound, product: Bound, problems: Problems) -> None:
    """Report a factor that is no number."""
    if isinstance(side.value, Name):
        own = {constant.name for constant in (*product.through, *side.through)}
        found = unknown_factor(side.value, product, [each for each in side.scope.known() if each not in own], problems)
    else:
        cause = f"a factor of `{product.shown()}` cannot be `{side.shown()}`"
        found = Diagnostic("MTL201", cause, "give two numbers", product.span)
    through = (*product.through, *side.through)
    if found is not None and through:
        problems.unfit(through, product.span, [found])
    elif found is not None:
        problems.take([found])


def unknown_factor(name: Name, product: Bound, known: Iterable[str], problems: Problems) -> Diagnostic | None:
    """The report of a factor that is not defined; None where its definition may be lost."""
    known = list(known)
    if problems.may_be_lost(name.text, known, Sort.DEFINITION):
        return None
    cause = f"`{product.shown()}` names `{name.text}`, which is not defined"
    return Diagnostic("MTL107", cause, proposal(name.text, known) or "give two numbers", name.span)
