"""A pipeline as straight-line steps in single-assignment form: macros are expanded, residual branches and repetitions
flattened, every argument given a value and every shape computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.language.application import given_shape
from mtsldsl.language.constants import Constant, Shape, are_arguments, frozen, is_shape
from mtsldsl.language.holding import are_names, by_name, of_kind, of_records
from mtsldsl.language.kinds import Choice
from mtsldsl.language.operator import Misfit
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import Outputs
from mtsldsl.language.operators.shapes import times
from mtsldsl.records import Record

MEAN, MIXTURE = "mean", "mixture"
"""How a layer joins what its alternatives give."""

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

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.operator, str) or self.operator not in OPERATORS:
            raise ValueError(f"operator cannot be {self.operator!r}, which is none of the language")
        if not are_arguments(self.arguments):
            raise ValueError(f"arguments of {self.operator} cannot be {self.arguments!r}: give constants by name")
        if not isinstance(self.inputs, tuple) or not all(map(_is_reference, self.inputs)):
            raise ValueError(f"inputs of {self.operator} cannot be {self.inputs!r}: give numbers of steps, or names")
        if not is_shape(self.shape):
            raise ValueError(f"shape of {self.operator} cannot be {self.shape!r}: give one to three sizes")
        if not isinstance(self.span, Span | None):
            raise ValueError(f"span of {self.operator} cannot be {self.span!r}: give a Span")


def _is_reference(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


@attrs.frozen(eq=False, repr=False)
class Body(Record):
    """A lowered pipeline. `inputs` are the outside names it reads, in order of first use, with their shapes;
    `output` is the step that is its result (or an outside name, for the empty pipeline)."""

    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    steps: tuple[Step, ...] = attrs.field(validator=of_records(Step))
    output: Reference
    shape: Shape

    def __attrs_post_init__(self) -> None:
        if not are_names(self.inputs):
            raise ValueError(f"inputs cannot be {self.inputs!r}: give names, each once")
        shapes = self.input_shapes
        if not isinstance(shapes, tuple) or not all(map(is_shape, shapes)) or len(shapes) != len(self.inputs):
            raise ValueError(f"input_shapes cannot be {shapes!r}: give a shape for each of the inputs")
        known: dict[Reference, Shape] = dict(zip(self.inputs, shapes, strict=True))
        for place, step in enumerate(self.steps):
            what = f"step {place}, `{step.operator}`"
            unknown = [source for source in step.inputs if source not in known]
            if unknown:
                raise ValueError(f"{what} reads {unknown[0]!r}, which is no input of the body and no step before it")
            try:
                shape = given_shape(step.operator, step.arguments, tuple(known[source] for source in step.inputs))
            except Misfit as misfit:
                raise ValueError(f"{what}: {misfit.cause}; {misfit.remedy}") from misfit
            except ValueError as wrong:
                raise ValueError(f"{what}: {wrong}") from wrong
            if shape != step.shape:
                raise ValueError(f"{what} gives {times(shape)}, not {times(step.shape)}")
            known[place] = step.shape
        if not _is_reference(self.output) or self.output not in known:
            raise ValueError(f"output cannot be {self.output!r}: give the number of a step, or one of the inputs")
        if self.steps and self.output != len(self.steps) - 1:
            raise ValueError(f"output cannot be {self.output!r}: it is the last step, {len(self.steps) - 1}")
        if self.shape != known[self.output] or not is_shape(self.shape):
            raise ValueError(f"shape cannot be {self.shape!r}: the output has {times(known[self.output])}")

    def steps_with_shapes(self) -> Iterator[tuple[Step, tuple[Shape, ...]]]:
        """Each step with the shapes of what it reads."""
        known: dict[Reference, Shape] = dict(zip(self.inputs, self.input_shapes, strict=True))
        for place, step in enumerate(self.steps):
            yield step, tuple(known[source] for source in step.inputs)
            known[place] = step.shape


@attrs.frozen(eq=False, repr=False)
class Parallel(Record):
    """Alternatives of one layer by name, which read the same and give one shape.

    Each task gets what those give that it uses, and zeros where it uses none: the mean, or as `gate` says a mixture,
    whose shares a gate of the task's own computes from what the layer reads.
    """

    alternatives: Mapping[str, Body] = attrs.field(hash=False, validator=by_name(Body))
    gate: str = attrs.field(default=MEAN, validator=of_kind(Choice((MEAN, MIXTURE))))

    def __attrs_post_init__(self) -> None:
        if not self.alternatives:
            raise ValueError("a layer of alternatives needs one")
        if misfit := misfit_of_alternatives(self.alternatives):
            raise ValueError(f"{misfit.cause}; {misfit.remedy}")
        if len({(body.inputs, body.input_shapes) for body in self.alternatives.values()}) != 1:
            raise ValueError("the alternatives of a layer are given the same inputs")

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


@attrs.frozen(eq=False, repr=False)
class AlternativeMisfit(Record):
    """Why an alternative cannot be one of its layer, and what would make it one."""

    name: str
    code: str
    cause: str
    remedy: str


def misfit_of_alternatives(bodies: Mapping[str, Body]) -> AlternativeMisfit | None:
    """The first alternative of a layer that has several outputs, or another shape than the first; None where there is
    none."""
    first, one = next(iter(bodies.items()))
    for name, body in bodies.items():
        if isinstance(body.shape, Outputs):
            cause = f"the alternative `{name}` has {len(body.shape.taps)} outputs"
            remedy = "make it a layer of its own, and name one of them here"
            return AlternativeMisfit(name, "MTL313", cause, remedy)
        if body.shape != one.shape:
            cause = f"the alternative `{name}` gives {times(body.shape)}, and `{first}` gives {times(one.shape)}"
            return AlternativeMisfit(name, "MTL302", cause, "make all alternatives give one shape")
    return None


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
