"""Values of the tree as values of the specification: types, ranges, choices and arguments are checked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtsldsl.diagnostics import Span, nearest, proposal, suggestion
from mtsldsl.diagnostics.counted import counted
from mtsldsl.diagnostics.names import meant_by
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.scope import Bound, Scope, resolve
from mtsldsl.language import kinds
from mtsldsl.language.constants import Constant, Named
from mtsldsl.language.holding import completed, named
from mtsldsl.language.kinds import CallRule, Kind, Required, describe, within
from mtsldsl.language.targets import AUTO
from mtsldsl.syntax import tree


def convert(kind: Kind, bound: Bound, subject: str, problems: Problems) -> Any:
    """The value as one of `kind`; BROKEN where it is none, which is then reported. `subject` names it in the report.

    Gives a constant, a tuple of such, Named for a call, a Bound for a pipeline and for what is kept, `(name, *sizes)`
    for an input, a tuple of these for a list of inputs.
    """
    if isinstance(kind, kinds.Pipe):
        return bound
    found = resolve(bound, problems)
    if isinstance(found, Broken) or isinstance(found.value, tree.Unreadable):
        return BROKEN
    if not found.through:
        return _converted(kind, found, subject, problems)
    heard = problems.aside()
    value = _converted(kind, found, subject, heard)
    if value is not BROKEN:
        problems.fits(found.through)
    elif heard.found:
        problems.unfit(found.through, found.span, heard.found.values())
    return value


def _converted(kind: Kind, found: Bound, subject: str, problems: Problems) -> Any:
    match kind, found.value:
        case kinds.Integer() | kinds.Real(), tree.Number(value):
            return _number(kind, value, found, subject, problems)
        case kinds.Flag(), tree.Boolean(value):
            return value
        case kinds.Text(), tree.String(value):
            return value
        case kinds.Identifier() | kinds.LayerName(), tree.Name(value) if "." in value:
            return _wrong_type(kind, found, subject, problems)
        case kinds.Identifier() | kinds.LayerName(), tree.String(""):
            return problems.add("MTL202", f"{subject} is an empty name", f"give {describe(kind)}", found.span)
        case kinds.Identifier() | kinds.LayerName(), tree.Name(value) | tree.String(value):
            return value
        case kinds.Choice(names), tree.Name(value):
            return value if value in names else _unknown_choice(value, names, found, subject, problems)
        case kinds.Many(), tree.List(items):
            return _many(kind, items, found, subject, problems)
        case kinds.OneOrMany(item, length), tree.List():
            return convert(kinds.Many(item, length=length), found, subject, problems)
        case kinds.OneOrMany(item), _:
            return convert(item, found, subject, problems)
        case kinds.Told(), tree.Name("auto"):
            return AUTO
        case kinds.Told(inner), _:
            return convert(inner, found, subject, problems)
        case kinds.Maybe(), tree.Name("none"):
            return None
        case kinds.OrName(_, name), tree.Name(value):
            return value if value == name else _wrong_type(kind, found, subject, problems)
        case kinds.Maybe(inner) | kinds.OrName(inner), _:
            return convert(inner, found, subject, problems)
        case kinds.Call(), tree.Name() | tree.Call():
            return _call(kind, found, subject, problems)
        case kinds.Input(), tree.Call():
            return _input(found, subject, problems)
        case kinds.Input(several=True), tree.List(items):
            return _many(kinds.Many(kinds.Input(), 1), items, found, subject, problems)
        case kinds.Tasks(), tree.Name() | tree.Sum():
            return _joined_names(found.value, "tasks", subject, problems)
        case kinds.Alternatives(), tree.Name("none"):
            return ()
        case kinds.Alternatives(), tree.Name() | tree.Sum():
            return _joined_names(found.value, "alternatives", subject, problems)
        case kinds.Keep(), tree.Name() | tree.Call():
            return found  # what it names are tasks, which are not known here
    return _wrong_type(kind, found, subject, problems)


def _wrong_type(kind: Kind, found: Bound, subject: str, problems: Problems) -> Broken:
    if isinstance(kind, kinds.Many) and isinstance(found.value, tree.Name | tree.Call | tree.Number):
        remedy = f"put it in brackets: `[{found.shown()}]`"
        return problems.add("MTL201", f"{subject} is a list, and cannot be `{found.shown()}`", remedy, found.span)
    if isinstance(kind, kinds.Input) and isinstance(found.value, tree.List):
        remedy = (
            "give one, such as `image(3, 64, 64)`; samples with several inputs, as a picture and a row of numbers, "
            "come from `data python`, a Dataset of your own, or from `data arrays`"
        )
        return problems.add("MTL201", f"{subject} is one input here, and no list", remedy, found.span)
    if isinstance(found.value, tree.Name) and not isinstance(kind, kinds.Call | kinds.Choice):
        own = {constant.name for constant in found.through}
        known = [name for name in found.scope.known() if name not in own]
        if problems.may_be_lost(found.value.text, known, Sort.DEFINITION):
            return BROKEN
        remedy = proposal(found.value.text, known) or f"give {describe(kind)}"
        return problems.add("MTL107", f"{subject} names `{found.shown()}`, which is not defined", remedy, found.span)
    return problems.add("MTL201", f"{subject} cannot be `{found.shown()}`", f"give {describe(kind)}", found.span)


def _number(
    kind: kinds.Integer | kinds.Real, value: int | float, found: Bound, subject: str, problems: Problems
) -> Any:
    if isinstance(kind, kinds.Integer) and not isinstance(value, int):
        return _wrong_type(kind, found, subject, problems)
    if not within(kind, value):
        return problems.add("MTL202", f"{subject} is out of range: `{value}`", f"give {describe(kind)}", found.span)
    return float(value) if isinstance(kind, kinds.Real) else value


def _unknown_choice(name: str, names: Sequence[str], found: Bound, subject: str, problems: Problems) -> str | Broken:
    remedy = suggestion(name, names, "choices")
    broken = problems.add("MTL206", f"{subject} cannot be `{name}`", remedy, found.span)
    return meant_by(remedy) or broken


def _many(kind: kinds.Many, items: Sequence[tree.Value], found: Bound, subject: str, problems: Problems) -> Any:
    wrong_length = kind.length is not None and len(items) != kind.length
    if wrong_length or len(items) < kind.minimum:
        wanted = kind.length if wrong_length else kind.minimum
        least = "" if wrong_length else "at least "
        return problems.add(
            "MTL202",
            f"{subject} has {len(items)} {'value' if len(items) == 1 else 'values'}",
            f"give {least}{wanted} {'value' if wanted == 1 else 'values'}, each {describe(kind.item)}",
            found.span,
        )
    # One that came in whole through a parameter is reported at the argument; one written here, item by item.
    whole = found.span != found.value.span and not found.through
    values = [
        convert(
            kind.item, Bound(item, found.scope, found.span if whole else item.span), f"a value of {subject}", problems
        )
        for item in items
    ]
    return BROKEN if BROKEN in values else tuple(values)


def _call(kind: kinds.Call, found: Bound, subject: str, problems: Problems) -> Named | Broken:
    call = found.value
    name = call.function if isinstance(call, tree.Call) else call
    assert isinstance(name, tree.Name)
    written = found.span == call.span or bool(found.through)
    span = name.span if written else found.span
    rule = kind.rule(name.text)
    if rule is None:
        foreign = kind.elsewhere.get(name.text)
        if foreign is not None:
            fitting = ", ".join(f"`{known.name}`" for known in kind.rules)
            return problems.add(
                kind.misfit, f"{subject} cannot be `{name.text}`, which {foreign}", f"use {fitting}", span
            )
        remedy = suggestion(name.text, [known.name for known in kind.rules], kind.noun)
        problems.add("MTL206", f"{subject} cannot be `{name.text}`", remedy, span)
        rule = kind.rule(meant_by(remedy) or "")
        if rule is None:
            return BROKEN
    arguments = call.arguments if isinstance(call, tree.Call) else ()
    values = call_arguments(rule, arguments, found.scope, span, problems)
    return BROKEN if isinstance(values, Broken) else Named(rule.name, values, found.span)


def call_arguments(
    rule: CallRule, arguments: Sequence[tree.Argument], scope: Scope, span: Span, problems: Problems
) -> Mapping[str, Constant] | Broken:
    """The arguments of a call by name, defaults filled in."""
    subject = f"`{rule.name}`"
    if rule.rest is not None:
        return _rest(rule, rule.rest, arguments, scope, span, problems)
    names = [key.name for key in rule.keys]
    required = [key.name for key in rule.keys if isinstance(key.default, Required)]
    given, sound = match_arguments(arguments, names, required, subject, span, problems)
    values: dict[str, Any] = {}
    for key in rule.keys:
        if key.name in given:
            value = given[key.name].value
            values[key.name] = convert(
                key.kind, Bound(value, scope, value.span), f"`{key.name}` of {subject}", problems
            )
    return completed(rule.keys, values) if sound and BROKEN not in values.values() else BROKEN


def _rest(
    rule: CallRule,
    rest: kinds.Key,
    arguments: Sequence[tree.Argument],
    scope: Scope,
    span: Span,
    problems: Problems,
) -> Mapping[str, Constant] | Broken:
    subject = f"a value of `{rule.name}`"
    for argument in arguments:
        if argument.name is not None:
            cause = f"`{rule.name}` has no argument `{argument.name.text}`"
            problems.add("MTL203", cause, "give its values without names", argument.name.span)
    if not arguments:
        return problems.add("MTL204", f"`{rule.name}` has no values", f"give at least one: {describe(rest.kind)}", span)
    values = [
        convert(rest.kind, Bound(argument.value, scope, argument.value.span), subject, problems)
        for argument in arguments
    ]
    named = any(argument.name for argument in arguments)
    return BROKEN if named or BROKEN in values else {rest.name: tuple(values)}


def match_arguments(
    arguments: Sequence[tree.Argument],
    names: Sequence[str],
    required: Sequence[str],
    subject: str,
    span: Span,
    problems: Problems,
) -> tuple[dict[str, tree.Argument], bool]:
    """Which argument goes to which name, those without a name in order, the others by theirs, as in Python; and whether
    all do. What is wrong with one is reported, and does not keep the others from being read."""
    given: dict[str, tree.Argument] = {}
    meant: set[str | None] = set()  # by arguments that are not right; None where that is not known
    for position, argument in enumerate(arguments):
        name = argument.name.text if argument.name else names[position] if position < len(names) else None
        place = argument.name.span if argument.name else argument.span
        if name is None:
            count = f"at most {counted(len(names), 'argument')}" if names else "no arguments"
            remedy = f"its arguments are: {', '.join(names)}" if names else f"write {subject} alone"
            problems.add("MTL205", f"{subject} takes {count}", remedy, place)
        elif name not in names:
            remedy = suggestion(name, names, "arguments", subject.strip("`"))
            problems.add("MTL203", f"{subject} has no argument `{name}`", remedy, place)
            right = meant_by(remedy)
            if right and right not in given:
                given[right] = argument
                continue
            name = nearest(name, names)
        elif name in given:
            problems.add("MTL205", f"{subject} is given `{name}` twice", "leave one of them out", place)
        elif argument.name is None and any(earlier.name for earlier in arguments[:position]):
            problems.add(
                "MTL205",
                f"{subject} has a value without a name after one with a name",
                f"name it too: `{name}=...`",
                place,
            )
        else:
            given[name] = argument
            continue
        meant.add(name)
    missing = [name for name in required if name not in {*given, *meant}]
    if missing and None not in meant:
        listed = ", ".join(f"`{name}`" for name in missing)
        problems.add(
            "MTL204", f"{subject} needs {listed}", f"add {', '.join(f'`{name}=...`' for name in missing)}", span
        )
    return given, not (meant or missing)


def _input(found: Bound, subject: str, problems: Problems) -> tuple[str | int, ...] | Broken:
    call = found.value
    assert isinstance(call, tree.Call)
    dotted = "." in call.function.text
    if dotted or not 1 <= len(call.arguments) <= 3 or any(argument.name for argument in call.arguments):
        return problems.add(
            "MTL201",
            f"{subject} cannot be `{found.shown()}`",
            "give one to three sizes without names, such as `image(3, 64, 64)` for channels, height and width",
            found.span,
        )
    sizes = [
        convert(kinds.Integer(1), Bound(each.value, found.scope, each.value.span), f"a size of {subject}", problems)
        for each in call.arguments
    ]
    return BROKEN if BROKEN in sizes else (call.function.text, *sizes)


def _joined_names(value: tree.Value, of: str, subject: str, problems: Problems) -> tuple[str, ...] | Broken:
    """The names of `a + b`, each once: `tasks`, or `alternatives`."""
    names: list[str] = []
    for term in value.terms if isinstance(value, tree.Sum) else (value,):
        if isinstance(term, tree.Unreadable):
            return BROKEN
        if isinstance(term, tree.Group) and of == "tasks":
            return problems.add(
                "MTL408",
                f"{subject} has `{term.span.text}` in parentheses, which mark a task that helps, in `sharing`",
                "leave the parentheses out",
                term.span,
            )
        if not isinstance(term, tree.Name):
            cause = f"{subject} cannot be `{term.span.text}`"
            return problems.add("MTL201", cause, f"name {of}, as in `a + b`", term.span)
        if term.text in names:
            return problems.add("MTL404", f"{subject} has `{term.text}` twice", "list it once", term.span)
        names.append(term.text)
    return tuple(names)


def default_of(key: kinds.Key) -> Any:
    """The default of a key as `convert` would give it."""
    if isinstance(key.kind, kinds.Call) and isinstance(key.default, str):
        return named(key.kind, key.default)
    return key.default
