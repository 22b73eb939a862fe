"""From the tree of a text to its specification, or to all the problems that keep it from being one."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.sharing import Sharing
from mtsldsl.spec.blocks import title
from mtsldsl.spec.definitions import check_name, claim, read_definitions
from mtsldsl.spec.model import Data, Spec, Train
from mtsldsl.spec.network import Network, read_data, read_network
from mtsldsl.spec.problems import BROKEN, Broken, Problems
from mtsldsl.spec.schema import BLOCKS, DATA, STRUCTURE
from mtsldsl.spec.sharing_block import read_history, read_sharing
from mtsldsl.spec.tasks import check_fields, read_task
from mtsldsl.spec.training import NO_STRUCTURE, read_structure, read_train
from mtsldsl.syntax import tree

VERSION = 1
"""The version of the language."""


def build(file: tree.File) -> Spec:
    """The specification. Raises MtlError with every problem of the text, in the order of their places."""
    problems = Problems()
    _check_header(file, problems)
    single, tasks = _sections(file, problems)
    definitions = read_definitions(file.statements, problems)
    places = dict(definitions.places)
    data: Data | Broken = read_data(single["data"], definitions, places, problems) if "data" in single else BROKEN
    network = read_network(single.get("backbone"), data, definitions, places, problems)
    named = _named_tasks(tasks, places, problems)
    read = [read_task(section, data, network, definitions, problems) for section in named.values()]
    sound = tuple(task for task in read if not isinstance(task, Broken))
    if not isinstance(data, Broken):
        check_fields(sound, data, problems)
    train: Train | Broken = read_train(single["train"], definitions, problems) if "train" in single else BROKEN
    structure = read_structure(single["structure"], train, definitions, problems) if "structure" in single else None
    sharing = _sharing(single, network, named, problems)
    history = read_history(single.get("history"), network.names, tuple(named), problems)
    problems.check()
    assert not isinstance(data, Broken)
    assert not isinstance(train, Broken)
    assert not isinstance(structure, Broken)
    assert not isinstance(sharing, Broken)
    assert len(sound) == len(read)
    return Spec(data, sound, network.layers(), train, structure, sharing, history, file.source)


def _check_header(file: tree.File, problems: Problems) -> None:
    headers = [statement for statement in file.statements if isinstance(statement, tree.Header)]
    start = Span(file.source, 0, 0)
    if not headers or headers[0] is not file.statements[0]:
        first = file.statements[0].span if file.statements else start
        problems.add(
            "MTL006",
            "the text does not begin with `mtl 1`",
            f"put the line `mtl {VERSION}` first",
            Span(file.source, first.start, first.start),
        )
    for number, header in enumerate(headers):
        if header.keyword.text != "mtl":
            problems.add("MTL006", f"`{header.span.text}` is no statement", f"write `mtl {VERSION}`", header.span)
        elif header.version.value != VERSION or not isinstance(header.version.value, int):
            shown = header.version.span.text
            problems.add(
                "MTL007",
                f"version {shown} of the language is not known",
                f"write `mtl {VERSION}`, the version that this mtsldsl reads",
                header.version.span,
            )
        if number > 0:
            problems.add("MTL006", "`mtl` stands a second time", "leave it out", header.span)


def _sections(file: tree.File, problems: Problems) -> tuple[dict[str, tree.Section], list[tree.Section]]:
    """The blocks of which there is one, by kind, and the tasks; wrong ones are reported and left out."""
    single: dict[str, tree.Section] = {}
    tasks: list[tree.Section] = []
    seen: dict[str, tree.Section] = {}
    for statement in file.statements:
        if not isinstance(statement, tree.Section):
            continue
        kind = statement.kind.text
        if kind not in BLOCKS:
            remedy = suggestion(kind, (*BLOCKS, "let", "block"), "blocks")
            problems.add("MTL101", f"there is no block `{kind}`", remedy, statement.kind.span)
            continue
        sound = _check_labels(statement, problems)
        if kind == "task":
            seen.setdefault(kind, statement)
            if sound:
                tasks.append(statement)
        elif kind in seen:
            problems.add(
                "MTL102",
                f"there is a second block `{kind}`; the first is on line {seen[kind].span.line}",
                "leave one of them out",
                statement.kind.span,
            )
        else:
            seen[kind] = statement
            if sound:
                single[kind] = statement
    end = Span(file.source, len(file.source.text), len(file.source.text))
    for kind, wanted in _REQUIRED.items():
        if kind not in seen:
            problems.add("MTL103", f"there is no block `{kind}`", f"add one: `{wanted}`", end)
    return single, tasks


_REQUIRED = {
    "data": "data scenes { ... }",
    "task": "task depth { ... }",
    "backbone": "backbone { ... }",
    "train": "train { ... }",
}


def _check_labels(section: tree.Section, problems: Problems) -> bool:
    """Whether the block has the labels that its kind needs."""
    kind, labels = section.kind.text, section.labels
    wanted = {"data": tuple(DATA), "structure": (str(STRUCTURE.label), NO_STRUCTURE)}.get(kind)
    count = 1 if wanted or kind == "task" else 0
    span = labels[0].span.to(labels[-1].span) if labels else section.kind.span
    if len(labels) != count:
        form = f"{kind} {wanted[0] if wanted else 'name'} {{ ... }}" if count else f"{kind} {{ ... }}"
        said = f"`{title(section)}` has {len(labels) or 'no'} {'label' if len(labels) == 1 else 'labels'}"
        problems.add("MTL110", said, f"write `{form}`", span)
        return False
    if wanted and labels[0].text not in wanted:
        noun = "data set" if kind == "data" else "method"
        remedy = suggestion(labels[0].text, wanted, f"{noun}s")
        problems.add("MTL110", f"there is no {noun} `{labels[0].text}`", remedy, labels[0].span)
        return False
    return True


def _named_tasks(
    sections: list[tree.Section], places: dict[str, Span], problems: Problems
) -> Mapping[str, tree.Section]:
    named: dict[str, tree.Section] = {}
    for section in sections:
        check_name(section.labels[0], "a task", problems, generated=True)
        if claim(section.labels[0], "a task", places, problems):
            named[section.labels[0].text] = section
    return named


def _sharing(
    single: Mapping[str, tree.Section], network: Network, named: Mapping[str, tree.Section], problems: Problems
) -> Sharing | Broken:
    """The sharing; where there is no layer or no task, what it says cannot be judged."""
    if not network.names or not named:
        return BROKEN
    return read_sharing(single.get("sharing"), network.backbone(), tuple(named), problems)
