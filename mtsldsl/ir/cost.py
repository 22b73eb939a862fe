"""What a network costs: parameters and floating-point operations, from the table of operators alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.body import Body
from mtsldsl.ir.wiring import needed_layers, wired
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record

if TYPE_CHECKING:
    from mtsldsl.ir.model import Spec
    from mtsldsl.language.constants import Shape


@attrs.frozen(eq=False, repr=False)
class Amount(Record):
    """Learned parameters, and floating-point operations of one sample's forward pass.

    `declared` says that a module of the person's own is among what they count, with what the spec declares of it.
    """

    parameters: int = 0
    flops: int = 0
    declared: bool = False

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.parameters + other.parameters, self.flops + other.flops, self.declared or other.declared)

    def __mul__(self, copies: int) -> Amount:
        return Amount(self.parameters * copies, self.flops * copies, self.declared)


@attrs.frozen(eq=False, repr=False)
class LayerCost(Record):
    """A layer: the cost of one copy, and how many copies the sharing has."""

    layer: str
    one: Amount
    copies: int

    @property
    def parameters(self) -> int:
        """Learned parameters of all copies."""
        return self.one.parameters * self.copies

    @property
    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass through all copies."""
        return self.one.flops * self.copies


@attrs.frozen(eq=False, repr=False)
class Cost(Record):
    """The cost of a network: per layer, per head, per task alone, and in all."""

    layers: Mapping[str, LayerCost]
    heads: Mapping[str, Amount]
    tasks: Mapping[str, Amount]
    """What a network for one task alone needs: its head and the layers that it reads, one copy of each."""
    total: Amount

    @property
    def parameters(self) -> int:
        """Learned parameters of the whole network."""
        return self.total.parameters

    @property
    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass through the whole network."""
        return self.total.flops


def body_cost(body: Body) -> Amount:
    """The cost of one lowered pipeline."""
    outside: dict[int | str, Shape] = dict(zip(body.inputs, body.input_shapes, strict=True))
    total = Amount()
    for step in body.steps:
        operator = OPERATORS[step.operator]
        shapes = tuple(
            body.steps[source].shape if isinstance(source, int) else outside[source] for source in step.inputs
        )
        total += Amount(
            operator.parameters(step.arguments, shapes, step.shape),
            operator.flops(step.arguments, shapes, step.shape),
            operator.own,
        )
    return total


def cost_of(spec: Spec) -> Cost:
    """The cost of the network that a spec describes, with its sharing."""
    ones = {layer.name: body_cost(layer.body) for layer in spec.layers}
    layers = {name: LayerCost(name, one, len(spec.sharing[name])) for name, one in ones.items()}
    heads = {task.name: body_cost(task.head) for task in spec.tasks}
    total = _sum((*(layer.one * layer.copies for layer in layers.values()), *heads.values()))
    calls = wired(spec)
    readers = {frozenset(task.head.inputs): task.name for task in spec.tasks}
    below = {inputs: _sum(ones[layer] for layer in needed_layers(calls, (one,))) for inputs, one in readers.items()}
    alone = {task.name: heads[task.name] + below[frozenset(task.head.inputs)] for task in spec.tasks}
    return Cost(MappingProxyType(layers), MappingProxyType(heads), MappingProxyType(alone), total)


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=Amount())
