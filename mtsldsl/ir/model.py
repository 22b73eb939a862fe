"""The specification as frozen records: what a `.mtl` file means, once every name, default and shape is resolved.

`codegen` prints the steps that layers and heads are lowered to, the table of operators says what each one costs.

Each record holds what it is made of against the tables of the language, and raises ValueError for what no text can say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, COMMON
from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Source, Span
from mtsldsl.ir.body import Body, Parallel, bodies_of
from mtsldsl.ir.cost import Cost, cost_of, settled
from mtsldsl.ir.data_rules import misfits_of_data
from mtsldsl.ir.library import Library
from mtsldsl.ir.task_record import Task, hold_name
from mtsldsl.ir.whole_spec import hold_together
from mtsldsl.language.constants import Constant, Named, Shape, frozen, unchanging
from mtsldsl.language.holding import LABEL, PLACE, by_keys, by_name, hold, hold_all, of_kind, of_record, of_records
from mtsldsl.language.kinds import EPOCHS, Choice, Input, Integer, Maybe
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.optimization import goes_by_steps, nesterov_without_momentum
from mtsldsl.language.schema import SCHEDULER, TRAIN
from mtsldsl.language.tuning import FROZEN, RATE
from mtsldsl.methods.evidence import PENALTY
from mtsldsl.methods.method import Method
from mtsldsl.methods.registry import METHODS, decision_rules, method
from mtsldsl.records import Record
from mtsldsl.sharing import Backbone, Sharing


@attrs.frozen(eq=False, repr=False)
class Layer(Record):
    """One layer of the backbone: one body, or several alternatives. `variants` has what it is, by the names of data
    blocks, for inputs of other sizes than the first block's."""

    name: str
    body: Body | Parallel = attrs.field(validator=of_record(Body, Parallel))
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)
    variants: Mapping[str, Body | Parallel] = attrs.field(factory=dict, hash=False, validator=by_name(Body, Parallel))

    def __attrs_post_init__(self) -> None:
        hold_name(self.name)
        for data, body in self.variants.items():
            if body.inputs != self.body.inputs or bodies_of(body).keys() != bodies_of(self.body).keys():
                raise ValueError(f"`{self.name}` is another layer for `data {data}`: only sizes may differ")
        for alternative in self.alternatives:
            hold_name(alternative)

    def body_for(self, data: str) -> Body | Parallel:
        """What it is for the samples of a data block."""
        return self.variants.get(data, self.body)

    @property
    def alternatives(self) -> tuple[str, ...]:
        """The names of its alternatives, none where it is one body."""
        return tuple(self.body.alternatives) if isinstance(self.body, Parallel) else ()

    @property
    def bodies(self) -> Mapping[str | None, Body]:
        """Its bodies, by the alternative that each is; by None where it is one body."""
        return bodies_of(self.body)


def _unchanging(named: Mapping[str, Named]) -> Mapping[str, Named]:
    return unchanging(named)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys((BATCH, AUGMENT)))
class Data(Record):
    """The data set (`kind` is the block's label), the input's name and shape, and what is done to a batch.

    `options` holds the keys of the kind, such as `root`; `label` is the block's own name where it has one. `input` is
    the first input, and `more_inputs` has the further ones, if there are several."""

    kind: str
    input: str
    shape: Shape
    batch: int
    augment: tuple[Named, ...] = ()
    options: Mapping[str, Constant] = attrs.field(
        factory=dict, converter=frozen, hash=False, validator=of_record(Mapping)
    )
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)
    label: str | None = attrs.field(default=None, validator=LABEL)
    more_inputs: tuple[tuple[str, Shape], ...] = ()
    ids: Mapping[str, int] = attrs.field(factory=dict, converter=frozen, eq=False, hash=False, validator=by_name(int))
    """The inputs that are ids, as `embedding` reads them, and how many ids there may be: 0 to one less than that."""
    ids_from: Mapping[str, Span] = attrs.field(factory=dict, eq=False, hash=False, repr=False, validator=by_name(Span))
    """The place of the `embedding` that says so of each, where it has one."""

    def __attrs_post_init__(self) -> None:
        hold(Choice(tuple(DATASETS)), self.kind, "data")
        if not isinstance(self.more_inputs, tuple):
            raise ValueError(f"more_inputs cannot be {self.more_inputs!r}: give a tuple of names with shapes")
        for given in ((self.input, self.shape), *self.more_inputs):
            match given:
                case (name, tuple(shape)):
                    hold_name(name)
                    hold(Input(), (name, *shape), "input")
                case _:
                    raise ValueError(f"an input cannot be {given!r}: give a name with a shape")
        if len(self.inputs) <= len(self.more_inputs):
            raise ValueError("two inputs have one name")
        for ids, count in self.ids.items():
            if ids not in self.inputs:
                raise ValueError(f"{ids} is no input, and its ids are said")
            hold(Integer(1), count, f"ids of {ids}")
        keys = data_kind(self.kind).block.keys or ()
        hold_all((key for key in keys if key.name not in COMMON), self.options, self.kind)
        for misfit in misfits_of_data(self.kind, self.inputs, self.augment, self.options):
            raise ValueError(f"{misfit.cause}; {misfit.remedy}")

    @property
    def name(self) -> str:
        """What tasks call the block: its own name, or else its kind."""
        return self.label or self.kind

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shapes of all its inputs by name, in their order."""
        return {self.input: self.shape, **dict(self.more_inputs)}

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of those inputs that are images."""
        return tuple(name for name, shape in self.inputs.items() if len(shape) == 3)

    @property
    def apart(self) -> bool:
        """Whether each task has samples of its own, and so batches."""
        return data_kind(self.kind).apart(self.options)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(TRAIN.keys))
class Train(Record):
    """How the network is trained.

    `keep` says which weights are kept: of the epoch `best`, `last`, or that of one metric, `<task>.<metric key>`; or a
    mean over the last steps, `average(part)`."""

    epochs: int
    optimizer: Named
    scheduler: Named | None = attrs.field(validator=of_kind(Maybe(SCHEDULER)))
    balance: Named
    precision: str
    seed: int
    keep: str | Named = EPOCHS[0]
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)
    sampling: Named = attrs.field(factory=lambda: Named("proportional"))
    accumulate: int = 1
    clip: float | None = None
    warmup: int = 0
    stop: Named = attrs.field(factory=lambda: Named("none"))
    ema: float | None = None
    init: Named = attrs.field(factory=lambda: Named("none"))
    teachers: str | None = None
    teach: float = 1.0

    def __attrs_post_init__(self) -> None:
        if nesterov_without_momentum(self.optimizer):
            raise ValueError("Nesterov momentum needs a momentum above 0 and no dampening")
        if self.ema is not None and self.average is not None:
            raise ValueError("ema is a mean of the weights, and so is what keep says")

    @property
    def average(self) -> float | None:
        """The last part of the steps, of whose weights the mean is kept; None where that is not kept."""
        return number(self.keep.arguments, "part") if isinstance(self.keep, Named) else None

    @property
    def kept(self) -> str:
        """What `keep` says, in short."""
        return self.keep if isinstance(self.keep, str) else f"{self.keep.name}({self.average!r})"

    @property
    def taught_by(self) -> str | None:
        """The folder of the run whose network teaches; None where none does."""
        return self.teachers if self.teach else None

    @property
    def rate_by_steps(self) -> bool:
        """Whether the schedule of the learning rate is advanced once a step, and not once an epoch."""
        return self.scheduler is not None and goes_by_steps(self.scheduler)


@attrs.frozen(eq=False, repr=False)
class Structure(Record):
    """How the structure may evolve: the values of the method's block by key, and the record that its learner is made
    of, which only that method looks into."""

    method: str = attrs.field(validator=of_kind(Choice(tuple(METHODS))))
    values: Mapping[str, Any] = attrs.field(converter=frozen, hash=False, validator=of_record(Mapping))
    settings: Any = attrs.field(init=False, eq=False, repr=False)
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)

    def __attrs_post_init__(self) -> None:
        chosen = self.known
        hold_all(chosen.block.keys or (), self.values, self.method)
        object.__setattr__(self, "settings", chosen.settings(self.values))

    @property
    def known(self) -> Method:
        """What its method says of itself."""
        return method(self.method)


@attrs.frozen(eq=False, repr=False)
class Decision(Record):
    """One line of `history`: what came to be at the end of `epoch`, in fields that the method of that `kind` names."""

    kind: str
    epoch: int
    fields: Mapping[str, Constant] = attrs.field(converter=frozen, hash=False, validator=of_record(Mapping))
    span: Span | None = attrs.field(default=None, eq=False, repr=False, validator=PLACE)

    def __attrs_post_init__(self) -> None:
        rules = decision_rules()
        hold(Choice(tuple(rules)), self.kind, "decision")
        epoch, *rest = rules[self.kind].call.keys
        hold(epoch.kind, self.epoch, f"epoch of {self.kind}")
        hold_all([key for key in rest if key.default is not None or key.name in self.fields], self.fields, self.kind)


@attrs.frozen(eq=False, repr=False)
class Stream(Record):
    """What batches are drawn from: a data block with all tasks that read it, or one task of a block where each has
    samples of its own. `name` is that of the block, or of the task, told apart from that of a block."""

    name: str
    data: Data
    tasks: tuple[str, ...]


def streams_of(blocks: Sequence[Data], tasks: Sequence[Task]) -> tuple[Stream, ...]:
    """What batches of these data blocks are drawn from, in their order, then in that of the tasks."""
    found: list[Stream] = []
    taken = {data.name for data in blocks if not data.apart}
    for data in blocks:
        names = tuple(task.name for task in tasks if len(blocks) == 1 or task.data == data.name)
        if data.apart:
            found += [Stream(f"{data.name}.{name}" if name in taken else name, data, (name,)) for name in names]
        elif names:
            found.append(Stream(data.name, data, names))
    return tuple(found)


@attrs.frozen(eq=False, repr=False)
class Spec(Record):
    """A whole specification. Equal specs mean the same; comments, layout and places do not count.

    `data` is its first data block, and `more_data` has the further ones, if there are several."""

    data: Data = attrs.field(validator=of_record(Data))
    tasks: tuple[Task, ...] = attrs.field(validator=of_records(Task))
    layers: tuple[Layer, ...] = attrs.field(validator=of_records(Layer))
    train: Train = attrs.field(validator=of_record(Train))
    structure: Structure | None = attrs.field(validator=of_record(Structure, type(None)))
    sharing: Sharing = attrs.field(validator=of_record(Sharing))
    history: tuple[Decision, ...] = attrs.field(validator=of_records(Decision))
    source: Source = attrs.field(eq=False, repr=False, validator=of_record(Source))
    library: Library | None = attrs.field(default=None, eq=False, repr=False, validator=of_record(Library, type(None)))
    """What its imports brought."""
    more_data: tuple[Data, ...] = attrs.field(default=(), validator=of_records(Data))
    tuning: Mapping[str, Named] = attrs.field(factory=dict, converter=_unchanging, hash=False, validator=by_name(Named))
    """How layers, and the heads of tasks, by their names, learn otherwise than the rest."""

    def __attrs_post_init__(self) -> None:
        hold_together(self)

    @property
    def backbone(self) -> Backbone:
        """The graph of the layers."""
        return self.sharing.backbone

    @property
    def blocks(self) -> tuple[Data, ...]:
        """All its data blocks."""
        return (self.data, *self.more_data)

    def data_of(self, task: str) -> Data:
        """The data block that a task reads."""
        if not self.more_data:
            return self.data
        name = self.task(task).data
        return next(data for data in self.blocks if data.name == name)

    def with_alike_inputs(self, tasks: Iterable[str]) -> list[frozenset[str]]:
        """The tasks, those together whose inputs have the same shapes."""
        found: dict[tuple[Shape, ...], set[str]] = {}
        for task in tasks:
            found.setdefault(tuple(self.data_of(task).inputs.values()), set()).add(task)
        return list(map(frozenset, found.values()))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What batches are drawn from, in the order of the blocks and of the tasks: one for most specs."""
        return streams_of(self.blocks, self.tasks)

    @property
    def penalty_name(self) -> str:
        """What the learner's own loss is called among those of the tasks."""
        return METHODS[self.structure.method].penalty if self.structure else PENALTY

    @property
    def helpers(self) -> tuple[Task, ...]:
        """The heads of tasks in the groups that they help, each as a task: `depth(normal)`."""
        helping = self.sharing.helpers
        tasks = {task.name: task for task in self.tasks} if helping else {}
        return tuple(attrs.evolve(tasks[each.task], name=each.name, helping=each.served) for each in helping)

    @property
    def trained(self) -> tuple[Task, ...]:
        """All that has a head and a loss in training: the tasks, then the helpers."""
        return (*self.tasks, *self.helpers)

    def trained_with(self, tasks: Collection[str]) -> tuple[str, ...]:
        """These tasks, and what helps in the groups that serve them."""
        return (*tasks, *(each.name for each in self.sharing.helpers if each.served <= frozenset(tasks)))

    def served(self) -> Spec:
        """The spec of the network as it is used: without what helps in training. Its text stays as it is."""
        return attrs.evolve(self, sharing=self.sharing.served()) if self.sharing.helpers else self

    @property
    def frozen(self) -> frozenset[str]:
        """The layers, and the tasks whose heads, learn nothing."""
        return frozenset(name for name, value in self.tuning.items() if value.name == FROZEN)

    @property
    def rates(self) -> dict[str, float]:
        """The factors of the learning rate of the layers, and of the tasks' heads, that have one."""
        return {name: number(value.arguments, "factor") for name, value in self.tuning.items() if value.name == RATE}

    @cached_property
    def settled(self) -> frozenset[str]:
        """Of all that has a loss in training what has nothing that learns: the head is frozen, and so are all layers
        with weights that it reads."""
        return settled(self) if self.frozen else frozenset()

    def task(self, name: str) -> Task:
        """The task of that name, or helper."""
        return next(task for several in (self.tasks, self.helpers) for task in several if task.name == name)

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    def cost(self) -> Cost:
        """Parameters and floating-point operations of the network, per layer, head and task, and in all."""
        return self._cost

    @cached_property
    def _cost(self) -> Cost:
        return cost_of(self)

    def with_sharing(self, sharing: Sharing) -> Spec:
        """The same with another sharing, written into the `sharing` block of its text line by line.

        Raises MtlError: MTL407 where the sharing is not one of these layers and tasks, MTL704 where the text cannot be
        rewritten without losing something."""
        # By name: a record does not know who edits its text.
        rewritten: Spec = import_module("mtsldsl.editing.rewrite").rewritten(self, sharing)
        return rewritten
