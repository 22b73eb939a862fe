"""What a network costs: parameters and floating-point operations, from the table of operators alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.body import Body, bodies_of
from mtsldsl.ir.wiring import Call, bodies, copies_of, gates_of, needed, needed_layers, wired
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.sharing import Copy
from mtsldsl.sharing.component import owner
from mtsldsl.sharing.partition import Component

if TYPE_CHECKING:
    from mtsldsl.ir.model import Layer, Spec


def operations(flops: int) -> str:
    """A number of floating-point operations in the unit that has something to say of it."""
    return f"{flops / 1e6:,.1f} MFLOP" if flops >= 100_000 else f"{flops / 1e3:,.1f} kFLOP"


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
    apart: Mapping[Component, Amount] = attrs.field(factory=dict, hash=False)
    """Of a layer that is another for some data blocks, the cost of each copy by its tasks, for the first of them."""

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
    """Of the network as it is used."""
    helpers: Mapping[str, Amount] = attrs.field(factory=dict, hash=False)
    """Heads of tasks in the groups that they help, by their names: there in training alone."""

    @property
    def training(self) -> Amount:
        """Of the network as it is trained, with the heads that help."""
        return _sum((self.total, *self.helpers.values()))

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
    total = Amount()
    for step, shapes in body.steps_with_shapes():
        operator = OPERATORS[step.operator]
        total += Amount(
            operator.parameters(step.arguments, shapes, step.shape),
            operator.flops(step.arguments, shapes, step.shape),
            operator.own,
        )
    return total


def cost_of(spec: Spec) -> Cost:
    """The cost of the network that a spec describes, with its sharing."""
    ones = {(layer.name, name): body_cost(body) for layer in spec.layers for name, body in layer.bodies.items()}
    others = {
        (layer.name, data): {name: body_cost(each) for name, each in bodies_of(body).items()}
        for layer in spec.layers
        for data, body in layer.variants.items()
    }
    mixtures = any(map(spec.backbone.mixes, spec.backbone.layers))
    gates = {copy: body_cost(body) for copy, body in bodies(spec).items() if copy.gate} if mixtures else {}
    heads = {task.name: body_cost(task.head) for task in spec.tasks}
    calls = wired(spec)
    run: dict[str, list[Call]] = {name: [] for name in spec.backbone.layers}
    for call in needed(calls, frozenset(spec.sharing.tasks)):
        run.setdefault(call.layer, []).append(call)
    layers = {
        layer.name: _layer_cost_by_data(spec, layer, gates, run[layer.name])
        if layer.variants
        else _layer_cost(spec, layer.name, ones, gates, run[layer.name])
        for layer in spec.layers
    }
    total = _sum((*(layer.total for layer in layers.values()), *heads.values()))
    routed = [name for name in spec.backbone.layers if spec.backbone.alternatives(name)]
    alike: dict[object, tuple[frozenset[str], Amount]] = {}  # tasks that read the same and use the same cost the same
    alone: dict[str, Amount] = {}
    for task in spec.tasks:
        data = spec.data_of(task.name).name if others else ""
        key = frozenset(task.head.inputs), tuple(spec.sharing.uses(name, task.name) for name in routed), data
        if key not in alike:
            read = needed_layers(calls, (task.name,))
            used = ((name, each) for name in read for each in _used(spec, name, task.name))
            alike[key] = (
                read,
                _sum(others[name, data][each] if (name, data) in others else ones[name, each] for name, each in used),
            )
        alone[task.name] = heads[task.name] + alike[key][1]
    for copy, amount in gates.items():
        (owner,) = copy.component
        data = spec.data_of(owner).name if others else ""
        key = frozenset(spec.task(owner).head.inputs), tuple(spec.sharing.uses(name, owner) for name in routed), data
        if copy.layer in alike[key][0]:
            alone[owner] += amount
    helpers = {each.name: heads[each.task] for each in spec.sharing.helpers}
    return Cost(
        MappingProxyType(layers), MappingProxyType(heads), MappingProxyType(alone), total, MappingProxyType(helpers)
    )


def settled(spec: Spec) -> frozenset[str]:
    """All that has a loss in training, by its name, but depends on no parameter that learns."""
    amounts = {copy: body_cost(body) for copy, body in bodies(spec).items() if owner(copy.name) not in spec.frozen}
    # A module of the person's own need not declare its parameters.
    learning = {copy for copy, amount in amounts.items() if amount.parameters or amount.declared}
    calls = wired(spec)
    read = {task.name: (copy for call in needed(calls, (task.name,)) for copy in call.modules) for task in spec.trained}
    return frozenset(name for name, copies in read.items() if learning.isdisjoint(copies))


def _layer_cost(
    spec: Spec,
    name: str,
    ones: Mapping[tuple[str, str | None], Amount],
    gates: Mapping[Copy, Amount],
    calls: Sequence[Call],
) -> LayerCost:
    """The cost of a layer: weights of all its copies, and what the calls of a forward pass compute, each once."""
    if not spec.backbone.alternatives(name):
        one, copies = ones[name, None], len(spec.sharing.partition(name))
        return LayerCost(name, one, copies, Amount(one.parameters * copies, one.flops * len(calls), one.declared))
    amounts = {copy: ones[name, copy.alternative] for copy in copies_of(spec.sharing, name)}
    weighing = {copy: gates[copy] for copy in gates_of(spec.sharing, name)}
    run = {(copy, call.reads) for call in calls for copy in call.modules}
    made = amounts | weighing
    total = _of_weights_and_calls(made.values(), (made[copy] for copy, _ in run))
    whole = _sum(ones[name, each] for each in spec.backbone.alternatives(name))
    return LayerCost(name, whole, len(amounts), total)


def _layer_cost_by_data(spec: Spec, layer: Layer, gates: Mapping[Copy, Amount], calls: Sequence[Call]) -> LayerCost:
    """The same of a layer that is not the same for all data blocks: a copy has the parameters of its first task's, and
    a call computes what it does for the samples of its own."""
    every = {data.name: layer.body_for(data.name) for data in spec.blocks}
    amounts = {(data, name): body_cost(each) for data, body in every.items() for name, each in bodies_of(body).items()}
    of_task = {task: spec.data_of(task).name for task in spec.sharing.tasks}
    each = {
        copy: amounts[next(of_task[task] for task in spec.sharing.tasks if task in copy.component), copy.alternative]
        for copy in copies_of(spec.sharing, layer.name)
    }
    weighing = [gates[copy] for copy in gates_of(spec.sharing, layer.name)]
    run = {
        (copy, call.reads): gates[copy]
        if copy.gate
        else amounts[of_task[next(iter(call.value.tasks))], copy.alternative]
        for call in calls
        for copy in call.modules
    }
    total = _of_weights_and_calls((*each.values(), *weighing), run.values())
    one = _sum(amounts[spec.data.name, name] for name in bodies_of(layer.body))
    apart = {} if layer.alternatives else {copy.component: amount for copy, amount in each.items()}
    return LayerCost(layer.name, one, len(each), total, apart)


def _of_weights_and_calls(copies: Collection[Amount], calls: Iterable[Amount]) -> Amount:
    """The parameters of copies, and what calls of them compute."""
    parameters, declared = sum(each.parameters for each in copies), any(each.declared for each in copies)
    return Amount(parameters, sum(each.flops for each in calls), declared)


def _used(spec: Spec, layer: str, task: str) -> tuple[str | None, ...]:
    """The alternatives of a layer that a task uses; None where it is one body."""
    return spec.sharing.uses(layer, task) if spec.backbone.alternatives(layer) else (None,)


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=Amount())
