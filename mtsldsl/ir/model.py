"""The specification as frozen records: what a `.mtl` file means, once every name, default and shape is resolved.

`codegen` prints the steps that layers and heads are lowered to, the table of operators says what each one costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any

import attrs
from attrs.validators import deep_iterable, ge, in_, lt, max_len, min_len, optional

from mtsldsl.datasets.registry import DATASETS
from mtsldsl.diagnostics import Source, Span
from mtsldsl.ir.body import Body
from mtsldsl.ir.cost import Cost, cost_of
from mtsldsl.language.constants import Constant, Named, Shape, frozen
from mtsldsl.language.kinds import Call
from mtsldsl.language.optimization import BALANCES, OPTIMIZERS, SCHEDULERS
from mtsldsl.language.schema import PRECISIONS
from mtsldsl.language.targets import TARGETS
from mtsldsl.methods.evidence import PENALTY
from mtsldsl.methods.registry import METHODS, method
from mtsldsl.records import Record
from mtsldsl.sharing import Backbone, Sharing

if TYPE_CHECKING:
    from mtsldsl.ir.library import Library


def _named(call: Call) -> Callable[[object, attrs.Attribute[Any], Named], None]:
    """Holds that a name is one of those that a key takes, with all of its arguments and no other."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: Named) -> None:
        rule = call.rule(value.name)
        if rule is None:
            raise ValueError(f"{attribute.name} cannot be {value.name!r}")
        known = {key.name for key in rule.keys}
        if not value.arguments.keys() <= known:
            raise ValueError(f"{value.name} has no argument {', '.join(value.arguments.keys() - known)}")

    return validate


@attrs.frozen(eq=False, repr=False)
class Layer(Record):
    """One layer of the backbone."""

    name: str
    body: Body
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Target(Record):
    """What a task predicts: `classes(13, ignore=255)`, `values(1)`, `unit_vectors(3)`, `binary(1)`, `reconstruct`.

    `channels` is the size that the head's channel dimension must have. `valid` says which values of a `values` target
    count: every finite one (`finite`), or those above zero alone (`positive`), as measured depths need it."""

    kind: str = attrs.field(validator=in_(TARGETS))
    channels: int = attrs.field(validator=ge(1))
    ignore: int | None = None
    valid: str = attrs.field(default="finite", validator=in_(("finite", "positive")))


@attrs.frozen(eq=False, repr=False)
class Task(Record):
    """One task: its target, head, loss and metrics. `field` names the data set's array; None takes the default."""

    name: str
    target: Target
    head: Body
    loss: Named
    metrics: tuple[Named, ...]
    weight: float = attrs.field(default=1.0, validator=[ge(0), lt(inf)])
    field: str | None = None
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Data(Record):
    """The data set (`kind` is the block's label), the input's name and shape, and what is done to a batch.

    `options` holds the keys of the kind, such as `root`."""

    kind: str = attrs.field(validator=in_((*DATASETS, "")))
    input: str
    shape: Shape = attrs.field(validator=[min_len(1), max_len(3), deep_iterable(ge(1))])
    batch: int = attrs.field(validator=ge(1))
    augment: tuple[Named, ...] = ()
    options: Mapping[str, Constant] = attrs.field(factory=dict, converter=frozen)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Train(Record):
    """How the network is trained.

    `keep` says which epoch's weights are kept: `best`, `last`, or that of one metric, `<task>.<metric key>`."""

    epochs: int = attrs.field(validator=ge(1))
    optimizer: Named = attrs.field(validator=_named(OPTIMIZERS))
    scheduler: Named | None = attrs.field(validator=optional(_named(SCHEDULERS)))
    balance: Named = attrs.field(validator=_named(BALANCES))
    precision: str = attrs.field(validator=in_(PRECISIONS))
    seed: int = attrs.field(validator=ge(0))
    keep: str = "best"
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Structure(Record):
    """How the structure may evolve: the values of the method's block by key, and the record that its learner is made
    of, which only that method looks into."""

    method: str = attrs.field(validator=in_(METHODS))
    values: Mapping[str, Any] = attrs.field(converter=frozen, hash=False)
    settings: Any = attrs.field(eq=False, repr=False)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Decision(Record):
    """One line of `history`: what came to be at the end of `epoch`, in fields that the method of that `kind` names."""

    kind: str
    epoch: int = attrs.field(validator=ge(0))
    fields: Mapping[str, Constant] = attrs.field(converter=frozen, hash=False)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Spec(Record):
    """A whole specification. Equal specs mean the same; comments, layout and places do not count."""

    data: Data
    tasks: tuple[Task, ...]
    layers: tuple[Layer, ...]
    train: Train
    structure: Structure | None
    sharing: Sharing
    history: tuple[Decision, ...]
    source: Source = attrs.field(eq=False, repr=False)
    library: Library | None = attrs.field(default=None, eq=False, repr=False)
    """What its imports brought."""

    @property
    def backbone(self) -> Backbone:
        """The graph of the layers."""
        return self.sharing.backbone

    @property
    def penalty_name(self) -> str:
        """What the learner's own loss is called among those of the tasks."""
        return method(self.structure.method).penalty_name if self.structure else PENALTY

    def task(self, name: str) -> Task:
        """The task of that name."""
        return next(task for task in self.tasks if task.name == name)

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    def cost(self) -> Cost:
        """Parameters and floating-point operations of the network, per layer, head and task, and in all."""
        return cost_of(self)

    def with_sharing(self, sharing: Sharing) -> Spec:
        """The same with another sharing, written into the `sharing` block of its text line by line.

        Raises MtlError: MTL407 where the sharing is not one of these layers and tasks, MTL704 where the text cannot be
        rewritten without losing something."""
        # By name: a record does not know who edits its text.
        rewritten: Spec = import_module("mtsldsl.editing.rewrite").rewritten(self, sharing)
        return rewritten
