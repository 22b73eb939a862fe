"""One reading of the network: which modules there are, what each computes and what it reads, in order.

The compiler prints it and the runtime runs parts of it; neither looks at layers and components for itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from mtsldsl.ir.body import Body, Parallel, bodies_of, gate_of
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.component import HEADS, Copy
from mtsldsl.sharing.cover import Cover
from mtsldsl.sharing.linked import linked_in_order
from mtsldsl.sharing.partition import Component

if TYPE_CHECKING:
    from mtsldsl.ir.model import Layer, Spec
    from mtsldsl.language.constants import Shape


@attrs.frozen(eq=False, repr=False)
class Value(Record):
    """One tensor: the output of a layer, or of a head, that is the same for all these tasks; or the network's input."""

    layer: str
    tasks: Component

    @classmethod
    def of_head(cls, task: str) -> Value:
        """The output of a task, or of a helper by its name."""
        return cls(HEADS, frozenset((task,)))


@attrs.frozen(eq=False, repr=False)
class Call(Record):
    """`value = mean(copy(*reads) for copy in copies)`; the values are read in the order of the arguments of the copies'
    modules. Mostly there is one copy; there are several where the tasks use several alternatives of a layer, and none
    where they use none, which gives zeros. With a `gate`, a task's own, it is not the mean but the sum with the shares
    `gate(reads[0]).softmax(1)`."""

    value: Value
    copies: tuple[Copy, ...]
    reads: tuple[Value, ...]
    shape: Shape
    """Of the value, for one sample."""
    gate: Copy | None = None

    @property
    def modules(self) -> tuple[Copy, ...]:
        """All that it calls."""
        return self.copies if self.gate is None else (*self.copies, self.gate)

    @property
    def layer(self) -> str:
        """The layer that it is a call of, or `heads`."""
        return self.value.layer


def inputs_of(spec: Spec) -> tuple[Value, ...]:
    """What the network reads: each input of the samples of each source, the same for all tasks that read it."""
    return tuple(Value(name, tasks) for name in spec.data.inputs for tasks in spec.sharing.sources)


def copies(spec: Spec) -> tuple[Copy, ...]:
    """All modules that have weights of their own: the copies of the layers, in their order, the heads of the tasks, and
    those of tasks in the groups that they help."""
    layers = (
        copy
        for layer in spec.layers
        for copy in (*copies_of(spec.sharing, layer.name), *gates_of(spec.sharing, layer.name))
    )
    return (*layers, *(Copy.head(task.name) for task in spec.trained))


def bodies(spec: Spec) -> dict[Copy, Body]:
    """What all copies are."""
    found: dict[Copy, Body] = {}
    for layer in spec.layers:
        found |= {copy: layer.bodies[copy.alternative] for copy in copies_of(spec.sharing, layer.name)}
        if layer.variants:
            found |= {copy: _body(spec, layer, copy) for copy in copies_of(spec.sharing, layer.name)}
        for copy in gates_of(spec.sharing, layer.name):
            (task,) = copy.component
            body = layer.body_for(spec.data_of(task).name)
            assert isinstance(body, Parallel)
            found[copy] = gate_of(body, len(spec.sharing.uses(layer.name, task)))
    return found | {Copy.head(task.name): task.head for task in spec.trained}


def _body(spec: Spec, layer: Layer, copy: Copy) -> Body:
    """What a copy is, for the samples of the first of its tasks: with the same weights it is made for the others."""
    first = next(task for task in spec.sharing.tasks if task in copy.component)
    return bodies_of(layer.body_for(spec.data_of(first).name))[copy.alternative]


def gates_of(sharing: Sharing, layer: str) -> tuple[Copy, ...]:
    """The gates of a layer whose alternatives tasks weigh: one for each task that uses several."""
    if not sharing.backbone.mixes(layer):
        return ()
    tasks = (task for task in sharing.tasks if len(sharing.uses(layer, task)) > 1)
    return tuple(Copy(layer, frozenset((task,)), gate=True) for task in tasks)


def copies_of(sharing: Sharing, layer: str) -> tuple[Copy, ...]:
    """The copies of a layer that a sharing has: of a layer of alternatives those that some task uses."""
    row = sharing[layer]
    if isinstance(row, Cover):
        return tuple(Copy(layer, use.tasks, use.alternative) for use in row)
    return tuple(Copy(layer, component) for component in sharing.partition(layer))


def wired(spec: Spec, apart: Collection[str] = ()) -> tuple[Call, ...]:
    """The network: what is read stands before what reads it, the heads last, of these those that help in groups.

    A copy is called for each of the values that it computes: once where all that share it read the same. At layers that
    are `apart` every task has a value of its own, also where it uses what others use.
    """
    values: dict[str, dict[str, Value]] = {}
    for whole in inputs_of(spec):
        values.setdefault(whole.layer, {}).update(dict.fromkeys(whole.tasks, whole))
    computed = spec.sharing.all_values(apart)
    calls: list[Call] = []
    for layer in spec.layers:
        made_by = _made_by(spec.sharing, layer.name, computed[layer.name])
        gates = {copy.component: copy for copy in gates_of(spec.sharing, layer.name)}
        here = values[layer.name] = {}
        for tasks in computed[layer.name]:
            one = next(iter(tasks))  # the others read the same, of the same copies
            value = Value(layer.name, tasks)
            reads = tuple(values[source][one] for source in layer.body.inputs)
            shape = (layer.body_for(spec.data_of(one).name) if layer.variants else layer.body).shape
            calls.append(Call(value, made_by[tasks], reads, shape, gates.get(tasks)))
            here.update(dict.fromkeys(tasks, value))
    for task in spec.trained:
        group = min(task.helping, default=task.name)  # whom it helps: their copies are what it reads
        reads = tuple(values[source][group] for source in task.head.inputs)
        calls.append(Call(Value.of_head(task.name), (Copy.head(task.name),), reads, task.head.shape))
    return tuple(calls)


def _made_by(sharing: Sharing, layer: str, values: Iterable[Component]) -> dict[Component, tuple[Copy, ...]]:
    """The copies of a layer that compute each of its values."""
    if sharing.computes_alike(layer):
        return {tasks: (Copy(layer, tasks),) for tasks in values}  # which are its components
    of_task: dict[str, list[Copy]] = {task: [] for task in sharing.tasks}
    for copy in copies_of(sharing, layer):
        for task in copy.component:
            of_task[task].append(copy)
    return {tasks: tuple(of_task[next(iter(tasks))]) for tasks in values}


def upstream(calls: Iterable[Call], wanted: Iterable[Value]) -> tuple[Call, ...]:
    """Of these calls, in their order, those that the wanted values depend on."""
    read = set(wanted)
    found: list[Call] = []
    for call in reversed(tuple(calls)):
        if call.value in read:
            found.append(call)
            read.update(call.reads)
    return tuple(reversed(found))


def needed(calls: Sequence[Call], tasks: Collection[str] | None = None) -> tuple[Call, ...]:
    """Of the calls of a network, in their order, those that the outputs of these tasks depend on, by default of all:
    their heads, and what the heads read, directly or through other layers."""
    heads = [call.value for call in calls if call.layer == HEADS]
    return upstream(calls, heads if tasks is None else [head for head in heads if head.tasks.issubset(tasks)])


def inputs_read(spec: Spec, calls: Iterable[Call]) -> tuple[str, ...]:
    """The names of the inputs that some calls of a network read, in the order of the spec."""
    read = {value.layer for call in calls for value in call.reads}
    return tuple(name for name in spec.data.inputs if name in read)


def needed_layers(calls: Sequence[Call], tasks: Collection[str] | None = None) -> frozenset[str]:
    """The layers that the heads of these tasks read, by default of all, directly or through other layers."""
    return frozenset(call.layer for call in needed(calls, tasks)) - {HEADS}


def reading_tasks(spec: Spec) -> dict[str, Component]:
    """For each layer the tasks whose heads read it, directly or through other layers. A copy that serves none of them
    is read by nothing and learns nothing; a learner leaves it as it is."""
    calls, one_of = wired(spec), {task.head.inputs: task.name for task in spec.tasks}
    read = {inputs: needed_layers(calls, (task,)) for inputs, task in one_of.items()}
    return {
        layer: frozenset(task.name for task in spec.tasks if layer in read[task.head.inputs])
        for layer in spec.backbone.layers
    }


def together(calls: Sequence[Call], tasks: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sets of these tasks whose outputs depend on a common copy, directly or through others of them; the sets and
    their members in the order of `tasks`. Two sets have no copy in common."""
    among = frozenset(tasks)
    return linked_in_order((copy.component & among for call in needed(calls, among) for copy in call.modules), tasks)


def common_reads(spec: Spec, copy: Copy) -> tuple[Value, ...]:
    """What a copy of a layer reads, also one that is not there yet, for tasks that are about to share it. Of tasks that
    read other samples it is what the first of them reads.

    Raises ValueError where its tasks do not read the same.
    """
    first = min(copy.component)
    reads: list[Value] = []
    for source in spec.layer(copy.layer).body.inputs:
        if source in spec.data.inputs:
            reads += [whole for whole in inputs_of(spec) if whole.layer == source and first in whole.tasks]
            continue
        if len({spec.sharing.component(source, task) for task in copy.component}) != 1:
            raise ValueError(f"{sorted(copy.component)} do not share {source}, which {copy.layer} reads")
        (tasks,) = spec.sharing.values(source).of(first)
        reads.append(Value(source, tasks))
    return tuple(reads)
