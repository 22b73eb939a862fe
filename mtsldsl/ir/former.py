"""What an earlier version wrote otherwise: its report says the new form, and its fix keeps the meaning."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import Fix, Mending
from mtsldsl.ir.model import Data
from mtsldsl.ir.problems import Broken, Problems
from mtsldsl.ir.scope import Bound, Scope, resolve
from mtsldsl.language.targets import TARGETS
from mtsldsl.syntax import tree

_FORMER = "positive_only"


def without_positive_only(
    section: tree.Section, kind: str | None, data: Data | Broken, scope: Scope, problems: Problems
) -> tree.Section:
    """A task's block without the argument `positive_only`, which losses of values had before the target said by
    `valid` which values count. It is reported, and what else is wrong with the loss can still be found."""
    entry = _entry(section, "loss")
    if kind != "values" or entry is None:
        return section
    bound = resolve(Bound(entry.value, scope, entry.value.span), problems.aside())
    call = None if isinstance(bound, Broken) else bound.value
    if not isinstance(call, tree.Call) or TARGETS[kind].loss(call.function.text) is None:
        return section
    argument = _former(call)
    if argument is None:
        return section
    assert isinstance(bound, Bound)
    asked = resolve(Bound(argument.value, bound.scope, argument.value.span), problems.aside())
    only = asked.value.value if isinstance(asked, Bound) and isinstance(asked.value, tree.Boolean) else None
    remedy = _remedy(section, call, only, data, scope, direct=not bound.through)
    cause = f"`{call.function.text}` has no argument `{_FORMER}`: the target says which values count"
    problems.add("MTL203", cause, remedy, argument.span)
    rest = tuple(each for each in call.arguments if each is not argument)
    mended = attrs.evolve(entry, value=attrs.evolve(call, arguments=rest))
    return attrs.evolve(section, items=tuple(mended if item is entry else item for item in section.items))


def _entry(section: tree.Section, key: str) -> tree.Entry | None:
    return next((item for item in section.items if isinstance(item, tree.Entry) and item.key.text == key), None)


def _former(call: tree.Call) -> tree.Argument | None:
    """The argument, by its name or as the only one."""
    for argument in call.arguments:
        if argument.name is not None and argument.name.text == _FORMER:
            return argument
    alone = call.arguments[0] if len(call.arguments) == 1 else None
    return alone if alone and alone.name is None and isinstance(alone.value, tree.Boolean) else None


def _remedy(
    section: tree.Section, call: tree.Call, only: bool | None, data: Data | Broken, scope: Scope, *, direct: bool
) -> str:
    """What to write instead; with the fix where it keeps the meaning of this task and of every other."""
    leave = "leave it out"
    without = Fix(call.span, call.function.text) if len(call.arguments) == 1 and "#" not in call.span.text else None
    if only is None or isinstance(data, Broken):
        return f"{leave}, and write `valid=positive` in the target where only values above 0 count"
    wanted = "positive" if only else "finite"
    default = data_kind(data.kind).default_valid("values")
    given = _given(section, scope)
    if given is None and default == wanted:
        # a constant may be the loss of other tasks: they have the same default, for a data set has one field of values
        remedy = f"{leave}: {_COUNTED[wanted]} without it"
        return Mending(remedy, without) if without else remedy
    if given is not None:
        remedy = f"{leave}: the target says `valid={given}`"
        return Mending(remedy, without) if without and direct and given == wanted else remedy
    remedy = f"{leave}, and write `valid={wanted}` in the target, as in `values(1, valid={wanted})`"
    target = _with_valid(section, wanted)
    return Mending(remedy, attrs.evolve(without, also=(target,))) if without and direct and target else remedy


_COUNTED = {"positive": "values above 0 alone count", "finite": "every finite value counts"}


def _given(section: tree.Section, scope: Scope) -> str | None:
    """What the target says of `valid` itself."""
    entry = _entry(section, "target")
    bound = entry and resolve(Bound(entry.value, scope, entry.value.span), Problems())
    if not isinstance(bound, Bound) or not isinstance(bound.value, tree.Call):
        return None
    arguments = bound.value.arguments
    named = [each.value for each in arguments if each.name is not None and each.name.text == "valid"]
    placed = [each.value for each in arguments[1:2] if each.name is None]
    return next((each.text for each in named + placed if isinstance(each, tree.Name)), None)


def _with_valid(section: tree.Section, wanted: str) -> Fix | None:
    """The edit that lets the target say it; none where the target is a constant."""
    entry = _entry(section, "target")
    value = entry.value if entry else None
    if isinstance(value, tree.Call) and value.arguments:
        whole, end = value.span.text, value.arguments[-1].span.end - value.span.start
        return Fix(value.span, f"{whole[:end]}, valid={wanted}{whole[end:]}")
    if isinstance(value, tree.Name) and value.text == "values":
        return Fix(value.span, f"values(valid={wanted})")
    return None
