"""The definitions of a text: constants of `let`, macros of `block`, and the names that both may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import attrs

from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.diagnostics.names import meant_by, neighbours
from mtsldsl.ir.library import Library
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort, line_of
from mtsldsl.ir.scope import Bound, Scope, unknown_factor
from mtsldsl.language.naming import PARALLEL, STAGES, refusal
from mtsldsl.methods.registry import run_names
from mtsldsl.records import Record
from mtsldsl.syntax import tree


@attrs.frozen(eq=False, repr=False)
class Block(Record):
    """`block name(parameters) = value`, to be expanded where it is used."""

    name: str
    parameters: tuple[tree.Parameter, ...]
    value: tree.Value
    span: Span


@attrs.frozen(eq=False, repr=False)
class Definitions(Record):
    """All definitions of a text. A broken one (None as a block) is reported already."""

    scope: Scope
    blocks: Mapping[str, Block | None]
    places: Mapping[str, Span]
    """Where each name is defined."""


def check_name(
    name: tree.Name, noun: str, problems: Problems, *, generated: bool = False, recorded: bool = False
) -> bool:
    """Whether `noun` may have the name, as `refusal` has it; where not, that is reported."""
    reason = refusal(name.text, generated=generated, taken=run_names() if recorded else ())
    if reason is None:
        return True
    problems.add("MTL109", f"{noun} cannot be named `{name.text}`, which {reason}", "choose another name", name.span)
    return False


def claim(name: tree.Name, noun: str, places: dict[str, Span], problems: Problems) -> bool:
    """Whether the name is still free; where not, that is reported. A free one is taken."""
    taken = places.get(name.text)
    if taken is not None:
        problems.add(
            "MTL108",
            f"`{name.text}` names {noun} here, and {_taken(taken, name.span)}",
            "give each a name of its own",
            name.span,
        )
        return False
    places[name.text] = name.span
    return True


def _taken(taken: Span, here: Span) -> str:
    """Where else a name stands already."""
    same = taken.source is here.source and taken.line == here.line
    return f"is taken already, on {'this line' if same else line_of(taken, here)}"


def read_definitions(statements: Sequence[tree.Statement], problems: Problems) -> Definitions:
    """All `let` and `block` of a text, in whatever order they stand; those that need themselves are reported."""
    found: dict[str, tree.Definition] = {}
    unclear: list[tree.Definition] = []
    places: dict[str, Span] = {}
    for statement in statements:
        if not isinstance(statement, tree.Definition):
            continue
        statement, sound = _well_formed(statement, problems)
        if not sound:
            unclear.append(statement)
        else:
            if _repeats(statement, found.get(statement.name.text)):
                continue
            noun = "a constant" if statement.kind.text == "let" else "a block"
            parameters = _parameters(statement, problems)
            if not check_name(statement.name, noun, problems):
                continue  # the operator or word stays what it is
            if claim(statement.name, noun, places, problems):
                found[statement.name.text] = attrs.evolve(statement, parameters=parameters)
            else:
                problems.lost.add(Sort.DEFINITION)  # one of the two was to have another name
    broken = _circular(found, problems)
    names: dict[str, Bound | Broken] = {}
    scope = Scope(names)
    blocks: dict[str, Block | None] = {}
    for name, statement in found.items():
        if statement.kind.text == "let":
            names[name] = BROKEN if name in broken else Bound(statement.value, scope, statement.value.span)
        elif isinstance(statement.value, tree.Unreadable):
            blocks[name] = None
        else:
            value = tree.Unreadable(statement.value.span) if name in broken else statement.value
            blocks[name] = Block(name, statement.parameters or (), value, statement.span)
    for statement in unclear:
        if statement.parameters is None:
            names.setdefault(statement.name.text, BROKEN)
        else:
            blocks.setdefault(statement.name.text, None)
    return Definitions(scope, blocks, places)


def _repeats(statement: tree.Definition, earlier: tree.Definition | None) -> bool:
    """Whether another file has the very same definition, such as a macro that two files of a library share."""
    if earlier != statement or earlier.span.source.name == statement.span.source.name:
        return False
    return repr(earlier) == repr(statement)  # for Python 8 equals 8.0


def _well_formed(statement: tree.Definition, problems: Problems) -> tuple[tree.Definition, bool]:
    """The definition, by the word that is meant where that is misspelt, and whether it is of a form that there is."""
    kind = statement.kind
    if kind.text not in ("let", "block"):
        remedy = suggestion(kind.text, ("let", "block"), "ones")
        problems.add("MTL101", f"there is no definition `{kind.text}`", remedy, kind.span)
        meant = meant_by(remedy)
        if meant is None or (meant == "let") == (statement.parameters is not None):
            return statement, False
        return attrs.evolve(statement, kind=attrs.evolve(kind, text=meant)), True
    if kind.text == "let" and statement.parameters is not None:
        problems.add(
            "MTL110",
            f"the constant `{statement.name.text}` has parameters",
            f"write `block {statement.name.text}(...) = ...`, or leave the parameters out",
            kind.span,
        )
        return statement, False
    return statement, True


def _parameters(statement: tree.Definition, problems: Problems) -> tuple[tree.Parameter, ...] | None:
    """The parameters; one whose name cannot be had keeps its place, under a name that nothing can refer to."""
    if statement.parameters is None:
        return None
    own: dict[str, Span] = {}
    parameters: list[tree.Parameter] = []
    for parameter in statement.parameters:
        name = parameter.name
        sound = check_name(name, "a parameter", problems) and claim(name, "a parameter", own, problems)
        if not sound:
            default = parameter.default or tree.Unreadable(parameter.span)
            parameter = tree.Parameter(tree.Name(f"{name.text} {len(parameters)}", name.span), default, parameter.span)
        parameters.append(parameter)
    return tuple(parameters)


def walk(value: tree.Value) -> Iterator[tree.Value]:
    """The value and all values inside it."""
    waiting: list[tree.Value] = [value]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case tree.List(items) | tree.Pipeline(items) | tree.Sum(items):
                waiting += items
            case tree.Call(_, arguments):
                waiting += [argument.value for argument in arguments]
            case tree.Product(left, right):
                waiting += [left, right]
            case tree.Group(inner):
                waiting.append(inner)
            case tree.Components(items):
                waiting += [item.value for item in items]


def _references(statement: tree.Definition) -> set[str]:
    """The names that a definition needs, its own parameters left out."""
    parameters = statement.parameters or ()
    own = {parameter.name.text for parameter in parameters}
    needed: set[str] = set()
    for value in (statement.value, *(parameter.default for parameter in parameters if parameter.default)):
        for node in walk(value):
            if isinstance(node, tree.Name):
                needed.add(node.text)
            elif isinstance(node, tree.Call):
                needed.add(node.function.text)
    return needed - own


def _circular(found: Mapping[str, tree.Definition], problems: Problems) -> set[str]:
    """The definitions that need themselves, each circle reported once."""
    needs = {name: _references(statement) & found.keys() for name, statement in found.items()}
    order = {name: place for place, name in enumerate(found)}
    broken: set[str] = set()
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]
            first = min(circle, key=order.__getitem__)
            circle = circle[:-1]
            circle = circle[circle.index(first) :] + circle[: circle.index(first)] + [first]
            path = " -> ".join(f"`{name}`" for name in circle)
            noun = "constant" if found[first].kind.text == "let" else "block"
            problems.add(
                "MTL111",
                f"the {noun} `{first}` needs itself: {path}",
                "leave out one of these uses; to repeat a pipeline write `pipeline * 3`",
                found[first].name.span,
            )
            broken.update(circle)
            for name, needed in pairwise(circle):
                needs[name] = needs[name] - {needed}
        else:
            return broken


def check_unused(
    definitions: Definitions, layers: Sequence[str], library: Library, problems: Problems, *, calls_only: bool = False
) -> None:
    """Report stages that no operator, block or layer is called, in definitions that are used and in those that are not,
    and factors of constants that are not defined.

    An imported block may name the layers and the input of its own file. `calls_only` leaves bare names alone, for the
    input's name is not known.
    """
    everywhere = {*STAGES, *definitions.blocks, *layers, *definitions.scope.names}
    for block in definitions.blocks.values():
        if block is None:
            continue
        known = {*everywhere, *(parameter.name.text for parameter in block.parameters)}
        known |= library.own_names(block.span.source.name)
        for node in walk(block.value):
            stages = node.stages if isinstance(node, tree.Pipeline) else (block.value,) if node is block.value else ()
            names = [stage for stage in stages if isinstance(stage, tree.Name) and not calls_only]
            if isinstance(node, tree.Call):
                names.append(node.function)
            for name in names:
                if name.text not in known:
                    unknown_stage(name, known, problems)
    for own, bound in definitions.scope.names.items():
        if not isinstance(bound, Broken) and not calls_only:
            known = {*everywhere, *library.own_names(bound.span.source.name)} - {own}
            _check_constant(bound, known, problems)


def _check_constant(bound: Bound, known: set[str], problems: Problems) -> None:
    """Report the stages and factors in a constant that are nothing known; other names may be somebody's choice."""
    for node in walk(bound.value):
        if isinstance(node, tree.Pipeline):
            for stage in node.stages:
                name = stage.function if isinstance(stage, tree.Call) else stage
                if isinstance(name, tree.Name) and name.text not in known:
                    unknown_stage(name, known, problems)
        elif isinstance(node, tree.Product):
            check_factors(attrs.evolve(bound, value=node), known, problems)


def check_factors(product: Bound, known: set[str], problems: Problems) -> None:
    """Report the factors of a product that are nothing known."""
    value = product.value
    for side in (value.left, value.right) if isinstance(value, tree.Product) else ():
        if isinstance(side, tree.Name) and side.text not in known:
            found = unknown_factor(side, product, known - set(STAGES), problems)
            problems.take([found] if found else [])


def unknown_stage(name: tree.Name, known: Sequence[str] | set[str], problems: Problems) -> str | None:
    """Report a stage of a pipeline that is nothing known; the known name that it can only mean, if there is one."""
    if name.text == PARALLEL:
        remedy = "make it a layer: the whole of what stands after `=`"
        problems.add("MTL309", f"`{PARALLEL}` is no stage of a pipeline", remedy, name.span)
        return None
    cause = f"`{name.text}` is no operator, block or layer"
    said = problems.get("MTL107", cause, name.span)
    if said is not None:  # once is enough for a block that is used a thousand times
        return meant_by(said.remedy)
    if problems.may_be_lost(name.text, known, Sort.DEFINITION, Sort.LAYER) and not neighbours(name.text, STAGES):
        return None
    if neighbours(name.text, (PARALLEL,)) and not neighbours(name.text, known):
        problems.add("MTL107", cause, suggestion(name.text, (PARALLEL,), "ones"), name.span)
        return None
    remedy = suggestion(name.text, sorted(known), "ones", "operators")
    problems.add("MTL107", cause, remedy, name.span)
    return meant_by(remedy)
