"""The blocks of a text, sorted: of which kind each is and what its labels say, also where they are misspelt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Span, nearest, proposal, suggestion
from mtsldsl.diagnostics.names import meant_by, neighbours
from mtsldsl.ir.blocks import title
from mtsldsl.ir.library import SUFFIX, Library
from mtsldsl.ir.problems import Problems, Sort
from mtsldsl.language.schema import BLOCKS
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.methods.registry import METHODS, methods
from mtsldsl.records import Record
from mtsldsl.syntax import tree

_REQUIRED = {
    "data": "data scenes { ... }",
    "task": "task depth { ... }",
    "backbone": "backbone { ... }",
    "train": "train { ... }",
}

_LABELS: Mapping[str, tuple[str, ...]] = {"data": tuple(DATASETS), "structure": (*METHODS, NO_METHOD)}
"""The labels that a block of some kinds may have; it has one."""


@attrs.frozen(eq=False, repr=False)
class Sections(Record):
    """The blocks of which a text has one, by kind; the data blocks; the tasks; and further blocks of a kind of which
    there is one already.

    All are to be checked: what is wrong with a block's first line is reported, and does not hide what stands in it.
    """

    single: Mapping[str, tree.Section]
    data: Sequence[tree.Section]
    tasks: Sequence[tree.Section]
    further: Sequence[tree.Section]


def read_sections(file: tree.File, library: Library, problems: Problems) -> Sections:
    """The blocks, each of the kind that its first line says or seems to mean; missing ones are reported."""
    single: dict[str, tree.Section] = {}
    data: list[tree.Section] = []
    tasks: list[tree.Section] = []
    further: list[tree.Section] = []
    known, unknown = _kinds(file, problems)
    strays = [nearest(word, (*BLOCKS, "import")) for word in file.strays]
    strays += ["import" for statement in file.statements if _meant_as_import(statement)]
    for section in (*known, *_only_choice(unknown, known, problems)):
        kind = section.kind.text
        if kind == "task":
            tasks.append(section)
        elif kind == "data":
            data.append(_labelled(section, problems))
        elif kind in single:
            further.append(_labelled(section, problems))
        else:
            single[kind] = _labelled(section, problems)
        if kind == "backbone" and not section.whole:
            problems.lost.add(Sort.LAYER)
    _report_second(known, problems)
    if library.backbone is not None:
        single["backbone"] = library.backbone
    if not file.whole or not library.whole or "import" in strays:
        problems.lost.add(Sort.DEFINITION)
    if "backbone" not in single or "backbone" in strays or any(each.kind.text == "backbone" for each in further):
        problems.lost.add(Sort.LAYER)
    problems.nameless = "let" in file.strays
    if "task" in strays:
        problems.lost.add(Sort.TASK)
    end = Span(file.source, len(file.source.text), len(file.source.text))
    for kind, wanted in _REQUIRED.items():
        there = bool({"task": tasks, "data": data}[kind]) if kind in ("task", "data") else kind in single
        hidden = kind in strays or (kind == "backbone" and (not library.whole or "import" in strays))
        if not there and not hidden:
            problems.add("MTL103", f"there is no block `{kind}`", f"add one: `{wanted}`", end)
    return Sections(single, data, tasks, further)


def _meant_as_import(statement: tree.Statement) -> bool:
    """Whether a statement that is reported already was to be one, such as `include "blocks.mtl"`."""
    unread = isinstance(statement, tree.Definition) and isinstance(statement.value, tree.Unreadable)
    return unread and statement.span.text.endswith(f'{SUFFIX}"')


def _kinds(file: tree.File, problems: Problems) -> tuple[list[tree.Section], list[tree.Section]]:
    """The blocks whose kind is known or can be told, and the others, which are still to be reported."""
    known, unknown = [], []
    for section in file.statements:
        if not isinstance(section, tree.Section):
            continue
        if section.kind.text in BLOCKS:
            known.append(section)
            continue
        remedy = suggestion(section.kind.text, (*BLOCKS, "let", "block"), "blocks")
        meant = meant_by(remedy) or next(iter(neighbours(section.kind.text, BLOCKS)), None)
        if meant in BLOCKS:
            _report_unknown(section, remedy, problems)
            known.append(_of_kind(section, str(meant)))
        else:
            unknown.append(section)
    return known, unknown


def _only_choice(
    unknown: Sequence[tree.Section], known: Sequence[tree.Section], problems: Problems
) -> list[tree.Section]:
    """The block of no known kind, as the one that is missing, where there is a single one of each."""
    there = {section.kind.text for section in known}
    missing = [kind for kind in _REQUIRED if kind not in there]
    if len(unknown) == len(missing) == 1 and len(unknown[0].labels) == (missing[0] in ("data", "task")):
        (section,), (kind,) = unknown, missing
        _report_unknown(section, f"write `{kind}`, of which there is none", problems)
        return [_of_kind(section, kind)]
    for section in unknown:
        _report_unknown(section, suggestion(section.kind.text, (*BLOCKS, "let", "block"), "blocks"), problems)
        if not section.kind.text:  # it may be any of them
            problems.lost |= {Sort.LAYER, Sort.TASK}
    return []


def _of_kind(section: tree.Section, kind: str) -> tree.Section:
    return attrs.evolve(section, kind=attrs.evolve(section.kind, text=kind))


def _report_unknown(section: tree.Section, remedy: str, problems: Problems) -> None:
    if section.kind.text:  # otherwise its first line cannot be read, which is reported
        problems.add("MTL101", f"there is no block `{section.kind.text}`", remedy, section.kind.span)


def _report_second(sections: Sequence[tree.Section], problems: Problems) -> None:
    seen: dict[str, tree.Section] = {}
    for section in sections:
        kind = section.kind.text
        first = seen.setdefault(kind, section)
        if kind not in ("task", "data") and first is not section and section.kind.span.text == kind:
            cause = f"there is a second block `{kind}`; the first is on line {first.span.line}"
            problems.add("MTL102", cause, "leave one of them out", section.kind.span)


def _labelled(section: tree.Section, problems: Problems) -> tree.Section:
    """The block with the labels that its kind needs; others than that are reported, and the likely one is taken."""
    wanted, labels = _LABELS.get(section.kind.text), section.labels
    named = section.kind.text == "data" and len(labels) == 2 and not section.listed  # it has a name of its own too
    sound = check_count(section, 2 if named else 1 if wanted else 0, problems)
    if not wanted:
        return attrs.evolve(section, labels=(), listed=False)
    if section.kind.text == "data" and not (sound and section.headed):
        problems.lost.add(Sort.DATA)
    label = labels[0].text if labels else ""
    if label not in wanted:
        noun = "data set" if section.kind.text == "data" else "method"
        if sound and labels and section.headed:
            problems.add(
                "MTL110", f"there is no {noun} `{label}`", suggestion(label, wanted, f"{noun}s"), labels[0].span
            )
        meant = meant_by(proposal(label, wanted) or "") or nearest(label, wanted)
        label = meant or ("" if label else _label_of(section))
    name = tree.Name(label, labels[0].span if labels else section.kind.span)
    own = labels[1:] if named else ()
    return attrs.evolve(section, labels=(name, *own), listed=False, whole=section.whole and label in wanted)


def _label_of(section: tree.Section) -> str:
    """The label that goes with the block's keys; empty where several do."""
    keys = {item.key.text for item in section.items if isinstance(item, tree.Entry)}
    structure = section.kind.text == "structure"
    kinds = methods() if structure else map(data_kind, DATASETS)
    schemas = {each.name: each.block for each in kinds}
    fitting = [label for label, schema in schemas.items() if all(schema.key(key) for key in keys)]
    return fitting[0] if len(fitting) == 1 else ""


def check_count(section: tree.Section, count: int, problems: Problems) -> bool:
    """Whether the block has so many labels; where not, that is reported, unless its first line is reported already."""
    kind, labels = section.kind.text, section.labels
    span = labels[0].span.to(labels[-1].span) if labels else section.kind.span
    wanted = _LABELS.get(kind)
    if not section.headed:
        return False
    if section.listed and kind != "task":
        remedy = f"write `{title(attrs.evolve(section, listed=False, labels=labels[:count]))} {{ ... }}`"
        problems.add("MTL110", f"`{title(section)}` has a list; only `task` takes one", remedy, span)
        return False
    if len(labels) != count and not section.listed:
        label = next((each.text for each in labels if each.text in wanted), wanted[0]) if wanted else "name"
        form = f"{kind} {label} {{ ... }}" if count else f"{kind} {{ ... }}"
        if kind == "data" and len(labels) > 2:
            form += f"`, or with a name of its own `data {labels[0].text} {labels[1].text} {{ ... }}"
        said = f"`{title(section)}` has {len(labels) or 'no'} {'label' if len(labels) == 1 else 'labels'}"
        problems.add("MTL110", said, f"write `{form}`", span)
        return False
    return True
