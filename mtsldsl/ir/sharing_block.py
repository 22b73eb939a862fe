"""The block `sharing`, which the runtime keeps: which layers have which components."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, TypeVar

from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.language.naming import PARALLEL
from mtsldsl.language.written import is_word
from mtsldsl.sharing import Backbone, Sharing
from mtsldsl.sharing.cover import Cover
from mtsldsl.sharing.errors import SharingError
from mtsldsl.sharing.groups import Group, Groups
from mtsldsl.sharing.partition import Partition, canonical, single, singletons
from mtsldsl.sharing.row import Row
from mtsldsl.sharing.text import NONE, format_row
from mtsldsl.sharing.validity import faults, group_problems, refinement_problems
from mtsldsl.syntax import tree

Line = TypeVar("Line")

Alternatives: TypeAlias = tuple[str, ...] | None
"""Those of a layer, none for most; None where the layer is not known."""


def read_sharing(
    section: tree.Section | None,
    backbone: Backbone,
    tasks: Sequence[str],
    problems: Problems,
    *,
    partial: bool = False,
    unsure: Collection[str] = (),
    sources: Partition | None = None,
) -> Sharing | Broken:
    """The sharing that the block says; a layer without a line is each task's own, and of alternatives each task uses
    all.

    `sources` has the tasks of each source of samples. In a `partial` block, or one of which lines are lost, nothing is
    known of a layer without a line. Of the layers that are `unsure` nobody knows whether they have alternatives, as
    they could not be read.
    """
    rows: dict[str, Row] = {layer: unsaid(backbone.alternatives(layer), tasks) for layer in backbone.layers}
    lines: dict[str, tree.Entry] = {}
    broken: set[str] = set()
    partial = partial or (section is not None and not section.whole)
    for item in section.items if section else ():
        if isinstance(item, tree.Call):
            problems.add(
                "MTL104", f"`{item.function.text}(...)` in `sharing` has no layer", "write `layer = tasks`", item.span
            )
            continue
        layers = _layers(item, backbone, lines, problems)
        partial = partial or not layers
        said: dict[Alternatives, Row | Broken] = {}
        kinds: dict[str, Alternatives] = {
            layer: None if layer in unsure else backbone.alternatives(layer) for layer in layers
        }
        for layer, alternatives in kinds.items() or [(item.key.text, None)]:
            if alternatives not in said:
                said[alternatives] = line_row(item, tasks, alternatives, problems, layer)
        for layer, alternatives in kinds.items():
            lines[layer] = item
            row = said[alternatives]
            if isinstance(row, Broken) or alternatives is None:
                broken.add(layer)
            else:
                rows[layer] = row
    broken |= set(unsure)
    if partial:
        broken |= rows.keys() - lines.keys()
    sound = {layer: row for layer, row in rows.items() if layer not in broken}
    refined = _check_refinement(backbone, tasks, sound, lines, sources or single(tasks), problems)
    return Sharing(backbone, tasks, rows, sources) if refined and not broken and tasks else BROKEN


def names_help(section: tree.Section | None) -> bool:
    """Whether a line of the block has a task in parentheses, which helps in a group."""
    for item in section.items if section else ():
        if isinstance(item, tree.Entry):
            parts = item.value.items if isinstance(item.value, tree.Components) else (item,)
            if any(isinstance(term, tree.Group) for part in parts for term in _summands(part.value)):
                return True
    return False


def unsaid(alternatives: Sequence[str], tasks: Sequence[str]) -> Row:
    """The row of a layer without a line: each task's own, or of alternatives every one for every task."""
    return Cover.full(alternatives, tasks) if alternatives else singletons(tasks)


def covered(entry: tree.Entry, backbone: Backbone) -> tuple[str, ...]:
    """The layers that a line is about; none where it names an unknown one, or a range that runs backwards."""
    last = entry.last or entry.key
    if entry.key.text not in backbone or last.text not in backbone:
        return ()
    return backbone.layers[backbone.position(entry.key.text) : backbone.position(last.text) + 1]


def line_above(layer: str, backbone: Backbone, lines: Mapping[str, Line]) -> Line | None:
    """Of the lines, by the layers that they are about, that of the nearest layer before this one that has one."""
    before = backbone.layers[: backbone.position(layer)]
    return next((lines[name] for name in reversed(before) if name in lines), None)


def _layers(
    entry: tree.Entry, backbone: Backbone, lines: Mapping[str, tree.Entry], problems: Problems
) -> Sequence[str]:
    """The layers that a line is about; unknown and repeated ones are reported."""
    names = [entry.key, *([entry.last] if entry.last else [])]
    for name in filter(lambda name: is_word(name.text), names):
        if name.text not in backbone and not problems.may_be_lost(name.text, backbone.layers, Sort.LAYER):
            remedy = suggestion(name.text, backbone.layers, "layers")
            problems.add("MTL401", f"there is no layer `{name.text}`", remedy, name.span)
    layers = covered(entry, backbone)
    if not layers and all(name.text in backbone for name in names):
        problems.add(
            "MTL401",
            f"`{names[0].text}` comes after `{names[1].text}`, so the range holds no layer",
            f"write `{names[1].text}..{names[0].text}`",
            names[0].span.to(names[1].span),
        )
    for layer in layers:
        if layer in lines:
            line = lines[layer].span.line
            problems.add(
                "MTL406",
                f"`{layer}` has a line already, line {line}",
                "leave one of them out",
                names[0].span.to(names[-1].span),
            )
    return [layer for layer in layers if layer not in lines]


def line_row(
    entry: tree.Entry, tasks: Sequence[str], alternatives: Alternatives, problems: Problems, layer: str | None = None
) -> Row | Broken:
    """What one line says of a layer of these alternatives, or without any; None where the layer is not known. Reports
    call it `layer`, by default what the line begins with."""
    value = entry.value
    named = entry.key.text if layer is None else layer
    items = value.items if isinstance(value, tree.Components) else (tree.Component(None, value, value.span),)
    if alternatives or (alternatives is None and any(item.label is not None for item in items)):
        return _cover(entry, named, items, tasks, alternatives, problems)
    if isinstance(value, tree.Name) and value.text in ("all", "each"):
        return single(tasks) if value.text == "all" else singletons(tasks)
    if alternatives is None and isinstance(value, tree.Name) and value.text == NONE:
        return Cover(())
    return _partition(entry, named, items, tasks, problems)


def _cover(
    entry: tree.Entry,
    layer: str,
    items: Sequence[tree.Component],
    tasks: Sequence[str],
    alternatives: Alternatives,
    problems: Problems,
) -> Row | Broken:
    """Who uses which alternative. A task that is in none of them gets zeros."""
    value = entry.value
    if isinstance(value, tree.Name) and value.text in ("all", NONE):
        return Cover.full(alternatives or (), tasks) if value.text == "all" else Cover(())
    pairs: set[tuple[str, str]] = set()
    labels: list[str] = []
    sound = True
    for item in items:
        terms, helping = _terms(item, problems)
        if helping:
            sound = False
            _refuse_helpers(layer, helping[0], problems)
            continue
        if item.label is None:
            sound = False
            if BROKEN in terms:  # which is reported
                continue
            listed = ", ".join(f"`{alternative}`" for alternative in alternatives or ())
            cause = f"`{layer}` is made of the alternatives {listed}; `{item.span.text}` does not say who uses which"
            problems.add("MTL408", cause, "write `alternative: tasks`, or `all` for all of both", item.span)
            continue
        label = item.label.text
        if alternatives is not None and label not in alternatives:
            cause = f"`{layer}` has no alternative `{label}`"
            problems.add("MTL409", cause, suggestion(label, alternatives, "alternatives"), item.label.span)
            sound = False
        elif label in labels:
            problems.add("MTL404", f"`{label}` is listed twice at `{layer}`", "join both with `+`", item.label.span)
            sound = False
        labels.append(label)
        if len(terms) == 1 and isinstance(terms[0], tree.Name) and terms[0].text == "all":
            pairs |= {(task, label) for task in tasks}
            continue
        names: set[str] = set()
        for term in terms:
            if isinstance(term, Broken):
                sound = False
            elif term.text not in tasks:
                sound = False
                if not problems.may_be_lost(term.text, tasks, Sort.TASK):
                    remedy = suggestion(term.text, tasks, "tasks")
                    if term.text in (NONE, "each"):
                        remedy = f"leave `{label}` out where no task uses it, or name those that do"
                    problems.add("MTL402", f"there is no task `{term.text}`", remedy, term.span)
            elif term.text in names:
                sound = False
                cause = f"`{term.text}` is listed twice for `{label}` at `{layer}`"
                problems.add("MTL404", cause, "list each task once", term.span)
            else:
                names.add(term.text)
        pairs |= {(task, label) for task in names}
    return Cover.of_pairs(pairs, alternatives or labels) if sound else BROKEN


def _partition(
    entry: tree.Entry, layer: str, items: Sequence[tree.Component], tasks: Sequence[str], problems: Problems
) -> Partition | Groups | Broken:
    """The components of one line, which must hold each task once, beside those in parentheses; in the order of the
    tasks."""
    listed: list[list[str]] = []
    helpers: list[set[str]] = []
    places: dict[str, list[Span]] = {}
    broken = lost = False
    for item in items:
        listed.append([])
        if item.label is not None:
            broken = True
            problems.add(
                "MTL408",
                f"the component has the label `{item.label.text}`, and `{layer}` is not made of alternatives",
                f"leave the label out, or make the layer of alternatives: `{PARALLEL}({item.label.text}=...)`",
                item.label.span,
            )
        terms, helping = _terms(item, problems)
        helpers.append(set())
        for name in helping:
            if item.label is not None or not _helps(layer, name, tasks, helpers[-1], terms, problems):
                broken = True
        if helping and not terms:
            broken = True
            cause = f"`{item.span.text}` serves no task at `{layer}`, it only trains some"
            remedy = "take the parentheses from a task that it is to serve, or leave the group out"
            problems.add("MTL403", cause, remedy, item.span)
        for term in terms:
            if isinstance(term, Broken):
                broken = True
            elif item.label is not None and term.text == "all":
                continue
            elif term.text not in tasks and problems.may_be_lost(term.text, tasks, Sort.TASK):
                lost = True
            else:
                listed[-1].append(term.text)
                places.setdefault(term.text, []).append(term.span)
    wrong = faults([task for names in listed for task in names], tasks)
    for task in wrong.unknown:
        problems.add("MTL402", f"there is no task `{task}`", suggestion(task, tasks, "tasks"), places[task][0])
    for task in () if any(item.label is not None for item in items) else wrong.repeated:
        problems.add("MTL404", f"`{task}` is listed twice at `{layer}`", "list each task once", places[task][1])
    broken = broken or bool(wrong.unknown or wrong.repeated)
    if wrong.missing and not broken:
        missing = wrong.missing[0]
        cause = f"`{layer}` leaves out {', '.join(f'`{task}`' for task in wrong.missing)}"
        remedy = f"add it: `, {missing}` for a copy of its own, or `+ {missing}` to share one"
        if any(missing in helping for helping in helpers):
            cause = f"no group of `{layer}` serves `{missing}`, which only helps"
            remedy = f"take the parentheses from it in one group, or add `, {missing}`"
        problems.add("MTL403", cause, remedy, entry.value.span)
    if wrong.missing or broken or lost:
        return BROKEN
    rank = {task: place for place, task in enumerate(tasks)}
    if any(helpers):
        pairs = zip(map(frozenset, listed), map(frozenset, helpers), strict=True)
        return Groups(tuple(Group(served, helping) for served, helping in pairs)).reordered(rank)
    return canonical(map(frozenset, listed), rank)


def _helps(
    layer: str,
    name: tree.Name,
    tasks: Sequence[str],
    known: set[str],
    served: Sequence[tree.Name | Broken],
    problems: Problems,
) -> bool:
    """Whether a task in parentheses may stand there; then it is among those `known` to help the group."""
    if name.text not in tasks:
        if not problems.may_be_lost(name.text, tasks, Sort.TASK):
            problems.add("MTL402", f"there is no task `{name.text}`", suggestion(name.text, tasks, "tasks"), name.span)
        return False
    if any(isinstance(term, tree.Name) and term.text == name.text for term in served):
        cause = f"`{name.text}` is in one group of `{layer}` in parentheses and without"
        problems.add("MTL404", cause, "the group trains what it serves: leave out what is in parentheses", name.span)
        return False
    if name.text in known:
        cause = f"`{name.text}` is in parentheses twice in one group of `{layer}`"
        problems.add("MTL404", cause, "list each task once", name.span)
        return False
    known.add(name.text)
    return True


def _refuse_helpers(layer: str, name: tree.Name, problems: Problems) -> None:
    cause = f"`({name.text})` is in parentheses, which mark a task that helps in a group, and `{layer}` has none"
    problems.add("MTL408", cause, "leave the parentheses out: a layer of alternatives has no groups", name.span)


def _summands(value: tree.Value) -> Sequence[tree.Value]:
    return value.terms if isinstance(value, tree.Sum) else (value,)


def _terms(component: tree.Component, problems: Problems) -> tuple[list[tree.Name | Broken], list[tree.Name]]:
    """The tasks of a component, then those in parentheses; what is neither is reported."""
    terms: list[tree.Name | Broken] = []
    helping: list[tree.Name] = []
    for term in _summands(component.value):
        if isinstance(term, tree.Name):
            terms.append(term)
        elif isinstance(term, tree.Unreadable):
            terms.append(BROKEN)
        elif isinstance(term, tree.Group) and isinstance(term.value, tree.Name):
            helping.append(term.value)
        elif isinstance(term, tree.Group) and isinstance(term.value, tree.Unreadable):
            terms.append(BROKEN)
        elif isinstance(term, tree.Group):
            remedy = "put each task into parentheses of its own: `(depth) + (edge) + normal`"
            cause = f"`{term.span.text}` is no task that helps"
            terms.append(problems.add("MTL201", cause, remedy, term.span))
        else:
            remedy = "name tasks: `+` joins those that share a copy, `,` parts the copies"
            terms.append(problems.add("MTL201", f"`{term.span.text}` is no task", remedy, term.span))
    return terms, helping


def _check_refinement(
    backbone: Backbone,
    tasks: Sequence[str],
    rows: Mapping[str, Row],
    lines: Mapping[str, tree.Entry],
    sources: Partition,
    problems: Problems,
) -> bool:
    """Whether tasks that share a layer share all that it reads; one report for a line where they do not."""
    found = refinement_problems(backbone, tasks, rows, sources)
    apart = group_problems(rows, sources)
    _report_groups(apart, tasks, rows, lines, problems)
    seen: set[int] = set()
    for error in found:
        # A layer without a line refines everything, so the layer of a problem always has one.
        span = lines[error.layer].value.span
        if span.start in seen:
            continue
        seen.add(span.start)
        keepers = dict.fromkeys(each.keeper for each in found if each.layer == error.layer)
        listed = " and ".join(f"`{keeper}`" for keeper in keepers)
        remedy = f"let them share {listed} too, or part them at `{error.layer}`"
        if error.keeper not in lines:
            remedy += f"; `{error.keeper}` has no line, so each task has its own"
        problems.add(error.code, f"layer `{error.layer}`: {error.reason}", remedy, span)
    return not found and not apart


def _report_groups(
    found: Sequence[SharingError],
    tasks: Sequence[str],
    rows: Mapping[str, Row],
    lines: Mapping[str, tree.Entry],
    problems: Problems,
) -> None:
    """Report groups that are not those of every layer: at each line that has others, or where layers have no line at
    the line of the groups."""
    seen: set[int] = set()
    for error in found:
        entry = lines.get(error.layer) or lines[error.keeper or error.layer]
        if entry.span.start in seen:
            continue
        seen.add(entry.span.start)
        remedy = "leave out what is in parentheses"
        if error.keeper is not None:
            remedy = f"write `{error.layer} = {format_row(rows[error.keeper], tasks)}`, or {remedy}"
        problems.add(error.code, f"layer `{error.layer}`: {error.reason}", remedy, entry.value.span)
