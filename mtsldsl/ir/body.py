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
