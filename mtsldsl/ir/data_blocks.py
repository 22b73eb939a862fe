"""The data blocks of a text: each read by its kind, and what they must have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Span, suggestion
from mtsldsl.ir.blocks import title
from mtsldsl.ir.body import Body, Parallel
from mtsldsl.ir.definitions import Definitions
from mtsldsl.ir.model import Data, Layer, Spec
from mtsldsl.ir.network import read_data, read_inputs, written_inputs
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.spec_rules import unread_blocks, unread_inputs
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.wiring import bodies
from mtsldsl.records import Record
from mtsldsl.syntax import tree


@attrs.frozen(eq=False, repr=False)
class Blocks(Record):
    """The data blocks of a text by name, broken ones too, and the inputs' names, where they can be told."""

    by_name: Mapping[str, Data | Broken]
    inputs: tuple[str, ...]

    @property
    def first(self) -> Data | Broken:
        """The first one, which decides what the layers are."""
        return next(iter(self.by_name.values()), BROKEN)

    @property
    def sound(self) -> tuple[Data, ...]:
        """Those that could be read."""
        return tuple(data for data in self.by_name.values() if not isinstance(data, Broken))

    @property
    def several(self) -> bool:
        """Whether tasks have to say which one they read."""
        return len(self.by_name) > 1


def block_name(section: tree.Section) -> tree.Name:
    """What tasks call a data block: its second label, or else its kind."""
    return section.labels[-1]


def read_blocks(
    sections: Sequence[tree.Section], definitions: Definitions, places: dict[str, Span], problems: Problems
) -> Blocks:
    """All data blocks, each with a name of its own and with the inputs' names of the first one."""
    found: dict[str, Data | Broken] = {}
    first: tuple[tuple[str, ...], tree.Section] | None = None
    for section in sections:
        name = block_name(section)
        if found and (not name.text or name.text in found):
            if Sort.DATA not in problems.lost:
                _report_second(section, sections[0], name.text, problems)
            read_data(section, definitions, {}, problems)  # what else is wrong in it
            continue
        heard = {} if first else places  # the inputs' names are taken once
        data = read_data(section, definitions, heard, problems)
        found[name.text] = data
        given = tuple(data.inputs) if not isinstance(data, Broken) else read_inputs(section)
        if given and first is not None and given != first[0]:
            _report_other_inputs(section, given, *first, problems)
        if given and first is None:
            first = given, section
    return Blocks(found, first[0] if first else ())


def _report_other_inputs(
    section: tree.Section, given: tuple[str, ...], known: tuple[str, ...], first: tree.Section, problems: Problems
) -> None:
    name, before = block_name(section).text, block_name(first).text
    if len(given) == len(known) == 1:
        cause = f"the input of `data {name}` is called `{given[0]}`, and that of `data {before}` `{known[0]}`"
        remedy = f"call both `{known[0]}`: one network reads them"
    else:
        own, other = (" and ".join(f"`{each}`" for each in names) for names in (given, known))
        cause = f"the inputs of `data {name}` are {own}, and those of `data {before}` {other}"
        remedy = f"give both {other}, in this order: one network reads them"
    problems.add("MTL310", cause, remedy, _input_span(section))


def _report_second(section: tree.Section, first: tree.Section, name: str, problems: Problems) -> None:
    if section.kind.span.text == section.kind.text:  # otherwise the word is misspelt, which is reported
        block = f"data {name}".rstrip()
        cause, remedy = (
            f"there is a second block `{block}`; the first is on line {first.span.line}",
            "leave one of them out",
        )
        if name:
            remedy += f", or give it a name of its own: `data {section.labels[0].text} other {{ ... }}`"
        problems.add("MTL102", cause, remedy, section.kind.span)


def _input_span(section: tree.Section, name: str | None = None) -> Span:
    """Where a data block says what its input is, or its input of that name."""
    for item in section.items:
        if isinstance(item, tree.Entry) and item.key.text == "input":
            calls = (each for each in written_inputs(item.value) if isinstance(each, tree.Call))
            return next((each.span for each in calls if each.function.text == name), item.value.span)
    return section.kind.span


def data_of_task(
    section: tree.Section, given: str | Broken | None, span: Span, blocks: Blocks, problems: Problems
) -> Data | Broken:
    """The data block that a task reads, by what its key `data` says; None stands for no such line."""
    if isinstance(given, Broken):
        return BROKEN
    names = list(blocks.by_name)
    if given is None:
        if not blocks.several:
            return blocks.first
        listed = " or ".join(f"`{name}`" for name in names)
        cause = f"`{title(section)}` does not say which data it reads"
        return problems.add("MTL106", cause, f"add a line `data = ...`, one of {listed}", section.kind.span)
    if given not in blocks.by_name:
        if not names or problems.may_be_lost(given, names, Sort.DATA):
            return BROKEN
        remedy = suggestion(given, names, "data blocks")
        return problems.add("MTL107", f"there is no data block `{given}`", remedy, span)
    return blocks.by_name[given]


def check_read(sections: Sequence[tree.Section], tasks: Sequence[Task], blocks: Blocks, problems: Problems) -> None:
    """Report the data blocks, where there are several, that no task reads; all tasks are known."""
    places = {name.text: name.span for name in map(block_name, sections)}
    sound = [data.name for data in blocks.sound if blocks.several]
    for name, (cause, remedy) in unread_blocks(sound, tasks):
        problems.add("MTL310", cause, remedy, places[name])


def check_inputs_read(
    sections: Sequence[tree.Section],
    layers: Sequence[Body | Parallel | Broken],
    tasks: Sequence[Task],
    blocks: Blocks,
    problems: Problems,
) -> None:
    """Report the inputs, where there are several, that no layer and no head reads; all tasks are known."""
    sound = [layer for layer in layers if not isinstance(layer, Broken)]
    if len(blocks.inputs) == 1 or len(sound) < len(layers):
        return
    for name, (cause, remedy) in unread_inputs(blocks.inputs, sound, tasks):
        problems.add("MTL311", cause, remedy, _input_span(sections[0], name))


def with_variants(layers: Sequence[Layer], others: Mapping[str, Sequence[Layer]]) -> tuple[Layer, ...]:
    """The layers, with what they are for the inputs of `others`, by the names of data blocks, where that differs."""
    found = []
    for place, layer in enumerate(layers):
        variants = {name: other[place].body for name, other in others.items() if other[place].body != layer.body}
        found.append(attrs.evolve(layer, variants=variants) if variants else layer)
    return tuple(found)


def with_mixed_statistics(spec: Spec) -> Iterator[tuple[str, frozenset[str]]]:
    """The layers with a batch normalisation that tasks of several sources of samples share, each with these tasks:
    its running statistics are those of no source."""
    for copy, body in bodies(spec).items():
        mixed = sum(not copy.component.isdisjoint(tasks) for tasks in spec.sharing.sources) > 1
        if mixed and any(step.operator == "batch_norm" for step in body.steps):
            yield copy.layer, copy.component
