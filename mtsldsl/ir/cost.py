"""What a network costs: parameters and floating-point operations, from the table of operators alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.body import Body
from mtsldsl.ir.wiring import Value, bodies, copies_of, gates_of, needed_layers, wired
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.sharing import HEADS, Copy
from mtsldsl.sharing.cover import Cover

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
    """A layer: the cost of one copy, the sum of all its alternatives where it is made of some; how many copies the
    sharing has; and the cost of these, weights once and each call of a copy."""

    layer: str
    one: Amount
    copies: int
    total: Amount

    @property
    def parameters(self) -> int:
        """Learned parameters of all copies."""
        return self.total.parameters

    @property
    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass through the layer, for all tasks."""
        return self.total.flops


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
    ones = {(layer.name, name): body_cost(body) for layer in spec.layers for name, body in layer.bodies.items()}
    mixtures = any(map(spec.backbone.mixes, spec.backbone.layers))
    gates = {copy: body_cost(body) for copy, body in bodies(spec).items() if copy.gate} if mixtures else {}
    heads = {task.name: body_cost(task.head) for task in spec.tasks}
    calls = wired(spec)
    run: dict[str, set[tuple[Copy, tuple[Value, ...]]]] = {}
    for call in calls:
        if call.layer != HEADS and _of_alternatives(spec, call.layer):
            run.setdefault(call.layer, set()).update((copy, call.reads) for copy in call.modules)
    layers: dict[str, LayerCost] = {}
    for name in spec.backbone.layers:
        if not _of_alternatives(spec, name):  # each copy is called once
            one, copies = ones[name, None], len(spec.sharing.partition(name))
            layers[name] = LayerCost(name, one, copies, one * copies)
            continue
        found = copies_of(spec.sharing, name)
        total = Amount(
            sum(ones[name, copy.alternative].parameters for copy in found),
            sum(ones[name, copy.alternative].flops for copy, _ in run.get(name, ()) if copy not in gates),
            any(ones[name, copy.alternative].declared for copy in found),
        )
        total += _sum(gates[copy] for copy in gates_of(spec.sharing, name))
        whole = _sum(one for (layer, _), one in ones.items() if layer == name)
        layers[name] = LayerCost(name, whole, len(found), total)
    total = _sum((*(layer.total for layer in layers.values()), *heads.values()))
    readers = {(frozenset(task.head.inputs), _used(spec, task.name)): task.name for task in spec.tasks}
    below = {
        read: _sum(ones[layer, name] for layer in needed_layers(calls, (one,)) for name in _used_of(spec, layer, one))
        for read, one in readers.items()
    }
    weighed = {task.name: Amount() for task in spec.tasks}
    for copy, amount in gates.items():
        (task,) = copy.component
        weighed[task] += amount if copy.layer in needed_layers(calls, (task,)) else Amount()
    alone = {
        task.name: heads[task.name] + weighed[task.name] + below[frozenset(task.head.inputs), _used(spec, task.name)]
        for task in spec.tasks
    }
    return Cost(MappingProxyType(layers), MappingProxyType(heads), MappingProxyType(alone), total)


def _of_alternatives(spec: Spec, layer: str) -> bool:
    """Whether copies of a layer may be called several times, or not for all tasks alike."""
    return bool(spec.backbone.alternatives(layer)) or spec.backbone.below_alternatives(layer)


def _used(spec: Spec, task: str) -> tuple[tuple[str | None, ...], ...]:
    """What a task uses of every layer of alternatives."""
    layers = filter(spec.backbone.alternatives, spec.backbone.layers)
    return tuple(_used_of(spec, layer, task) for layer in layers)


def _used_of(spec: Spec, layer: str, task: str) -> tuple[str | None, ...]:
    """The alternatives of a layer that a task uses; None where it is one body."""
    row = spec.sharing[layer]
    return tuple(use.alternative for use in row.of(task)) if isinstance(row, Cover) else (None,)


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=Amount())
