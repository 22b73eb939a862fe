"""The data block, the layers and the heads: everything that has a shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.sharing import Backbone
from mtsldsl.spec.blocks import BlockValues, entries_of, read_block
from mtsldsl.spec.definitions import Definitions, check_name, check_unused, claim
from mtsldsl.spec.expand import Expander
from mtsldsl.spec.library import Library
from mtsldsl.spec.lower import lower
from mtsldsl.spec.model import Body, Data, Layer, Shape
from mtsldsl.spec.problems import BROKEN, Broken, Problems
from mtsldsl.spec.schema import DATA
from mtsldsl.spec.scope import Bound
from mtsldsl.spec.targets import FIELDS
from mtsldsl.syntax import tree

_SHARED_KEYS = ("input", "batch", "augment")


def read_data(
    section: tree.Section, definitions: Definitions, places: dict[str, Span], problems: Problems
) -> Data | Broken:
    """The data block, with defaults for values that are reported. The input's name is taken note of in `places`."""
    schema = DATA[section.labels[0].text]
    block = read_block(section, schema, definitions.scope, problems)
    given = block["input"]
    if isinstance(given, Broken):
        return BROKEN
    name, *shape = given
    _check_input(section, name, tuple(shape), block, places, problems)
    values = block.standing()
    options = {key: value for key, value in values.items() if key not in _SHARED_KEYS}
    return Data(schema.label or "", name, tuple(shape), values["batch"], values["augment"], options, span=section.span)


def _check_input(
    section: tree.Section, name: str, shape: Shape, block: BlockValues, places: dict[str, Span], problems: Problems
) -> None:
    kind, span = section.labels[0].text, block.place("input")
    written = block.entries.get("input")
    if written is not None and isinstance(written.value, tree.Call):
        check_name(written.value.function, "the input", problems, generated=True)
        claim(written.value.function, "the input", places, problems)
    else:
        places.setdefault(name, span)
    if kind in FIELDS and (len(shape) != 3 or shape[0] != 3):
        problems.add(
            "MTL202",
            f"the images of `{kind}` have 3 channels, height and width, not {' x '.join(map(str, shape))}",
            f"give `{name}(3, height, width)`",
            span,
        )
    if len(shape) != 3:
        for augmentation in () if isinstance(block["augment"], Broken) else block["augment"]:
            problems.add(
                "MTL202",
                f"`{augmentation.name}` needs images, and the input has {len(shape)} of their 3 sizes",
                "leave it out",
                augmentation.span,
            )


@attrs.define
class Network:
    """The layers that could be read, and what is needed to read the heads."""

    expander: Expander
    input: str
    image: Shape | Broken
    problems: Problems
    shapes: dict[str, Shape | Broken]
    bodies: dict[str, Body | Broken] = attrs.field(factory=dict)
    places: dict[str, Span] = attrs.field(factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All layers, broken ones too, in order."""
        return tuple(self.bodies)

    @property
    def last(self) -> str:
        """The last layer, or the input where there is none."""
        return next(reversed(self.bodies), self.input)

    def backbone(self) -> Backbone:
        """The graph of the layers; a broken one reads nothing."""
        return graph(self.bodies)

    def layers(self) -> tuple[Layer, ...]:
        """The layers, once none is broken."""
        return tuple(
            Layer(name, body, self.places[name]) for name, body in self.bodies.items() if not isinstance(body, Broken)
        )

    def body(self, value: tree.Value, start: str, copies: int = 1) -> Body | Broken:
        """The body of a pipeline that starts from `start` unless it names another layer; for so many tasks."""
        stages = self.expander.pipeline(value, copies)
        if isinstance(stages, Broken) or isinstance(self.image, Broken):
            return BROKEN
        return lower(stages, start, self.shapes, self.image, self.problems)

    def head(self, bound: Bound, copies: int = 1) -> Body | Broken:
        """The body of a head that so many tasks have."""
        return self.body(bound.value, self.last, copies)


def graph(bodies: Mapping[str, Body | Broken]) -> Backbone:
    """The layers and what each of them reads."""
    reads: dict[str, Iterable[str]] = {
        name: () if isinstance(body, Broken) else [source for source in body.inputs if source in bodies]
        for name, body in bodies.items()
    }
    return Backbone(bodies, reads)


def read_network(
    section: tree.Section | None,
    data: Data | Broken,
    definitions: Definitions,
    library: Library,
    places: dict[str, Span],
    problems: Problems,
) -> Network:
    """The layers of the backbone block. Their names are taken note of in `places`."""
    entries = _layers(section, places, problems)
    spans = {entry.key.text: entry.key.span for entry in entries}
    name, image = ("", BROKEN) if isinstance(data, Broken) else (data.input, data.shape)
    expander = Expander(definitions, spans, name or None, problems)
    network = Network(expander, name, image, problems, {name: image}, places=spans)
    for entry in entries:
        layer = expander.current = entry.key.text
        body = network.body(entry.value, network.last)
        network.bodies[layer] = body
        network.shapes[layer] = BROKEN if isinstance(body, Broken) else body.shape
        expander.ready.add(layer)
    expander.current = None
    check_unused(definitions, [*spans, name], library, problems, calls_only=not name)
    return network


def _layers(section: tree.Section | None, places: dict[str, Span], problems: Problems) -> Sequence[tree.Entry]:
    if section is None:
        return ()
    layers = []
    for entry in entries_of(section, problems):
        check_name(entry.key, "a layer", problems, generated=True)
        if claim(entry.key, "a layer", places, problems):
            layers.append(entry)
    if not section.items and section.whole:
        problems.add(
            "MTL106", "`backbone` has no layer", "add lines such as `stem = conv2d(64, 3) | relu`", section.kind.span
        )
    return layers
