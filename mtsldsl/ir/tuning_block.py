"""The block `tuning`: which layers, and heads of tasks, learn otherwise than the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtsldsl.diagnostics import suggestion
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.problems import BROKEN, Problems, Sort
from mtsldsl.ir.scope import Bound
from mtsldsl.ir.sharing_block import covered
from mtsldsl.ir.spec_rules import misfit_of_tuning
from mtsldsl.ir.values import convert
from mtsldsl.language.constants import Named
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.tuning import RATE, TUNINGS
from mtsldsl.language.written import is_word
from mtsldsl.sharing import Backbone
from mtsldsl.syntax import tree


def read_tuning(
    section: tree.Section | None,
    backbone: Backbone,
    tasks: Sequence[str],
    definitions: Definitions,
    problems: Problems,
) -> Mapping[str, Named]:
    """What the block says, by the names of layers and tasks, in their order; a factor of 1 says nothing."""
    found: dict[str, Named] = {}
    lines: dict[str, tree.Entry] = {}
    for item in section.items if section else ():
        if isinstance(item, tree.Call):
            cause = f"`{item.function.text}(...)` in `tuning` has no layer and no task"
            problems.add("MTL104", cause, "write `layer = frozen` or `task = rate(0.1)`", item.span)
            continue
        names = _names(item, backbone, tasks, lines, problems)
        lines |= dict.fromkeys(names, item)
        subject = f"`{item.key.text}`"
        value = convert(TUNINGS, Bound(item.value, definitions.scope, item.value.span), subject, problems)
        if value is BROKEN or (value.name == RATE and number(value.arguments, "factor") == 1):
            continue
        for name in names:
            if misfit := misfit_of_tuning(name, value):
                problems.add("MTL109", *misfit, item.key.span)
            found[name] = value
    return {name: found[name] for name in (*backbone.layers, *tasks) if name in found}


def _names(
    entry: tree.Entry, backbone: Backbone, tasks: Sequence[str], lines: Mapping[str, tree.Entry], problems: Problems
) -> Sequence[str]:
    """The layers, or the task, that a line is about; unknown and repeated ones are reported."""
    ends = [entry.key, *([entry.last] if entry.last else [])]
    span = ends[0].span.to(ends[-1].span)
    known = backbone.layers if entry.last else (*backbone.layers, *tasks)
    sorts = (Sort.LAYER,) if entry.last else (Sort.LAYER, Sort.TASK)
    for end in ends:
        if not is_word(end.text) or end.text in known:
            continue
        if end.text in tasks:
            cause = f"`{end.text}` is a task, and a range goes over layers"
            problems.add("MTL107", cause, "write a line of its own for the head of a task", end.span)
        elif not problems.may_be_lost(end.text, known, *sorts):
            noun = "layer" if entry.last else "layer or task"
            remedy = suggestion(end.text, known, "layers" if entry.last else "layers and tasks")
            problems.add("MTL107", f"there is no {noun} `{end.text}`", remedy, end.span)
    names = covered(entry, backbone) or tuple(end.text for end in ends if not entry.last and end.text in tasks)
    if not names and all(end.text in known for end in ends):
        first, last = (end.text for end in ends)
        cause = f"`{first}` comes after `{last}`, so the range holds no layer"
        problems.add("MTL107", cause, f"write `{last}..{first}`", span)
    for name in names:
        if name in lines:
            cause = f"`{name}` is given twice in `tuning`: first on line {lines[name].span.line}"
            problems.add("MTL105", cause, "leave one of them out", span)
    return [name for name in names if name not in lines]
