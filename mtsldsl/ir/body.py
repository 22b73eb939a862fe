"""A pipeline as straight-line steps in single-assignment form: macros are expanded, residual branches and repetitions
flattened, every argument given a value and every shape computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.language.constants import Constant, Shape, frozen
from mtsldsl.records import Record

Reference: TypeAlias = int | str
"""Where a step reads: the index of an earlier step of the same body, or the name of a layer or of the input."""


@attrs.frozen(eq=False, repr=False)
class Step(Record):
    """One operator applied to earlier values. `shape` is that of its result."""

    operator: str
    arguments: Mapping[str, Constant] = attrs.field(converter=frozen)
    inputs: tuple[Reference, ...]
    shape: Shape
    span: Span | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Body(Record):
    """A lowered pipeline. `inputs` are the outside names it reads, in order of first use, with their shapes;
    `output` is the step that is its result (or an outside name, for the empty pipeline)."""

    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    steps: tuple[Step, ...]
    output: Reference
    shape: Shape


@attrs.frozen(eq=False, repr=False)
class Parallel(Record):
    """Alternatives of one layer by name, which read the same and give one shape. Each task gets the mean of what those
    give that it uses, and zeros where it uses none."""

    alternatives: Mapping[str, Body] = attrs.field(hash=False)

    def __attrs_post_init__(self) -> None:
        if len({(body.inputs, body.shape) for body in self.alternatives.values()}) != 1:
            raise ValueError("a layer needs alternatives that read the same and give one shape")

    @property
    def _one(self) -> Body:
        return next(iter(self.alternatives.values()))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The outside names that every alternative is given."""
        return self._one.inputs

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Their shapes."""
        return self._one.input_shapes

    @property
    def shape(self) -> Shape:
        """That of what every alternative gives."""
        return self._one.shape


def bodies_of(body: Body | Parallel) -> Mapping[str | None, Body]:
    """The bodies of a layer, by the alternative that each is; by None where the layer is one body."""
    return dict(body.alternatives.items()) if isinstance(body, Parallel) else {None: body}
