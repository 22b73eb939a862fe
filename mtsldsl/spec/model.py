"""The specification as frozen records: what a `.mtl` file means, once every name, default and shape is resolved.

A layer's or head's pipeline is lowered to straight-line steps in single-assignment form: macros are expanded, residual
branches and repetitions flattened, every argument given a value and every shape computed. `codegen` prints these
steps, `operators.py` says what each one costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import attrs

from mtsldsl.diagnostics import Source, Span
from mtsldsl.sharing import Backbone, Sharing

if TYPE_CHECKING:
    from mtsldsl.spec.cost import Cost
    from mtsldsl.spec.library import Library

Shape: TypeAlias = tuple[int, ...]
"""Of one sample, the batch dimension left out: image `(channels, height, width)`, tokens `(length, channels)`,
features `(channels,)`."""

Scalar: TypeAlias = int | float | bool | str
Constant: TypeAlias = Scalar | tuple["Constant", ...] | None
"""A resolved value of an argument."""

Reference: TypeAlias = int | str
"""Where a step reads: the index of an earlier step of the same body, or the name of a layer or of the input."""


def _freeze(arguments: Mapping[str, Constant]) -> Mapping[str, Constant]:
    return MappingProxyType(dict(arguments))


@attrs.frozen
class Named:
    """A name with resolved arguments: a loss, a metric, an optimizer, a similarity, an augmentation."""

    name: str
    arguments: Mapping[str, Constant] = attrs.field(factory=dict, converter=_freeze)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Step:
    """One operator applied to earlier values. `shape` is that of its result."""

    operator: str
    arguments: Mapping[str, Constant] = attrs.field(converter=_freeze)
    inputs: tuple[Reference, ...]
    shape: Shape
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Body:
    """A lowered pipeline. `inputs` are the outside names it reads, in order of first use, with their shapes;
    `output` is the step that is its result (or an outside name, for the empty pipeline)."""

    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    steps: tuple[Step, ...]
    output: Reference
    shape: Shape


@attrs.frozen
class Layer:
    """One layer of the backbone."""

    name: str
    body: Body
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Target:
    """What a task predicts: `classes(13, ignore=255)`, `values(1)`, `unit_vectors(3)`, `binary(1)`, `reconstruct`.

    `channels` is the size that the head's channel dimension must have. `valid` says which values of a `values` target
    count: every finite one (`finite`), or those above zero alone (`positive`), as measured depths need it."""

    kind: str
    channels: int
    ignore: int | None = None
    valid: str = "finite"


@attrs.frozen
class Task:
    """One task: its target, head, loss and metrics. `field` names the data set's array; None takes the default."""

    name: str
    target: Target
    head: Body
    loss: Named
    metrics: tuple[Named, ...]
    weight: float = 1.0
    field: str | None = None
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Data:
    """The data set (`kind` is the block's label), the input's name and shape, and what is done to a batch.

    `options` holds the keys of the kind, such as `root`."""

    kind: str
    input: str
    shape: Shape
    batch: int
    augment: tuple[Named, ...] = ()
    options: Mapping[str, Constant] = attrs.field(factory=dict, converter=_freeze)
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Train:
    """How the network is trained.

    `keep` says which epoch's weights are kept: `best`, `last`, or that of one metric, `<task>.<metric key>`."""

    epochs: int
    optimizer: Named
    scheduler: Named | None
    balance: Named
    precision: str
    seed: int
    keep: str = "best"
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Structure:
    """How the structure may evolve. `transfer.arguments["epochs"]` has one entry per phase for `amalgamate`."""

    method: str
    phases: tuple[int, ...]
    similarity: Named
    threshold: float
    align: float
    transfer: Named
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Decision:
    """One line of `history`: the tasks that came to share `layer` at the end of `epoch`."""

    kind: str
    epoch: int
    layer: str
    tasks: tuple[str, ...]
    similarity: float
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Spec:
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

    def task(self, name: str) -> Task:
        """The task of that name."""
        return next(task for task in self.tasks if task.name == name)

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    def cost(self) -> Cost:
        """Parameters and floating-point operations of the network, per layer, head and task, and in all."""
        from mtsldsl.spec.cost import cost_of

        return cost_of(self)

    def with_sharing(self, sharing: Sharing) -> Spec:
        """The same with another sharing, written into the `sharing` block of its text line by line.

        Raises MtlError: MTL407 where the sharing is not one of these layers and tasks, MTL704 where the text cannot be
        rewritten without losing something."""
        from mtsldsl.spec.rewrite import rewritten

        return rewritten(self, sharing)
