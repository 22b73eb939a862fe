"""The data block, the layers and the heads: everything that has a shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.datasets.kind import COMMON
from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Span
from mtsldsl.ir.blocks import BlockValues, entries_of, read_block
from mtsldsl.ir.body import Body, Parallel
from mtsldsl.ir.data_rules import misfits_of_data
from mtsldsl.ir.definitions import Definitions, check_name, check_unused, claim, walk
from mtsldsl.ir.expand import Apply, Expander, Stage
from mtsldsl.ir.graph import graph
from mtsldsl.ir.library import Library
from mtsldsl.ir.lower import lower
from mtsldsl.ir.model import Data, Layer
from mtsldsl.ir.parallel import alternatives_of, parallel_call, pipelines_of, read_parallel
from mtsldsl.ir.problems import BROKEN, Broken, Problems, Sort
from mtsldsl.ir.scope import Bound, Scope
from mtsldsl.language.constants import Shape
from mtsldsl.language.naming import OUTPUTS, STAGES, refusal
from mtsldsl.language.operators.own import TAP
from mtsldsl.language.written import is_word
from mtsldsl.sharing import Backbone
from mtsldsl.syntax import tree

_SUPPOSED = ((5040, 1), (10080, 2))
"""Two shapes that a broken layer may have: channels, and by how much it is smaller than the input. What is reported of
both in the same words does not depend on the shape; the channels are multiples of most numbers of groups and heads."""


@attrs.frozen(eq=False, repr=False)
class Supposed(Data):
    """Stands for a data block that is wrong, which is reported, so that what reads it is checked all the same."""

    def __attrs_post_init__(self) -> None:
        """Not held to what a data block may say."""


def read_inputs(section: tree.Section) -> tuple[str, ...]:
    """The names of the inputs, also where their sizes are wrong; none where they cannot be told."""
    for item in section.items:
        if isinstance(item, tree.Entry) and item.key.text == "input":
            names = [call.function.text if isinstance(call, tree.Call) else "." for call in written_inputs(item.value)]
            return () if any("." in name for name in names) else tuple(dict.fromkeys(names))
    return ()


def written_inputs(value: tree.Value) -> tuple[tree.Value, ...]:
    """The inputs as `input` has them: one, or the items of a list."""
    return tuple(value.items) if isinstance(value, tree.List) else (value,)


def read_data(
    section: tree.Section, definitions: Definitions, places: dict[str, Span], problems: Problems
) -> Data | Broken:
    """The data block, with defaults for values that are reported. Names of inputs are taken note of in `places`."""
    label = section.labels[0].text
    schema = data_kind(label).block
    if label not in DATASETS:  # nobody knows what other keys it may have
        known = {key.name for key in schema.keys or ()}
        items = tuple(each for each in section.items if not isinstance(each, tree.Entry) or each.key.text in known)
        section = attrs.evolve(section, items=items)
    block = read_block(section, schema, definitions.scope, problems)
    given = block["input"]
    if isinstance(given, Broken):
        return BROKEN
    inputs: dict[str, Shape] = {}
    for name, *sizes in given if isinstance(given[0], tuple) else (given,):
        inputs.setdefault(name, tuple(sizes))  # a name that comes twice is reported
    _check_inputs(section, inputs, block, places, problems)
    values = block.standing()
    options = {key: value for key, value in values.items() if key not in COMMON}
    augment = () if isinstance(block["augment"], Broken) else block["augment"]
    misfits = list(misfits_of_data(label, inputs, augment, options))
    for misfit in misfits:
        span = misfit.augmentation.span if misfit.augmentation else block.place(misfit.key)
        problems.add("MTL202", misfit.cause, misfit.remedy, span)
    named = all(refusal(name, generated=True) is None for name in inputs)
    sound = named and not misfits and BROKEN not in options.values()
    made = Data if label in DATASETS and sound else Supposed
    own = section.labels[1].text if len(section.labels) > 1 else None
    batch, augment = values["batch"], values["augment"]
    (name, shape), *more = inputs.items()
    return made(schema.label or "", name, shape, batch, augment, options, section.span, own, tuple(more))


def _check_inputs(
    section: tree.Section,
    inputs: Mapping[str, Shape],
    block: BlockValues,
    places: dict[str, Span],
    problems: Problems,
) -> None:
    span = block.place("input")
    written = block.entries.get("input")
    calls = [] if written is None else [each for each in written_inputs(written.value) if isinstance(each, tree.Call)]
    for call in calls:
        check_name(call.function, "the input", problems, generated=True)
        claim(call.function, "the input", places, problems)
    if not calls:
        for name in inputs:
            places.setdefault(name, span)


@attrs.define(eq=False, repr=False)
class Network:
    """The layers that could be read, and what is needed to read the heads."""

    expander: Expander
    inputs: tuple[str, ...]
    image: Shape | Broken
    """That of the input, or of the first image among several."""
    problems: Problems
    shapes: dict[str, Shape | Broken]
    bodies: dict[str, Body | Parallel | Broken] = attrs.field(factory=dict)
    alternatives: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Of the layers that have some, also where one is broken."""
    ordinary: set[str] = attrs.field(factory=set)
    """Broken layers that have none for certain."""
    named: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    places: dict[str, Span] = attrs.field(factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All layers, broken ones too, in order."""
        return tuple(self.bodies)

    def is_stage(self, name: str) -> bool:
        """Whether a pipeline may call it."""
        return name in STAGES or name in self.expander.definitions.blocks

    @property
    def last(self) -> str:
        """The last layer, or the first input where there is none."""
        return next(reversed(self.bodies), self.inputs[0])

    @property
    def unsure(self) -> frozenset[str]:
        """The broken layers of which it cannot be told whether they have alternatives, or which."""
        broken = {name for name, body in self.bodies.items() if isinstance(body, Broken)}
        return frozenset(broken - self.alternatives.keys() - self.ordinary)

    def backbone(self) -> Backbone:
        """The graph of the layers; a broken one reads what its line names, as far as that can be told."""
        return graph(self.bodies, self.named, self.alternatives)

    def layers(self) -> tuple[Layer, ...]:
        """The layers, once none is broken."""
        return tuple(
            Layer(name, body, self.places[name]) for name, body in self.bodies.items() if not isinstance(body, Broken)
        )

    def body(self, value: tree.Value, start: str, copies: int = 1, scope: Scope | None = None) -> Body | Broken:
        """The body of a pipeline that starts from `start` unless it names another layer; for so many tasks."""
        stages = self.expander.pipeline(value, copies, scope)
        if isinstance(stages, Broken) or isinstance(self.image, Broken):
            return BROKEN
        if self._taps_broken(stages):
            return BROKEN
        before = len(self.problems.found)
        body = lower(stages, start, self.shapes, self.image, self.problems)
        if not isinstance(body, Broken) or len(self.problems.found) > before:
            return body
        return self._whatever(stages, start, self.image)

    def layer(self, name: str, value: tree.Value) -> Body | Parallel | Broken:
        """What a layer is: one body, or alternatives, whose names are taken note of."""
        call = parallel_call(value)
        if call is None:
            return self.body(value, self.last)
        read = alternatives_of(call, self.expander.definitions.scope, self.problems)
        if isinstance(read, Broken):
            for each in pipelines_of(value):
                self.body(each, self.last)
            return BROKEN
        values, gate = read
        self.alternatives[name] = tuple(values)
        return read_parallel(call, values, lambda each: self.body(each, self.last, len(values)), gate, self.problems)

    def named_in(self, value: tree.Value) -> tuple[str, ...]:
        """The layers above that a pipeline names; it starts from the last one unless it names another first."""
        read = (node.text.partition(".")[0] for node in walk(value) if isinstance(node, tree.Name))
        names = [name for name in read if name in self.bodies]
        first = value.stages[0] if isinstance(value, tree.Pipeline) else value
        while isinstance(first, tree.Group):
            first = first.value
        name = first.function if isinstance(first, tree.Call) else first
        if not isinstance(name, tree.Name):
            return ()
        if name.text.partition(".")[0] in self.bodies:
            return tuple(dict.fromkeys(names))
        if not self.is_stage(name.text):
            return ()  # it may be a layer misspelt
        return tuple(dict.fromkeys([*names, *([self.last] if self.last in self.bodies else [])]))

    def _taps_broken(self, stages: Sequence[Stage]) -> bool:
        """Whether they name an output of a broken layer, which it may have."""
        for place, stage in enumerate(stages):
            if isinstance(stage, Apply):
                if any(map(self._taps_broken, stage.values)):
                    return True
            elif isinstance(self.shapes[stage.name], Broken) and place + 1 < len(stages):
                after = stages[place + 1]
                if isinstance(after, Apply) and after.operator == TAP:
                    return True
        return False

    def _whatever(self, stages: Sequence[Stage], start: str, image: Shape) -> Body | Broken:
        """The body of a pipeline that reads broken layers, where its output has one shape whatever theirs is.

        What is wrong whatever their shape is reported.
        """
        outcomes = []
        for supposed in _SUPPOSED:
            heard = self.problems.aside()
            shape = (supposed[0], *(max(1, size // supposed[1]) for size in image[1:]))
            outcomes.append((lower(stages, start, _Supposed(self.shapes, shape), image, heard), heard.found))
        (one, wrong), (other, wrong_too) = outcomes
        if wrong.keys() == wrong_too.keys():
            self.problems.take(wrong.values())
        same = not isinstance(one, Broken) and not isinstance(other, Broken) and one.shape == other.shape
        return one if same else BROKEN

    def further(self, section: tree.Section) -> None:
        """Report what is wrong with the pipelines of a second backbone, which has no effect."""
        for entry in entries_of(section, self.problems):
            for value in pipelines_of(entry.value):
                self.expander.pipeline(value)
            self.expander.ready.add(entry.key.text)

    def head(self, bound: Bound, outputs: int | Broken, copies: int = 1) -> Body | Broken:
        """The body of a head that so many tasks have, whose target needs so many channels: `outputs` in its text."""
        scope = self.expander.definitions.scope
        if OUTPUTS not in scope.names:
            number: Bound | Broken = BROKEN
            if not isinstance(outputs, Broken):
                number = Bound(tree.Number(outputs, bound.span), scope, bound.span)
            scope = Scope({OUTPUTS: number}, scope, call=True)
        return self.body(bound.value, self.last, copies, scope)


@attrs.define(eq=False, repr=False)
class Networks:
    """The network as the samples of each data block make it: blocks with inputs of one shape have one."""

    main: Network
    others: dict[str, Network] = attrs.field(factory=dict)
    """By the names of the blocks whose inputs have another shape than the first one's."""

    def of(self, data: Data | Broken) -> Network:
        """That of a block."""
        return self.main if isinstance(data, Broken) else self.others.get(data.name, self.main)


@attrs.frozen(eq=False, repr=False)
class _Supposed(Mapping[str, "Shape | Broken"]):
    """The shapes of layers, with one for all broken ones; nothing is copied, for this is asked for each layer."""

    shapes: Mapping[str, Shape | Broken]
    broken: Shape

    def __getitem__(self, name: str) -> Shape | Broken:
        known = self.shapes[name]
        return self.broken if isinstance(known, Broken) else known

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def read_network(
    section: tree.Section | None,
    data: Data | Broken,
    names: Sequence[str],
    definitions: Definitions,
    library: Library,
    places: dict[str, Span],
    problems: Problems,
) -> Network:
    """The layers of the backbone block. Their names are taken note of in `places`. The inputs' names may be known where
    the data block is broken."""
    entries = _layers(section, places, problems)
    spans = {entry.key.text: entry.key.span for entry in entries}
    shapes: dict[str, Shape | Broken] = dict(data.inputs) if isinstance(data, Data) else dict.fromkeys(names, BROKEN)
    image = BROKEN if isinstance(data, Broken) else image_of(data)
    expander = Expander(definitions, spans, tuple(shapes), problems)
    if section is None or not shapes:  # without layers no head is to fit the input
        shapes = dict.fromkeys(shapes or ("",), BROKEN)
    network = Network(expander, tuple(shapes), image, problems, shapes, places=spans)
    for entry in entries:
        layer = expander.current = entry.key.text
        body = network.layer(layer, entry.value)
        if isinstance(body, Broken):
            reads = (network.named_in(each) for each in pipelines_of(entry.value))
            network.named[layer] = tuple(dict.fromkeys(name for names in reads for name in names))
            calls = (node.function.text for node in walk(entry.value) if isinstance(node, tree.Call))
            if all(map(network.is_stage, calls)):  # what is none may be `parallel` misspelt
                network.ordinary.add(layer)
        network.bodies[layer] = body
        network.shapes[layer] = BROKEN if isinstance(body, Broken) else body.shape
        expander.ready.add(layer)
    expander.current = None
    check_unused(definitions, [*spans, *network.inputs], library, problems, calls_only=not expander.inputs)
    return network


def image_of(data: Data) -> Shape:
    """The shape of its input, or of the first that is an image among several."""
    return next((shape for shape in data.inputs.values() if len(shape) == 3), data.shape)


def _layers(section: tree.Section | None, places: dict[str, Span], problems: Problems) -> Sequence[tree.Entry]:
    if section is None:
        return ()
    layers = []
    for entry in entries_of(section, problems):
        check_name(entry.key, "a layer", problems, generated=True)
        free = claim(entry.key, "a layer", places, problems)
        if free:
            layers.append(entry)
        if not free or not is_word(entry.key.text):
            problems.lost.add(Sort.LAYER)
    if not section.items and section.whole:
        problems.add(
            "MTL106", "`backbone` has no layer", "add lines such as `stem = conv2d(64, 3) | relu`", section.kind.span
        )
    return layers
