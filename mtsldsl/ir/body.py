"""A pipeline as straight-line steps in single-assignment form: macros are expanded, residual branches and repetitions
flattened, every argument given a value and every shape computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

    def steps_with_shapes(self) -> Iterator[tuple[Step, tuple[Shape, ...]]]:
        """Each step with the shapes of what it reads."""
        known: dict[Reference, Shape] = dict(zip(self.inputs, self.input_shapes, strict=True))
        for place, step in enumerate(self.steps):
            yield step, tuple(known[source] for source in step.inputs)
            known[place] = step.shape


MEAN, MIXTURE = "mean", "mixture"
"""How a layer joins what its alternatives give."""


@attrs.frozen(eq=False, repr=False)
class Parallel(Record):
    """Alternatives of one layer by name, which read the same and give one shape.

    Each task gets what those give that it uses, and zeros where it uses none: the mean, or as `gate` says a mixture,
    whose shares a gate of the task's own computes from what the layer reads.
    """

    alternatives: Mapping[str, Body] = attrs.field(hash=False)
    gate: str = MEAN

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


def gate_of(layer: Parallel, uses: int) -> Body:
    """What gives the shares of so many alternatives, before a softmax: a linear map, without a bias, of the layer's
    first input, which is averaged over space or tokens (Ma et al., 2018, eq. 7)."""
    name, shape = layer.inputs[0], layer.input_shapes[0]
    steps: list[Step] = []
    if len(shape) == 3:
        steps.append(Step("adaptive_avg_pool2d", {"output_size": 1}, (name,), (shape[0], 1, 1)))
        steps.append(Step("flatten", {}, (0,), (shape[0],)))
    elif len(shape) == 2:
        steps.append(Step("mean_tokens", {}, (name,), (shape[1],)))
    reads: Reference = len(steps) - 1 if steps else name
    steps.append(Step("linear", {"out_features": uses, "bias": False}, (reads,), (uses,)))
    return Body((name,), (shape,), tuple(steps), len(steps) - 1, (uses,))


def bodies_of(body: Body | Parallel) -> Mapping[str | None, Body]:
    """The bodies of a layer, by the alternative that each is; by None where the layer is one body."""
    return dict(body.alternatives.items()) if isinstance(body, Parallel) else {None: body}
