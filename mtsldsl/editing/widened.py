"""A network as wide as a budget of parameters lets it be: all its layers by one factor."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing.bundle import self_contained
from mtsldsl.editing.load import loads_source
from mtsldsl.editing.pipeline_text import layer_text
from mtsldsl.ir.body import Step
from mtsldsl.ir.library import sections_of
from mtsldsl.ir.model import Layer, Spec
from mtsldsl.ir.network import image_of
from mtsldsl.language.operator import Arguments
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.arguments import integer
from mtsldsl.language.operators.own import OWN
from mtsldsl.syntax import apply_edits, parse, tree
from mtsldsl.syntax.edit import replace_value
from mtsldsl.syntax.format import format_text

_MOST_DOUBLINGS = 16


class NotWidenedError(ValueError):
    """There is no wider network within a budget; it says why."""


def widened(spec: Spec, budget: int) -> Spec:
    """The spec with the widths of all layers times one factor, such that it has the most parameters within the budget.

    The width of a layer's operator is the argument that says how many channels come out. The widest of all takes whole
    numbers one after the other, all others are rounded in proportion; heads stay as they are, but for what they read. A
    factor at which some layer is no longer one, as where groups do not divide its channels, is passed over. The
    backbone of its text has no blocks and constants any more. Raises NotWidenedError where no wider network is within
    the budget, or none can be made.
    """
    found = Widths.of(spec).widest(budget)
    return loads_source(attrs.evolve(found.source, text=format_text(found.source)))


@attrs.define(eq=False)
class Widths:
    """A sound spec at other widths."""

    spec: Spec
    base: int
    """The largest width that it has."""
    _made: dict[int, Spec | MtlError] = attrs.field(factory=dict)

    @classmethod
    def of(cls, spec: Spec) -> Widths:
        """Raises NotWidenedError where there is nothing to widen, or what can not be."""
        spec = self_contained(spec)
        if spec.train.init.name != "none":
            raise NotWidenedError(f"it begins with the weights of `init = {spec.train.init.name}`, which have a width")
        for layer in spec.layers:
            if any(step.operator == OWN for step in _steps(layer)):
                raise NotWidenedError(f"`{layer.name}` has a `{OWN}`, whose width cannot be told from its arguments")
        found = [width for layer in spec.layers for step in _steps(layer) if (width := _width(step))]
        if not found:
            raise NotWidenedError("no layer has a width")
        widths = cls(spec, max(found))
        if widths.at(widths.base) != spec:
            raise NotWidenedError("with its layers written out it would not be read as the same")
        return widths

    def at(self, largest: int) -> Spec | MtlError:
        """The spec whose widest operator has so many channels; what is wrong where there is none."""
        if largest not in self._made:
            try:
                self._made[largest] = self._at(largest)
            except MtlError as problem:
                self._made[largest] = problem
        return self._made[largest]

    def _at(self, largest: int) -> Spec:
        file = parse(self.spec.source)
        entries = [item for item in next(sections_of(file, "backbone")).items if isinstance(item, tree.Entry)]
        edits = [replace_value(entry, self._layer(self.spec.layer(entry.key.text), largest)) for entry in entries]
        return loads_source(attrs.evolve(file.source, text=apply_edits(file.source.text, edits)))

    def _layer(self, layer: Layer, largest: int) -> str:
        blocks = self.spec.blocks if layer.variants else ()
        by_size = [(image_of(data), layer.body_for(data.name)) for data in blocks]
        return layer_text(layer.body, by_size, lambda step: self._wider(step, largest))

    def _wider(self, step: Step, largest: int) -> Arguments:
        """The arguments of a step at another width."""
        width = _width(step)
        if not width:
            return step.arguments
        wider = max(1, (2 * width * largest + self.base) // (2 * self.base))
        return {**step.arguments, OPERATORS[step.operator].width: wider}

    def widest(self, budget: int) -> Spec:
        """That of the most parameters within the budget. Raises NotWidenedError where there is none."""
        low, high = self._around(budget)
        start = self.at(low)
        found = start if isinstance(start, Spec) and low > self.base else None
        while high - low > 1:
            middle = (low + high) // 2
            place, spec = self._below(middle, low)
            if spec is None or spec.cost().parameters <= budget:
                low, found = middle, spec or found
            else:
                high = place
        if found is None:
            wider = self.at(high)
            assert isinstance(wider, Spec)
            raise NotWidenedError(
                f"the next wider one has {wider.cost().parameters:,} parameters, and the budget is {budget:,}"
            )
        return found

    def _around(self, budget: int) -> tuple[int, int]:
        """A width within the budget and one beyond it, the one twice the other. Whole factors are taken, at which a
        layer that can be widened at all is one."""
        has = self.spec.cost().parameters
        if has > budget:
            raise NotWidenedError(f"it has {has:,} parameters as it is, and the budget is {budget:,}")
        low = self.base
        for _ in range(_MOST_DOUBLINGS):
            wider = self.at(2 * low)
            if isinstance(wider, MtlError):
                raise NotWidenedError(f"at {2 * low // self.base} times its width, {wider.diagnostics[0].cause}")
            if wider.cost().parameters > budget:
                return low, 2 * low
            low *= 2
        raise NotWidenedError("its parameters do not grow with its width")

    def _below(self, largest: int, floor: int) -> tuple[int, Spec | None]:
        """The first that is a network, from `largest` downwards, above `floor`."""
        for place in range(largest, floor, -1):
            found = self.at(place)
            if isinstance(found, Spec):
                return place, found
        return floor, None


def _steps(layer: Layer) -> Iterator[Step]:
    for body in layer.bodies.values():
        yield from body.steps


def _width(step: Step) -> int:
    """How many channels it gives by an argument of its own; 0 where it has none."""
    name = OPERATORS[step.operator].width
    return integer(step.arguments, name) if name else 0
