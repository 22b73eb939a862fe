"""A spec that is made in Python, held to all that a text is held to: its parts go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mtsldsl.ir.body import bodies_of
from mtsldsl.ir.fitting import unfit_layers
from mtsldsl.ir.graph import graph
from mtsldsl.ir.ids import misfits_of_ids, readers, with_ids
from mtsldsl.ir.spec_rules import (
    Misfit,
    fields_misread,
    misfit_of_size,
    misfit_of_teachers,
    misfit_of_tuning,
    misfits_of_method,
    sources_of,
    strangers,
    surroundings_of,
    unread_blocks,
    unread_inputs,
    wanted_shape,
)
from mtsldsl.language.beginnings import misfit_of_weights
from mtsldsl.language.holding import hold
from mtsldsl.language.kinds import EPOCHS
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.shapes import times
from mtsldsl.language.optimization import misfit_of_balance
from mtsldsl.language.targets import metric_key
from mtsldsl.language.tuning import TUNINGS
from mtsldsl.methods.registry import decision_rules

if TYPE_CHECKING:
    from mtsldsl.ir.body import Body
    from mtsldsl.ir.model import Data, Spec
    from mtsldsl.language.constants import Shape
    from mtsldsl.methods.method import Method, Surroundings

_LOOKING_UP = frozenset(name for name, operator in OPERATORS.items() if operator.looks_up)


def hold_together(spec: Spec) -> None:
    """Raise ValueError for the first thing that no text can say."""
    for cause, remedy in _misfits(spec):
        raise ValueError(f"{cause}; {remedy}")


def _misfits(spec: Spec) -> Iterator[Misfit]:
    """Each group is asked where nothing is wrong with those before."""
    yield from _names(spec)
    yield from _blocks(spec)
    yield from _network(spec)
    yield from _shapes(spec)
    yield from _reading(spec)
    yield from _training(spec)
    yield from _method(spec)


def _names(spec: Spec) -> Iterator[Misfit]:
    taken: set[str] = set()
    layers, tasks = ([each.name for each in several] for several in (spec.layers, spec.tasks))
    for name in (*spec.data.inputs, *layers, *tasks):
        if name in taken:
            yield f"`{name}` names two of the inputs, layers and tasks", "give each a name of its own"
        taken.add(name)


def _blocks(spec: Spec) -> Iterator[Misfit]:
    known: dict[str, Data] = {}
    for data in spec.blocks:
        if data.name in known:
            yield f"two data blocks are called `{data.name}`", "give each a name of its own"
        known[data.name] = data
        if tuple(data.inputs) != tuple(spec.data.inputs):
            yield (
                f"the inputs of `data {data.name}` are not those of `data {spec.data.name}`",
                "give both the same names, in one order: one network reads them",
            )
    for task in spec.tasks:
        if spec.more_data and task.data not in known:
            yield f"`{task.name}` reads `data {task.data}`, which there is not", f"name one of {', '.join(known)}"
        if not spec.more_data and task.data is not None:
            yield f"`{task.name}` says which data it reads, and there is one data block", "give None"
        if task.helping:
            yield f"`{task.name}` helps other tasks, and stands among the tasks", "leave it to a sharing in groups"
    if spec.more_data:
        yield from (misfit for _, misfit in unread_blocks(known, spec.tasks))
    for layer in spec.layers:
        for name in layer.variants:
            if name not in known or known[name] is spec.data:
                cause = f"`{layer.name}` is another layer for `data {name}`, which is no further data block"
                yield cause, f"name one of {', '.join(list(known)[1:])}" if spec.more_data else "give no variants"


def _network(spec: Spec) -> Iterator[Misfit]:
    names = tuple(task.name for task in spec.tasks)
    bodies = {layer.name: layer.body for layer in spec.layers}
    alternatives = {layer.name: layer.alternatives for layer in spec.layers if layer.alternatives}
    if spec.sharing.tasks != names:
        own, other = (", ".join(each) for each in (names, spec.sharing.tasks))
        yield f"the sharing is of the tasks {other}, not {own}", "give one of these"
    if spec.backbone != graph(bodies, {}, alternatives):
        yield "the sharing is of other layers, or of layers that read others", "give one of the graph of these layers"
    if spec.sharing.sources != sources_of(spec.streams, names):
        yield "the sharing has not the sources of samples that the tasks read", "give it those of the data blocks"
    if misfit := misfit_of_size(len(spec.layers), len(names)):
        yield misfit


def _shapes(spec: Spec) -> Iterator[Misfit]:
    """What layers and heads read, for the samples of each data block, and what heads give."""
    seen: dict[tuple[Shape, ...], dict[str, Shape]] = {}
    for data in spec.blocks:
        given = tuple(data.inputs.values())
        if given not in seen:
            known = seen[given] = dict(data.inputs)
            for layer in spec.layers:
                body = layer.body_for(data.name)
                yield from _misread(f"the layer `{layer.name}`", body.inputs, body.input_shapes, known)
                known[layer.name] = body.shape
        for task in spec.tasks:
            if spec.data_of(task.name) is not data:
                continue
            head = task.head
            yield from _misread(f"the head of `{task.name}`", head.inputs, head.input_shapes, seen[given])
            wanted = wanted_shape(task.target, head.shape, data, task.field)
            if head.shape != wanted:
                cause = f"the head of `{task.name}` gives {times(head.shape)}, where its target needs {times(wanted)}"
                yield cause, "give one that does"
    of_task = {task.name: spec.data_of(task.name) for task in spec.tasks} if spec.more_data else {}
    for _, cause, remedy in unfit_layers(spec.layers, spec.sharing, of_task):
        yield cause, remedy


def _misread(
    what: str, inputs: tuple[str, ...], shapes: tuple[Shape, ...], known: dict[str, Shape]
) -> Iterator[Misfit]:
    for name, shape in zip(inputs, shapes, strict=True):
        if name not in known:
            yield f"{what} reads `{name}`, which is no input and no layer before it", "name one that is"
        elif known[name] != shape:
            yield f"{what} reads `{name}` as {times(shape)}, and it has {times(known[name])}", "give the same shape"


def _reading(spec: Spec) -> Iterator[Misfit]:
    bodies = [layer.body for layer in spec.layers]
    if len(spec.data.inputs) > 1:
        yield from (misfit for _, misfit in unread_inputs(spec.data.inputs, bodies, spec.tasks))
    for data in spec.blocks:
        own = [task for task in spec.tasks if task.data in (None, data.name)]
        yield from (misfit for _, misfit in fields_misread(own, data))
        if data.ids or any(map(_looks_up, _bodies(spec, data))):
            layers = {layer.name: layer.body_for(data.name) for layer in spec.layers}
            found = list(readers(layers, {}, spec.tasks))
            yield from ((cause, remedy) for cause, remedy, _ in misfits_of_ids(data, found))
            if with_ids(data, found).ids != data.ids:
                yield f"the ids of `data {data.name}` are not those that are looked up", "leave them to what reads them"


def _bodies(spec: Spec, data: Data) -> Iterator[Body]:
    for layer in spec.layers:
        yield from bodies_of(layer.body_for(data.name)).values()
    yield from (task.head for task in spec.tasks)


def _looks_up(body: Body) -> bool:
    return any(step.operator in _LOOKING_UP for step in body.steps)


def _training(spec: Spec) -> Iterator[Misfit]:
    train = spec.train
    known = {f"{task.name}.{metric_key(metric)}" for task in spec.tasks for metric in task.metrics}
    if isinstance(train.keep, str) and train.keep not in (*EPOCHS, *known):
        yield f"keep cannot be {train.keep!r}, which is no metric of a task", f"name one of {', '.join(sorted(known))}"
    if misfit := misfit_of_balance(train.balance, len(spec.tasks)):
        yield misfit
    if misfit := misfit_of_weights(train.init, spec.backbone.layers):
        yield misfit
    for name, value in spec.tuning.items():
        if name not in spec.backbone and name not in spec.sharing.tasks:
            yield f"tuning has {name!r}, which is no layer and no task", "leave it out"
        hold(TUNINGS, value, f"tuning of {name}")
        if misfit := misfit_of_tuning(name, value):
            yield misfit


def _said(values: Mapping[str, Any], known: Method, surroundings: Surroundings) -> Mapping[str, Any]:
    """The values as a text has them that leaves out what the surroundings decide."""
    found = dict(values)
    for key in known.block.keys or ():
        without = {**values, key.name: None}
        if key.default is None and known.completed(without, surroundings)[key.name] == values[key.name]:
            found[key.name] = None
    return found


def _method(spec: Spec) -> Iterator[Misfit]:
    structure = spec.structure
    if structure is not None:
        layers = [layer.name for layer in spec.layers if layer.alternatives]
        yield from misfits_of_method(structure, layers, spec.backbone, spec.sharing)
        # What holds of tasks in groups may: a spec of groups is looked at with other sharings too.
        surroundings = surroundings_of(spec.train, grouped=True)
        known = structure.known
        for fault in known.faults(_said(structure.values, known, surroundings), surroundings):
            yield fault.cause, fault.remedy
        if misfit := misfit_of_teachers(structure, spec.train):
            yield misfit
    for decision in spec.history:
        rule = decision_rules()[decision.kind].call
        for stranger in strangers(rule, decision.fields, spec.backbone, spec.sharing.tasks):
            yield stranger.cause, stranger.remedy
