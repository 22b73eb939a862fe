"""What a network costs: parameters and floating-point operations, from the table of operators alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics.counted import counted
from mtsldsl.ir.body import Body, Step, bodies_of
from mtsldsl.ir.wiring import Call, bodies, copies_of, gates_of, needed, needed_layers, reading_tasks, wired
from mtsldsl.language.operators import OPERATORS
from mtsldsl.records import Record
from mtsldsl.sharing import Copy
from mtsldsl.sharing.component import owner
from mtsldsl.sharing.partition import Component
from mtsldsl.sharing.shape import Sizes

if TYPE_CHECKING:
    from mtsldsl.ir.model import Spec


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

    def told(self, per: str = "") -> str:
        """In words; `per` is what the operations are those of, such as ` a sample`."""
        declared = ", as far as declared" if self.declared else ""
        return f"{counted(self.parameters, 'parameter')}, {operations(self.flops)}{per}{declared}"

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.parameters + other.parameters, self.flops + other.flops, self.declared or other.declared)

    def __mul__(self, copies: int) -> Amount:
        return Amount(self.parameters * copies, self.flops * copies, self.declared)


@attrs.frozen(eq=False, repr=False)
class LayerCost(Record):
    """A layer: the cost of one copy, the sum of all its alternatives where it is made of some; how many copies there
    are; and the cost of these, weights once and each call of a copy. A copy that nothing reads has no call."""

    layer: str
    one: Amount
    copies: int
    total: Amount
    by_tasks: Mapping[Component, Amount] = attrs.field(factory=dict, hash=False)
    """The same of each copy, by its tasks, where it is not made of alternatives; their sum is the total."""

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


def copy_cost(spec: Spec, layer: str, tasks: Component) -> int:
    """The parameters of a copy of a layer for some tasks, whose inputs have one size."""
    body = spec.layer(layer).body_for(spec.data_of(min(tasks)).name)
    assert isinstance(body, Body)  # a layer of alternatives has no one copy
    return body_cost(body).parameters


def cost_of(spec: Spec, tasks: Collection[str] | None = None) -> Cost:
    """The cost of the network that a spec describes, with its sharing; for some tasks of what their outputs depend on,
    without copies that nothing reads, each copy by those of its tasks."""
    amounts = {
        (layer.name, data): {name: body_cost(each) for name, each in bodies_of(body).items()}
        for layer in spec.layers
        for data, body in ((None, layer.body), *layer.variants.items())
    }
    of_data = {task.name: spec.data_of(task.name).name for task in spec.tasks} if len(spec.blocks) > 1 else {}

    def of_task(layer: str, task: str) -> Mapping[str | None, Amount]:
        return amounts.get((layer, of_data.get(task)), amounts[layer, None])

    mixtures = any(map(spec.backbone.mixes, spec.backbone.layers))
    gates = {copy: body_cost(body) for copy, body in bodies(spec).items() if copy.gate} if mixtures else {}
    heads = {task.name: body_cost(task.head) for task in spec.tasks}
    calls = wired(spec)
    run: dict[str, list[Call]] = {name: [] for name in spec.backbone.layers}
    for call in needed(calls, frozenset(spec.sharing.tasks if tasks is None else tasks)):
        run.setdefault(call.layer, []).append(call)
    layers = {
        name: _layer_cost(spec, name, _sum(amounts[name, None].values()), of_task, gates, run[name], tasks)
        for name in spec.backbone.layers
    }
    total = _sum((*(layer.total for layer in layers.values()), *(heads[name] for name in tasks or heads)))
    routed = [name for name in spec.backbone.layers if spec.backbone.alternatives(name)]
    alike: dict[object, tuple[frozenset[str], Amount]] = {}  # tasks that read the same and use the same cost the same
    alone: dict[str, Amount] = {}
    reads: dict[str, frozenset[str]] = {}
    for task in spec.tasks:
        used = tuple(spec.sharing.uses(name, task.name) for name in routed)
        key = frozenset(task.head.inputs), used, of_data.get(task.name)
        if key not in alike:
            read = needed_layers(calls, (task.name,))
            found = ((name, each) for name in read for each in _used(spec, name, task.name))
            alike[key] = read, _sum(of_task(name, task.name)[each] for name, each in found)
        reads[task.name], needed_there = alike[key]
        alone[task.name] = heads[task.name] + needed_there
    for copy, amount in gates.items():
        (owner,) = copy.component
        if copy.layer in reads[owner]:
            alone[owner] += amount
    helpers = {each.name: heads[each.task] for each in spec.sharing.helpers}
    return Cost(
        MappingProxyType(layers), MappingProxyType(heads), MappingProxyType(alone), total, MappingProxyType(helpers)
    )


def sizes_of(spec: Spec) -> Sizes:
    """What a network of each shape of sharing costs. A task of weight 0 is none that copies could be for, unless all
    are."""
    cost = cost_of(spec)
    learning = {task.name for task in spec.tasks if task.weight} or set(spec.sharing.tasks)
    read_by = {layer: tasks & learning for layer, tasks in reading_tasks(spec).items()}
    layers = {name: each.one.parameters for name, each in cost.layers.items()}
    heads = sum(each.parameters for each in cost.heads.values())
    return Sizes(layers, heads, spec.sharing.tasks, read_by)


def own_steps(spec: Spec) -> Iterator[Step]:
    """The steps of all layers and heads that are modules of the person's own."""
    found = [body for layer in spec.layers for body in layer.bodies.values()]
    for body in (*found, *(task.head for task in spec.tasks)):
        yield from (step for step in body.steps if OPERATORS[step.operator].own)


def uncounted(spec: Spec) -> Iterator[Step]:
    """Those that do not say how many parameters they learn: a cost counts them as 0."""
    return (step for step in own_steps(spec) if step.arguments["parameters"] is None)


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
    one: Amount,
    of_task: Callable[[str, str], Mapping[str | None, Amount]],
    gates: Mapping[Copy, Amount],
    calls: Sequence[Call],
    tasks: Collection[str] | None,
) -> LayerCost:
    """The cost of a layer: weights of all its copies, and what the calls of a forward pass compute, each once. Its
    bodies cost what they do `of_task`, as they may be others for the samples of other data blocks."""

    def amount(copy: Copy, members: Component) -> Amount:  # of weights all members have the same
        return gates[copy] if copy.gate else of_task(name, next(iter(members)))[copy.alternative]

    run = {(copy, call.reads): amount(copy, call.value.tasks).flops for call in calls for copy in call.modules}
    called = {copy for copy, _ in run}
    every = (*copies_of(spec.sharing, name), *gates_of(spec.sharing, name))
    flops = dict.fromkeys((copy for copy in every if tasks is None or copy in called), 0)
    for (copy, _), computed in run.items():
        flops[copy] += computed
    each = {copy: attrs.evolve(amount(copy, copy.component), flops=flops[copy]) for copy in flops}
    copies = [copy for copy in each if not copy.gate]
    among = frozenset(spec.sharing.tasks if tasks is None else tasks)
    by_tasks = {} if spec.backbone.alternatives(name) else {copy.component & among: each[copy] for copy in copies}
    return LayerCost(name, one, len(copies), _sum(each.values()), by_tasks)


def _used(spec: Spec, layer: str, task: str) -> tuple[str | None, ...]:
    """The alternatives of a layer that a task uses; None where it is one body."""
    return spec.sharing.uses(layer, task) if spec.backbone.alternatives(layer) else (None,)


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=Amount())
