"""`parallel(conv3=..., skip=...)`: a layer of alternatives, of which each task uses some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.body import MEAN, MIXTURE, Body, Parallel, misfit_of_alternatives
from mtsldsl.ir.definitions import check_name
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound, Scope
from mtsldsl.ir.values import convert
from mtsldsl.language import kinds
from mtsldsl.language.naming import PARALLEL
from mtsldsl.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtsldsl.language.constants import Shape

COPIES = "copies"
"""The argument that says how many alternatives are made of the one that is named."""

GATE = "gate"
"""The argument that says how what alternatives give becomes what a task gets."""

MOST_ALTERNATIVES = 1_000


def parallel_call(value: tree.Value) -> tree.Call | None:
    """The call where a layer's value is one of `parallel`."""
    while isinstance(value, tree.Group):
        value = value.value
    return value if isinstance(value, tree.Call) and value.function.text == PARALLEL else None


def pipelines_of(value: tree.Value) -> tuple[tree.Value, ...]:
    """The pipelines that a layer is made of: its own, or those of its alternatives."""
    call = parallel_call(value)
    if call is None:
        return (value,)
    return tuple(each.value for each in call.arguments if each.name is None or each.name.text not in (COPIES, GATE))


def alternatives_of(call: tree.Call, scope: Scope, problems: Problems) -> tuple[dict[str, tree.Value], str] | Broken:
    """The pipelines of the alternatives by name, as many of one as `copies` says, numbered from 1; and the gate.

    BROKEN where something is wrong with names, number or gate, which is reported."""
    found: dict[str, tree.Value] = {}
    copies: int | Broken | None = None
    gate: str | Broken = MEAN
    sound = True
    seen: set[str] = set()
    for argument in call.arguments:
        if argument.name is None:
            remedy = f"name it: `{PARALLEL}(conv3=...)`"
            problems.add("MTL204", f"an alternative of `{PARALLEL}` has no name", remedy, argument.span)
            sound = False
        elif argument.name.text in seen:
            cause = f"`{PARALLEL}` is given `{argument.name.text}` twice"
            problems.add("MTL205", cause, "leave one of them out", argument.name.span)
            sound = False
        elif argument.name.text == COPIES:
            kind = kinds.Integer(1, MOST_ALTERNATIVES)
            bound = Bound(argument.value, scope, argument.value.span)
            copies = convert(kind, bound, f"`{COPIES}` of `{PARALLEL}`", problems)
        elif argument.name.text == GATE:
            bound = Bound(argument.value, scope, argument.value.span)
            gate = convert(kinds.Choice((MEAN, MIXTURE)), bound, f"`{GATE}` of `{PARALLEL}`", problems)
        else:
            sound = check_name(argument.name, "an alternative", problems, generated=True) and sound
            found[argument.name.text] = argument.value
        seen |= {argument.name.text} if argument.name else set()
    if not found and sound:
        remedy = f"name some: `{PARALLEL}(conv3=conv2d(16, 3), skip=identity)`"
        problems.add("MTL204", f"`{PARALLEL}` has no alternatives", remedy, call.span)
        sound = False
    if copies is not None and len(found) > 1:
        remedy = f"leave `{COPIES}` out, or name one alternative"
        problems.add("MTL205", f"`{COPIES}` is for one alternative, and there are {len(found)}", remedy, call.span)
        sound = False
    if not sound or isinstance(copies, Broken) or isinstance(gate, Broken):
        return BROKEN
    if copies is None:
        return found, gate
    ((name, value),) = found.items()
    return {f"{name}{number}": value for number in range(1, copies + 1)}, gate


def read_parallel(
    call: tree.Call,
    values: Mapping[str, tree.Value],
    body: Callable[[tree.Value], Body | Broken],
    gate: str,
    problems: Problems,
) -> Parallel | Broken:
    """The layer of these alternatives; `body` reads one. BROKEN where one is, or where they give other shapes, which is
    reported. Every alternative is given all that any of them reads."""
    made: dict[int, Body | Broken] = {}  # copies of one pipeline have one body
    read = {name: made.get(id(value)) or made.setdefault(id(value), body(value)) for name, value in values.items()}
    bodies = {name: each for name, each in read.items() if not isinstance(each, Broken)}
    if len(bodies) < len(read):
        return BROKEN
    inputs: dict[str, Shape] = {}
    for each in bodies.values():
        inputs |= dict(zip(each.inputs, each.input_shapes, strict=True))
    if misfit := misfit_of_alternatives(bodies):
        place = next((part.span for part in call.arguments if part.value is values[misfit.name]), call.span)
        span = call.span if misfit.code == "MTL313" else place
        return problems.add(misfit.code, misfit.cause, misfit.remedy, span)
    names, shapes = tuple(inputs), tuple(inputs.values())
    return Parallel(
        {name: attrs.evolve(each, inputs=names, input_shapes=shapes) for name, each in bodies.items()}, gate
    )
