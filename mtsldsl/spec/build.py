"""From the tree of a text to its specification, or to all the problems that keep it from being one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, Span, nearest, suggestion
from mtsldsl.sharing import Sharing
from mtsldsl.spec.blocks import title
from mtsldsl.spec.definitions import check_name, claim, read_definitions
from mtsldsl.spec.header import check_header
from mtsldsl.spec.imports import read_imports
from mtsldsl.spec.library import Library
from mtsldsl.spec.model import Data, Decision, Spec, Train
from mtsldsl.spec.network import read_data, read_network
from mtsldsl.spec.problems import BROKEN, Broken, Problems
from mtsldsl.spec.schema import BLOCKS, DATA, STRUCTURE
from mtsldsl.spec.sharing_block import read_history, read_sharing
from mtsldsl.spec.tasks import check_fields, read_tasks
from mtsldsl.spec.training import NO_STRUCTURE, read_structure, read_train
from mtsldsl.syntax import tree

MOST_COPIES = 100_000
"""Layers times tasks of one network."""


def build(file: tree.File, mistakes: Iterable[Diagnostic] = (), library: Library | None = None) -> Spec:
    """The specification. Raises MtlError with every problem of the text, in the order of their places.

    `mistakes` are those that were found in its writing; what could be read all the same is checked with them.
    `library` is what its imports bring, read from the disk where none is given.
    """
    library = read_imports(file) if library is None else library
    sources = (file.source.name, *(imported.source.name for imported in library.files))
    problems = Problems(names_lost=not (file.whole and library.whole), sources=sources)
    problems.take(mistakes)
    problems.take(library.mistakes)
    check_header(file, problems)
    single, tasks = _sections(file, library, problems)
    definitions = read_definitions([*library.definitions(), *file.statements], problems)
    places = dict(definitions.places)
    data: Data | Broken = read_data(single["data"], definitions, places, problems) if "data" in single else BROKEN
    network = read_network(single.get("backbone"), data, definitions, library, places, problems)
    named = _named_tasks(tasks, places, problems)
    read = [read_tasks(section, names, data, network, definitions, problems) for section, names in named]
    sound = tuple(task for several in read if not isinstance(several, Broken) for task in several)
    if not isinstance(data, Broken):
        check_fields(sound, data, problems)
    train: Train | Broken = read_train(single["train"], definitions, problems) if "train" in single else BROKEN
    structure = read_structure(single["structure"], train, definitions, problems) if "structure" in single else None
    sharing: Sharing | Broken = BROKEN
    history: tuple[Decision, ...] = ()
    all_names = tuple(name for _, names in named for name in names)
    _check_size(network.names, all_names, named, problems)
    if network.names and named and not problems.names_lost and not problems.exhausted:
        sharing = read_sharing(single.get("sharing"), network.backbone(), all_names, problems)
        history = read_history(single.get("history"), network.names, all_names, problems)
    problems.check()
    assert not isinstance(data, Broken)
    assert not isinstance(train, Broken)
    assert not isinstance(structure, Broken)
    assert not isinstance(sharing, Broken)
    assert len(sound) == len(all_names)
    return Spec(data, sound, network.layers(), train, structure, sharing, history, file.source, library)


def _check_size(
    layers: Sequence[str], tasks: Sequence[str], named: Sequence[tuple[tree.Section, list[str]]], problems: Problems
) -> None:
    """Report more copies of layers than any machine would train, before they are made."""
    if len(layers) * len(tasks) > MOST_COPIES:
        problems.exhausted = True
        problems.add(
            "MTL111",
            f"{len(tasks):,} tasks with {len(layers):,} layers each are {len(layers) * len(tasks):,} copies of layers",
            f"keep to {MOST_COPIES:,} copies: put more into a layer, or leave tasks out",
            named[-1][0].kind.span,
        )


def _sections(
    file: tree.File, library: Library, problems: Problems
) -> tuple[dict[str, tree.Section], list[tree.Section]]:
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
            _lose(nearest(kind, BLOCKS), statement, seen, problems)
            continue
        sound = _check_labels(statement, problems)
        if not (sound and statement.whole):
            _lose(kind, statement, {}, problems)
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
    if library.backbone is not None:
        single["backbone"] = seen["backbone"] = library.backbone
    end = Span(file.source, len(file.source.text), len(file.source.text))
    problems.names_lost |= "backbone" not in seen
    for kind, wanted in _REQUIRED.items():
        if kind not in seen and file.whole and (library.whole or kind != "backbone"):
            problems.add("MTL103", f"there is no block `{kind}`", f"add one: `{wanted}`", end)
    return single, tasks


def _lose(kind: str | None, statement: tree.Section, seen: dict[str, tree.Section], problems: Problems) -> None:
    """Note that what a block of that kind says is not known, or not all of it: the block itself is there."""
    if kind is not None:
        seen.setdefault(kind, statement)
    problems.names_lost |= kind in ("backbone", "task")


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
    if len(labels) != count and not section.whole:
        return False  # they could not all be read
    if section.listed:
        if kind != "task":
            remedy = f"write `{title(attrs.evolve(section, listed=False, labels=labels[:count]))} {{ ... }}`"
            problems.add("MTL110", f"`{title(section)}` has a list; only `task` takes one", remedy, span)
        return kind == "task"
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
) -> list[tuple[tree.Section, list[str]]]:
    """The task blocks, each with the names that it describes; names that cannot be had are reported and left out."""
    named = []
    for section in sections:
        names = []
        for label in section.labels:
            check_name(label, "a task", problems, generated=True, recorded=True)
            if claim(label, "a task", places, problems):
                names.append(label.text)
        if names:
            named.append((section, names))
    return named
