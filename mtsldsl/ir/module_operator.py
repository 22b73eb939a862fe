"""Reading `module("package.file:Class", out=[…], …)`: the arguments of the table, and those for the person's class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtsldsl.diagnostics import Span
from mtsldsl.ir.problems import BROKEN, Broken, Problems
from mtsldsl.ir.scope import Bound, Scope, resolve
from mtsldsl.ir.values import convert, match_arguments
from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import Chosen
from mtsldsl.language.operators.own import OWN_MODULE, RESERVED, misfit_of, misfit_of_option
from mtsldsl.syntax import tree

MOST_VALUES = 1000
"""Values that one module may be given, those inside lists included."""


def read_own(
    arguments: Sequence[tree.Argument], span: Span, scope: Scope, problems: Problems
) -> tuple[dict[str, Constant | Chosen] | Broken, Sequence[tree.Argument]]:
    """The settings of a module of the person's own, and the further values that it takes beside the piped one.

    The first argument without a name is the target, the others are further values. Arguments with a name are settings
    of the table, or for the class.
    """
    bare = [argument for argument in arguments if argument.name is None]
    named = [argument for argument in arguments if argument.name is not None]
    for place, argument in enumerate(arguments):
        if argument.name is None and any(earlier.name for earlier in arguments[:place]):
            cause = "`module` has a value without a name after one with a name"
            problems.add("MTL205", cause, "put it before those with a name", argument.span)
            return BROKEN, bare[1:]
    own = [*bare[:1], *(each for each in named if each.name and each.name.text in RESERVED)]
    several = any(each.name and each.name.text == "taps" for each in named)
    needed = ("target",) if several else ("target", "out")
    given, sound = match_arguments(own, RESERVED, needed, "`module`", span, problems)
    if several and "out" in given:
        cause = "`module` is given `out` and `taps`"
        problems.add("MTL205", cause, "leave `out` out, as `taps` say the shape of every output", given["out"].span)
        sound = False
    options = [each for each in named if each.name and each.name.text not in RESERVED]
    passed = _options(options, scope, problems)
    settings: dict[str, Any] = {key.name: key.default for key in OWN_MODULE.rules}
    kinds = {key.name: key.kind for key in OWN_MODULE.rules}
    for name, argument in given.items():
        bound = Bound(argument.value, scope, argument.value.span)
        settings[name] = convert(kinds[name], bound, f"`{name}` of `module`", problems)
    if "target" in given and isinstance(settings["target"], str):
        settings["target"] = _sound_target(settings["target"], given["target"].value.span, problems)
    if not sound or isinstance(passed, Broken) or BROKEN in settings.values():
        return BROKEN, bare[1:]
    return {**settings, **passed}, bare[1:]


def _sound_target(target: str, span: Span, problems: Problems) -> str:
    """The target; where it can be none, which is reported, one that stands for it."""
    misfit = misfit_of(target)
    if misfit is None:
        return target
    example = "package.file:Class"
    remedy = f"write where Python finds the class, such as `{example}`"
    problems.add("MTL202", f"the target of `module`, `{target}`, {misfit}", remedy, span)
    return example


def _options(arguments: Sequence[tree.Argument], scope: Scope, problems: Problems) -> dict[str, Constant] | Broken:
    """What is passed on to the class."""
    options: dict[str, Any] = {}
    room = [MOST_VALUES]
    for argument in arguments:
        assert argument.name is not None
        name, span = argument.name.text, argument.name.span
        if misfit := misfit_of_option(name):
            problems.add("MTL109", misfit, "rename it there", span)
            return BROKEN
        if name in options:
            problems.add("MTL205", f"`module` is given `{name}` twice", "leave one of them out", span)
            return BROKEN
        bound = Bound(argument.value, scope, argument.value.span)
        options[name] = _constant(bound, f"`{name}` of `module`", room, problems)
    return BROKEN if BROKEN in options.values() else options


def _constant(bound: Bound, subject: str, room: list[int], problems: Problems) -> Any:
    """A plain value: a number, string or truth value, None for `none`, a tuple for a list of such."""
    found = resolve(bound, problems)
    if isinstance(found, Broken):
        return BROKEN
    room[0] -= 1
    if room[0] < 0:
        cause = f"{subject} brings it to more than {MOST_VALUES:,} values"
        return problems.add("MTL202", cause, "let the class read them from a file", bound.span)
    match found.value:
        case tree.Number(value) | tree.String(value) | tree.Boolean(value):
            return value
        case tree.Name("none"):
            return None
        case tree.List(items):
            values = []
            for item in items:
                values.append(_constant(Bound(item, found.scope, found.span), subject, room, problems))
                if values[-1] is BROKEN:
                    return BROKEN
            return tuple(values)
        case tree.Unreadable():
            return BROKEN
    remedy = "give a number, a string in quotes, `true`, `false`, `none` or a list of such"
    return problems.add("MTL201", f"{subject} cannot be `{found.shown()}`", remedy, found.span)
