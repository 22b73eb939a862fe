"""The backbone: which layers there are, and which of them each one reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from mtsldsl.records import Record


@attrs.frozen(init=False, eq=False, repr=False)
class Backbone(Record):
    """The layers in topological order and, for each, the layers that it reads (the network's input is not one).

    A layer that `reads` leaves out reads the input alone. `alternatives` has the names of those that a layer is made
    of, where it is made of some, of which each task uses its own; `mixtures` are those of these layers that each task
    weighs for itself. Raises ValueError where a layer is named twice, or
    reads one that is unknown or does not come before it, and where an alternative is named twice or a layer has none.
    """

    layers: tuple[str, ...]
    _inputs: tuple[tuple[str, ...], ...] = attrs.field(repr=False)
    _alternatives: tuple[tuple[str, ...], ...] = attrs.field(repr=False)
    _mixtures: frozenset[str] = attrs.field(repr=False)
    _below: tuple[bool, ...] = attrs.field(eq=False, repr=False)
    _position: dict[str, int] = attrs.field(eq=False, repr=False)
    _outputs: tuple[tuple[str, ...], ...] = attrs.field(eq=False, repr=False)

    def __init__(
        self,
        layers: Iterable[str],
        reads: Mapping[str, Iterable[str]],
        alternatives: Mapping[str, Iterable[str]] = {},
        mixtures: Iterable[str] = (),
    ) -> None:
        names = tuple(layers)
        position = {layer: place for place, layer in enumerate(names)}
        if len(position) < len(names):
            raise ValueError("a layer is named twice")
        for what, named in (("reads", reads), ("alternatives", alternatives)):
            unknown = [layer for layer in named if layer not in position]
            if unknown:
                raise ValueError(f"`{what}` names layers that are not in the backbone: {', '.join(unknown)}")
        parts = {layer: tuple(listed) for layer, listed in alternatives.items()}
        for layer, listed in parts.items():
            if not listed or len(set(listed)) < len(listed):
                raise ValueError(f"layer `{layer}` needs alternatives of different names")
        mixed = frozenset(mixtures)
        if not mixed <= parts.keys():
            raise ValueError(f"`mixtures` names layers without alternatives: {', '.join(sorted(mixed - parts.keys()))}")
        inputs = tuple(tuple(dict.fromkeys(reads.get(layer, ()))) for layer in names)
        outputs: list[list[str]] = [[] for _ in names]
        below: list[bool] = []
        for place, (layer, sources) in enumerate(zip(names, inputs, strict=True)):
            for source in sources:
                before = position.get(source)
                if before is None or before >= place:
                    raise ValueError(f"layer `{layer}` reads `{source}`, which is no layer before it")
                outputs[before].append(layer)
            below.append(any(source in parts or below[position[source]] for source in sources))
        self.__attrs_init__(
            layers=names,
            inputs=inputs,
            alternatives=tuple(parts.get(layer, ()) for layer in names),
            mixtures=mixed,
            below=tuple(below),
            position=position,
            outputs=tuple(map(tuple, outputs)),
        )

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """For every layer the layers that it reads; a new dictionary at each call."""
        return dict(zip(self.layers, self._inputs, strict=True))

    def position(self, layer: str) -> int:
        """The place of `layer` in the topological order; KeyError where there is no such layer."""
        return self._position[layer]

    def inputs(self, layer: str) -> tuple[str, ...]:
        """The layers that `layer` reads; KeyError where there is no such layer."""
        return self._inputs[self._position[layer]]

    def readers(self, layer: str) -> tuple[str, ...]:
        """The layers that read `layer`; KeyError where there is no such layer."""
        return self._outputs[self._position[layer]]

    def alternatives(self, layer: str) -> tuple[str, ...]:
        """The alternatives that `layer` is made of, none for most; KeyError where there is no such layer."""
        return self._alternatives[self._position[layer]]

    def mixes(self, layer: str) -> bool:
        """Whether each task weighs the alternatives of `layer` for itself, so that no two get the same."""
        return layer in self._mixtures

    def below_alternatives(self, layer: str) -> bool:
        """Whether `layer` reads a layer of alternatives, directly or through others: then tasks that share it share its
        weights, and what they compute with them may differ. KeyError where there is no such layer."""
        return self._below[self._position[layer]]

    def __contains__(self, layer: object) -> bool:
        return layer in self._position

    def __len__(self) -> int:
        return len(self.layers)
