"""The backbone: which layers there are, and which of them each one reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen(init=False)
class Backbone:
    """The layers in topological order and, for each, the layers that it reads (the network's input is not one).

    A layer that `reads` leaves out reads the input alone. Raises ValueError where a layer is named twice, or reads
    one that is unknown or does not come before it.
    """

    layers: tuple[str, ...]
    _inputs: tuple[tuple[str, ...], ...] = attrs.field(repr=False)
    _position: dict[str, int] = attrs.field(eq=False, repr=False)
    _outputs: tuple[tuple[str, ...], ...] = attrs.field(eq=False, repr=False)

    def __init__(self, layers: Iterable[str], reads: Mapping[str, Iterable[str]]) -> None:
        names = tuple(layers)
        position = {layer: place for place, layer in enumerate(names)}
        if len(position) < len(names):
            raise ValueError("a layer is named twice")
        unknown = [layer for layer in reads if layer not in position]
        if unknown:
            raise ValueError(f"`reads` names layers that are not in the backbone: {', '.join(unknown)}")
        inputs = tuple(tuple(dict.fromkeys(reads.get(layer, ()))) for layer in names)
        outputs: list[list[str]] = [[] for _ in names]
        for place, (layer, sources) in enumerate(zip(names, inputs, strict=True)):
            for source in sources:
                before = position.get(source)
                if before is None or before >= place:
                    raise ValueError(f"layer `{layer}` reads `{source}`, which is no layer before it")
                outputs[before].append(layer)
        self.__attrs_init__(layers=names, inputs=inputs, position=position, outputs=tuple(map(tuple, outputs)))

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

    def __contains__(self, layer: object) -> bool:
        return layer in self._position

    def __len__(self) -> int:
        return len(self.layers)
