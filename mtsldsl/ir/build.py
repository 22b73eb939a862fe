"""From the tree of a text to its specification, or to all the problems that keep it from being one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Diagnostic, Span
from mtsldsl.ir.cost import cost_of, sizes_of, uncounted
from mtsldsl.ir.data_blocks import Blocks, check_inputs_read, check_read, read_blocks, with_variants
from mtsldsl.ir.definitions import Definitions, check_name, claim, read_definitions
from mtsldsl.ir.fitting import unfit_layers
from mtsldsl.ir.header import check_header
from mtsldsl.ir.ids import Reader, misfits_of_ids, readers, with_ids
from mtsldsl.ir.imports import read_imports
from mtsldsl.ir.keep import Tasks
from mtsldsl.ir.library import Library
from mtsldsl.ir.model import Decision, Layer, Spec, Structure, Train, streams_of
from mtsldsl.ir.network import Network, Networks, read_network
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.sections import check_count, read_sections
from mtsldsl.ir.sharing_block import names_help, read_sharing
from mtsldsl.ir.spec_rules import misfit_of_size, misfit_of_teachers, misfits_of_method, sources_of
from mtsldsl.ir.structure_block import read_history, read_structure
from mtsldsl.ir.task_fields import check_fields
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.tasks import read_tasks
from mtsldsl.ir.train_block import read_train
from mtsldsl.ir.tuning_block import read_tuning
from mtsldsl.ir.wiring import reading_tasks
from mtsldsl.language.beginnings import RANGE, misfit_of_weights
from mtsldsl.language.constants import Named
from mtsldsl.language.optimization import misfit_of_balance
from mtsldsl.methods.method import Reach
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing, linked
from mtsldsl.syntax import tree


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
    blocks = read_blocks(sections.data, definitions, places, problems)
    section = single.get("backbone")
    network = read_network(section, blocks.first, blocks.inputs, definitions, library, places, problems)
    networks = _networks(network, section, blocks, definitions, library, problems)
    tasks = _named_tasks(sections.tasks, places, problems)
    sound: list[Task] = []
    for described in tasks:
        read = read_tasks(described.section, described.names, blocks, networks, definitions, problems)
        sound += () if isinstance(read, Broken) or not described.sure else read
    for data in blocks.sound:
        check_fields([task for task in sound if task.data in (None, data.name)], data, problems)
    names = tuple(name for described in tasks if described.sure for name in described.names)
    known = Tasks(names, sound)
    train: Train | Broken = read_train(single["train"], known, definitions, problems) if "train" in single else BROKEN
    further = [section.kind.text for section in sections.further]
    lasting = BROKEN if "train" in further else train
    structure: Structure | Broken | None = None
    if "structure" in single:
        grouped = names_help(single.get("sharing"))
        structure = read_structure(single["structure"], lasting, definitions, problems, grouped=grouped)
    tuning: Mapping[str, Named] = {}
    sharing: Sharing | Broken = BROKEN
    history: tuple[Decision, ...] = ()
    _check_size(network.names, tasks, problems)
    if not problems.exhausted:
        tuning = read_tuning(single.get("tuning"), network.backbone(), names, definitions, problems)
        sharing = read_sharing(
            single.get("sharing"),
            network.backbone(),
            names,
            problems,
            partial="sharing" in further,
            unsure=network.unsure,
            sources=sources_of(streams_of(blocks.sound, sound) if blocks.sound else (), names) if names else None,
        )
        history = read_history(single.get("history"), network.backbone(), names, problems)
        if not isinstance(structure, Broken) and structure is not None:
            said = None if isinstance(sharing, Broken) else sharing
            routed = list(network.alternatives)
            for unfit in misfits_of_method(structure, routed, network.backbone(), said, network.unsure):
                problems.add("MTL505", *unfit, structure.span)
            if not isinstance(train, Broken) and (twice := misfit_of_teachers(structure, train)):
                problems.add("MTL202", *twice, structure.span)
    for section in sections.further:
        _check_further(section, network, known, definitions, problems)
    if len(sound) == len(names) and problems.lost.isdisjoint((Sort.TASK, Sort.DATA)):
        check_read(sections.data, sound, blocks, problems)
        check_inputs_read(sections.data, list(network.bodies.values()), sound, blocks, problems)
        for data in blocks.sound[:1]:
            for cause, remedy, span in misfits_of_ids(data, _readers(network, sound)):
                problems.add("MTL312", cause, remedy, span)
        if not isinstance(train, Broken) and (misfit := misfit_of_balance(train.balance, len(names))):
            problems.add("MTL202", *misfit, train.balance.span)
    if not isinstance(train, Broken):
        _check_weights(train.init, network.names, problems)
    if networks.others and not problems.found:
        _check_fits(_layers(networks), blocks, sound, sharing, problems)
    problems.check()
    layers = _layers(networks)
    data, *more = (with_ids(each, _readers(networks.of(each), sound)) for each in blocks.sound)
    assert not isinstance(train, Broken)
    assert not isinstance(structure, Broken)
    assert not isinstance(sharing, Broken)
    assert len(sound) == len(names)
    given = (train, structure, sharing, history, file.source, library)
    spec = Spec(data, tuple(sound), layers, *given, more_data=tuple(more), tuning=tuning)
    if tuning:
        _check_learning(spec, single["tuning"], problems)
        problems.check()
    if structure is not None:
        _check_counted(spec, structure, problems)
        _check_reach(spec, structure, single["structure"], problems)
        problems.check()
    return spec


def _readers(network: Network, tasks: Sequence[Task]) -> list[Reader]:
    """The layers that are sound, and the heads of these tasks."""
    sound = {name: body for name, body in network.bodies.items() if not isinstance(body, Broken)}
    return list(readers(sound, network.places, tasks))


def _check_learning(spec: Spec, section: tree.Section, problems: Problems) -> None:
    """Report a network of which nothing learns."""
    if spec.settled.issuperset(each.name for each in spec.trained):
        cause = "nothing is left to learn: all layers and heads that have weights are frozen"
        problems.add("MTL506", cause, "leave out a line of `tuning`, such as that of a head", section.kind.span)


def _check_counted(spec: Spec, structure: Structure, problems: Problems) -> None:
    """Report what a method that decides by numbers of parameters would count as none."""
    if structure.known.counts(structure.settings):
        places = dict.fromkeys((step.arguments["target"], step.span or structure.span) for step in uncounted(spec))
        for target, span in places:
            cause = (
                f"`structure {structure.method}` counts parameters here, and `{target}` does not say how many it learns"
            )
            remedy = "say it, `parameters=1234`, which a run compares with the class; 0 where it learns nothing"
            problems.add("MTL505", cause, remedy, span)


def _check_reach(spec: Spec, structure: Structure, section: tree.Section, problems: Problems) -> None:
    """Report what the method cannot reach from the network as it is."""
    hindrances = structure.known.hindrances
    if hindrances is None or any(map(spec.backbone.alternatives, spec.backbone.layers)):
        return
    sides = spec.with_alike_inputs(task.name for task in spec.tasks)
    together = linked([*sides, *(each for layer in spec.layers for each in spec.sharing.partition(layer.name))])
    read_by = reading_tasks(spec)
    rows: dict[str, list[frozenset[str]]] = {}
    for layer in spec.backbone.layers:
        unread = [each for each in spec.sharing.partition(layer) if each.isdisjoint(read_by[layer])]
        rows[layer] = [*unread, *(rest for side in together if (rest := side.difference(*unread)))]
    shared = spec.sharing.given(rows)
    single, least = (cost_of(attrs.evolve(spec, sharing=each)).parameters for each in (spec.sharing.apart(), shared))
    reach = Reach(spec.sharing, sides, single, least, sizes_of(spec), spec.train.epochs)
    for fault in hindrances(structure.settings, reach):
        entries = (each for each in section.items if isinstance(each, tree.Entry) and each.key.text == fault.key)
        place = next((each.value.span for each in entries), section.span)
        problems.add(fault.code, fault.cause, fault.remedy, place)


def _networks(
    main: Network,
    section: tree.Section | None,
    blocks: Blocks,
    definitions: Definitions,
    library: Library,
    problems: Problems,
) -> Networks:
    """The network as each data block makes it. What does not fit a further block is reported with its name."""
    first, found = blocks.first, Networks(main)
    known = {} if isinstance(first, Broken) else {tuple(first.inputs.items()): main}
    for name, data in blocks.by_name.items():
        if isinstance(data, Broken) or isinstance(first, Broken) or data.inputs == first.inputs:
            continue
        given = tuple(data.inputs.items())
        if given not in known:
            heard = problems.aside()
            network = read_network(section, data, blocks.inputs, definitions, library, {}, heard)
            network.problems = network.expander.problems = problems  # what heads have is theirs
            known[given] = network
            said = {each.span for each in problems.found.values()}
            for each in heard.found.values():
                if each.span not in said:
                    sizes = " and ".join(" x ".join(map(str, shape)) for shape in data.inputs.values())
                    inputs = "input" if len(given) == 1 else "inputs"
                    cause = f"with the {inputs} of `data {name}`, {sizes}: {each.cause}"
                    problems.take([attrs.evolve(each, cause=cause)])
        found.others[name] = known[given]
    return found


def _layers(networks: Networks) -> tuple[Layer, ...]:
    """The layers as all data blocks make them, once none is broken."""
    others = {name: network.layers() for name, network in networks.others.items()}
    return with_variants(networks.main.layers(), others)


def _check_fits(
    layers: Sequence[Layer], blocks: Blocks, tasks: Sequence[Task], sharing: Sharing | Broken, problems: Problems
) -> None:
    """Report what tasks share that cannot serve the inputs of all of them."""
    if not isinstance(sharing, Broken) and len(tasks) == len(sharing.tasks):
        of_task = {task.name: data for task in tasks for data in blocks.sound if task.data == data.name}
        for layer, cause, remedy in unfit_layers(layers, sharing, of_task):
            problems.add("MTL310", cause, remedy, layer.span)


def _check_further(
    section: tree.Section, network: Network, tasks: Tasks, definitions: Definitions, problems: Problems
) -> None:
    """Report what is wrong inside a second block of a kind, which has no effect."""
    section = attrs.evolve(section, whole=False)  # what it lacks may be in the first
    match section.kind.text:
        case "backbone":
            network.further(section)
        case "train":
            read_train(section, tasks, definitions, problems)
        case "tuning":
            read_tuning(section, network.backbone(), tasks.names, definitions, problems)
        case "structure":
            read_structure(section, BROKEN, definitions, problems)
        case "sharing":
            read_sharing(section, network.backbone(), tasks.names, problems, partial=True, unsure=network.unsure)
        case "history":
            read_history(section, network.backbone(), tasks.names, problems)


def _check_weights(weights: Named, layers: Sequence[str], problems: Problems) -> None:
    """Report arguments of the weights that have no sense, and a layer of their range which there is not."""
    ends = [name for name in map(weights.arguments.get, RANGE) if isinstance(name, str) and name not in layers]
    lost = [name for name in ends if problems.may_be_lost(name, layers, Sort.LAYER)]
    if not lost and (misfit := misfit_of_weights(weights, layers)):
        problems.add("MTL206", *misfit, weights.span)


def _check_size(layers: Sequence[str], tasks: Sequence[_Described], problems: Problems) -> None:
    """Report more tasks, and more copies of layers, than any machine would train, before they are made."""
    count = sum(len(described.names) for described in tasks)
    if misfit := misfit_of_size(len(layers), count):
        problems.exhausted = True
        problems.add("MTL111", *misfit, tasks[-1].section.kind.span)


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
