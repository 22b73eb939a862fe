"""From the tree of a text to its specification, or to all the problems that keep it from being one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, Span
from mtsldsl.ir.definitions import Definitions, check_name, claim, read_definitions
from mtsldsl.ir.header import check_header
from mtsldsl.ir.imports import read_imports
from mtsldsl.ir.keep import Tasks
from mtsldsl.ir.library import Library
from mtsldsl.ir.model import Data, Decision, Spec, Structure, Task, Train
from mtsldsl.ir.network import Network, read_data, read_input, read_network
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.sections import check_count, read_sections
from mtsldsl.ir.sharing_block import read_sharing
from mtsldsl.ir.structure_block import read_history, read_structure
from mtsldsl.ir.tasks import check_fields, read_tasks
from mtsldsl.ir.train_block import read_train
from mtsldsl.methods.registry import method
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing
from mtsldsl.syntax import tree

MOST_TASKS = 200
"""Tasks of one network."""

MOST_COPIES = 20_000
"""Layers times tasks of one network."""


@attrs.frozen(eq=False, repr=False)
class _Described(Record):
    """A task block with the names of the tasks that it describes. They are not `sure` where they cannot be read."""

    section: tree.Section
    names: Sequence[str]
    sure: bool


def build(file: tree.File, mistakes: Iterable[Diagnostic] = (), library: Library | None = None) -> Spec:
    """The specification. Raises MtlError with every problem of the text, in the order of their places.

    `mistakes` are those that were found in its writing; what could be read all the same is checked with them.
    `library` is what its imports bring, read from the disk where none is given.
    """
    library = read_imports(file) if library is None else library
    sources = (file.source.name, *(imported.source.name for imported in library.files))
    problems = Problems(sources=sources)
    problems.take(mistakes)
    problems.take(library.mistakes)
    check_header(file, problems)
    sections = read_sections(file, library, problems)
    single = sections.single
    definitions = read_definitions([*library.definitions(), *file.statements], problems)
    places = problems.places = dict(definitions.places)
    data: Data | Broken = read_data(single["data"], definitions, places, problems) if "data" in single else BROKEN
    name = read_input(single["data"]) if "data" in single else None
    network = read_network(single.get("backbone"), data, name, definitions, library, places, problems)
    tasks = _named_tasks(sections.tasks, places, problems)
    sound: list[Task] = []
    for described in tasks:
        read = read_tasks(described.section, described.names, data, network, definitions, problems)
        sound += () if isinstance(read, Broken) or not described.sure else read
    if not isinstance(data, Broken):
        check_fields(sound, data, problems)
    names = tuple(name for described in tasks if described.sure for name in described.names)
    known = Tasks(names, sound)
    train: Train | Broken = read_train(single["train"], known, definitions, problems) if "train" in single else BROKEN
    further = [section.kind.text for section in sections.further]
    lasting = BROKEN if "train" in further else train
    structure = read_structure(single["structure"], lasting, definitions, problems) if "structure" in single else None
    sharing: Sharing | Broken = BROKEN
    history: tuple[Decision, ...] = ()
    _check_size(network.names, tasks, problems)
    if not problems.exhausted:
        sharing = read_sharing(
            single.get("sharing"),
            network.backbone(),
            names,
            problems,
            partial="sharing" in further,
            unsure=network.unsure,
        )
        history = read_history(single.get("history"), network.names, names, problems)
        if not isinstance(structure, Broken) and structure is not None:
            _check_method(structure, network, problems)
    for section in sections.further:
        _check_further(section, network, known, definitions, problems)
    problems.check()
    assert not isinstance(data, Broken)
    assert not isinstance(train, Broken)
    assert not isinstance(structure, Broken)
    assert not isinstance(sharing, Broken)
    assert len(sound) == len(names)
    return Spec(data, tuple(sound), network.layers(), train, structure, sharing, history, file.source, library)


def _check_further(
    section: tree.Section, network: Network, tasks: Tasks, definitions: Definitions, problems: Problems
) -> None:
    """Report what is wrong inside a second block of a kind, which has no effect."""
    section = attrs.evolve(section, whole=False)  # what it lacks may be in the first
    match section.kind.text:
        case "data":
            read_data(section, definitions, {}, problems)
        case "backbone":
            network.further(section)
        case "train":
            read_train(section, tasks, definitions, problems)
        case "structure":
            read_structure(section, BROKEN, definitions, problems)
        case "sharing":
            read_sharing(section, network.backbone(), tasks.names, problems, partial=True, unsure=network.unsure)
        case "history":
            read_history(section, network.names, tasks.names, problems)


def _check_method(structure: Structure, network: Network, problems: Problems) -> None:
    """Report a method that cannot learn layers of alternatives where there are some."""
    layers = list(network.alternatives)
    if layers and not method(structure.method).alternatives:
        cause = f"`structure {structure.method}` merges copies of layers, and `{layers[0]}` is made of alternatives"
        remedy = "leave the block `structure` out, or make the layer of one pipeline"
        problems.add("MTL505", cause, remedy, structure.span)


def _check_size(layers: Sequence[str], tasks: Sequence[_Described], problems: Problems) -> None:
    """Report more tasks, and more copies of layers, than any machine would train, before they are made."""
    count = sum(len(described.names) for described in tasks)
    copies = len(layers) * count
    if count > MOST_TASKS:
        cause, remedy = f"the network has {count:,} tasks", f"keep to {MOST_TASKS}: leave tasks out"
    elif copies > MOST_COPIES:
        cause = f"{count:,} tasks with {len(layers):,} layers each are {copies:,} copies of layers"
        remedy = f"keep to {MOST_COPIES:,} copies: put more into a layer, or leave tasks out"
    else:
        return
    problems.exhausted = True
    problems.add("MTL111", cause, remedy, tasks[-1].section.kind.span)


def _named_tasks(sections: Sequence[tree.Section], places: dict[str, Span], problems: Problems) -> list[_Described]:
    """The task blocks, each with the names that it describes; names that cannot be had are reported.

    A block none of whose names can be relied on is checked all the same, as that of one task.
    """
    described = []
    for section in sections:
        names = []
        certain = check_count(section, 1, problems) and section.headed
        for label in section.labels if certain else ():
            check_name(label, "a task", problems, generated=True, recorded=True)
            if claim(label, "a task", places, problems):
                names.append(label.text)
        if len(names) < len(section.labels) or not names:
            problems.lost.add(Sort.TASK)
        described.append(_Described(section, names or ["task"], bool(names)))
    return described
