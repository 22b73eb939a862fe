"""What the parts of a spec must have in common: rules that are held where a text is read, and by the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import suggestion
from mtsldsl.ir.body import Body, Parallel
from mtsldsl.language.constants import Named, Shape
from mtsldsl.language.kinds import Alternatives, CallRule, LayerName, Tasks
from mtsldsl.language.naming import PARALLEL
from mtsldsl.language.tuning import OTHERS, RATE
from mtsldsl.methods.method import Surroundings
from mtsldsl.methods.registry import methods
from mtsldsl.records import Record
from mtsldsl.sharing import Backbone, Sharing
from mtsldsl.sharing.partition import Partition, canonical

if TYPE_CHECKING:
    from mtsldsl.ir.model import Data, Stream, Structure, Train
    from mtsldsl.ir.task_record import Target, Task

Misfit: TypeAlias = tuple[str, str]
"""What does not fit, and the remedy."""

MOST_TASKS = 200
"""Tasks of one network."""

MOST_COPIES = 20_000
"""Layers times tasks of one network."""


def misfit_of_size(layers: int, tasks: int) -> Misfit | None:
    """More tasks, or copies of layers, than any machine would train."""
    copies = layers * tasks
    if tasks > MOST_TASKS:
        return f"the network has {tasks:,} tasks", f"keep to {MOST_TASKS}: leave tasks out"
    if copies > MOST_COPIES:
        cause = f"{tasks:,} tasks with {layers:,} layers each are {copies:,} copies of layers"
        return cause, f"keep to {MOST_COPIES:,} copies: put more into a layer, or leave tasks out"
    return None


def sources_of(streams: Iterable[Stream], names: Sequence[str]) -> Partition:
    """The tasks that batches of these streams serve together; those of tasks that are not known are all in one."""
    known = [frozenset(stream.tasks) & frozenset(names) for stream in streams]
    rest = frozenset(names).difference(*known)
    if rest and known:  # a task that is broken: with the first of them
        known[0] |= rest
    elif rest:
        known = [rest]
    rank = {task: place for place, task in enumerate(names)}
    return canonical(filter(None, known), rank)


def unread_blocks(names: Iterable[str], tasks: Iterable[Task]) -> Iterator[tuple[str, Misfit]]:
    """The data blocks, where there are several, that no task reads."""
    read = {task.data for task in tasks}
    for name in names:
        if name not in read:
            remedy = f"leave it out, or give a task the line `data = {name}`"
            yield name, (f"no task reads `data {name}`", remedy)


def unread_inputs(
    names: Iterable[str], layers: Iterable[Body | Parallel], tasks: Iterable[Task]
) -> Iterator[tuple[str, Misfit]]:
    """The inputs, where there are several, that no layer and no head reads."""
    read = {name for body in (*layers, *(task.head for task in tasks)) for name in body.inputs}
    for name in names:
        if name not in read:
            remedy = f"name it where it is to be read, as in `wide = {name} | linear(32)`, or leave it out here"
            yield name, (f"no layer and no head reads the input `{name}`", remedy)


def shape_read_again(data: Data, field: object) -> Shape:
    """The shape of the input that is reconstructed: the first one where `field` is none."""
    return data.inputs.get(field, data.shape) if isinstance(field, str) else data.shape


def wanted_shape(target: Target, given: Shape, data: Data, field: object) -> Shape:
    """What the head of a task must give that gives a shape."""
    if target.kind == "reconstruct":
        return shape_read_again(data, field)
    if data_kind(data.kind).dense:
        return (target.channels, *data.shape[1:])
    return (given[0], target.channels) if len(given) == 2 else (target.channels, *given[1:])


def fields_misread(tasks: Iterable[Task], data: Data) -> Iterator[tuple[Task, Misfit]]:
    """The tasks that read a field of a data block by name otherwise than an earlier one, or one that has the name of an
    input."""
    readers: dict[str, Task] = {}
    for task in tasks:
        if task.target.kind == "reconstruct" or task.field is None:
            continue
        field = task.field_name
        first = readers.setdefault(field, task)
        if first.target != task.target:
            cause = f"`{task.name}` reads the field `{field}` otherwise than `{first.name}` does"
            yield task, (cause, "give both the same target, or a field each")
        if field in data.inputs:
            cause = f"`{task.name}` reads the field `{field}`, which is the input's name too"
            yield task, (cause, "give the input another name")


def misfit_of_tuning(name: str, value: Named) -> Misfit | None:
    """Why a layer, or the head of a task, cannot learn so."""
    if value.name != RATE or name not in OTHERS:
        return None
    cause = f"`{name}` has no rate of its own: parameters of that name are no layer's alone"
    return cause, "give the layer another name"


@attrs.frozen(eq=False, repr=False)
class Stranger(Record):
    """A name in a line of `history` that nothing has, those that it could be, and what they are."""

    name: str
    known: Sequence[str]
    nouns: str
    cause: str

    @property
    def remedy(self) -> str:
        """What could be meant."""
        return suggestion(self.name, self.known, self.nouns)


def strangers(
    rule: CallRule, values: Mapping[str, Any], backbone: Backbone, tasks: Sequence[str]
) -> Iterator[Stranger]:
    """The layers, alternatives and tasks of a decision that there are not."""
    layer = ""
    for key in rule.keys:
        named = values.get(key.name, ())
        if isinstance(key.kind, LayerName):
            if named in backbone:
                layer = named
            else:
                yield Stranger(named, backbone.layers, "layers", f"the decision is about `{named}`, which is no layer")
        elif isinstance(key.kind, Alternatives) and layer:
            known = backbone.alternatives(layer)
            for each in named:
                if each not in known:
                    cause = f"the decision is about `{each}`, which is no alternative of `{layer}`"
                    yield Stranger(each, known, "alternatives", cause)
        elif isinstance(key.kind, Tasks):
            for each in named:
                if each not in tasks:
                    yield Stranger(each, tasks, "tasks", f"the decision is about `{each}`, which is no task")


def misfits_of_method(
    structure: Structure,
    layers: Sequence[str],
    backbone: Backbone,
    sharing: Sharing | None,
    unsure: Iterable[str] = (),
) -> Iterator[Misfit]:
    """A method that decides, but not on layers of alternatives, where there are some, or on nothing else where there
    are none; or where each group of tasks is a network of its own. `layers` are those of alternatives, and of those
    that are `unsure` nobody knows it."""
    known = structure.known
    decides = known.decides(structure.settings)
    if sharing is not None and sharing.helpers and not known.groups:
        cause = f"`structure {structure.method}` changes what tasks share, and each group is a network of its own"
        yield cause, "leave the block `structure` out, or in `sharing` what is in parentheses"
    means = [name for name in layers if not backbone.mixes(name)]
    if layers and decides and not known.alternatives:
        cause = f"`structure {structure.method}` is about copies of layers, and `{layers[0]}` is made of alternatives"
        others = " or ".join(f"`structure {each.name}`" for each in methods() if each.alternatives and means)
        remedy = f"leave the block `structure` out{f', write {others}' if others else ''}"
        yield cause, f"{remedy}, or make the layer of one pipeline"
    if known.alternatives and not means and not tuple(unsure):
        cause = f"`structure {structure.method}` chooses among alternatives, and no layer is a mean of some"
        yield cause, f"make a layer of alternatives: `mix = {PARALLEL}(conv3=conv2d(16, 3), skip=identity)`"


def surroundings_of(train: Train | None, *, grouped: bool) -> Surroundings:
    """What a method's values are held against."""
    if train is None:
        return Surroundings(None, None, grouped, None)
    lr: Any = train.optimizer.arguments["lr"]
    return Surroundings(train.epochs, lr, grouped, train.balance.name)


def misfit_of_teachers(structure: Structure, train: Train) -> Misfit | None:
    """A run that would be taught twice."""
    if train.taught_by is None or not structure.values.get("teach"):
        return None
    cause = f"`teach` of `{structure.method}` lets the run's own network teach, and `teachers` another one"
    return cause, "leave one of them out"
