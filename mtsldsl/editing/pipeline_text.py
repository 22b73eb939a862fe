"""Steps as a pipeline of the language again, with every argument that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil, inf, prod

import attrs

from mtsldsl.ir.body import Body, Parallel, Reference, Step, bodies_of
from mtsldsl.ir.settings import said
from mtsldsl.ir.wording import inputs_shown
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.naming import PARALLEL, RESIDUAL
from mtsldsl.language.operator import Arguments
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.arguments import integer
from mtsldsl.language.operators.own import OWN, RESERVED, TAP, Outputs, taps_of
from mtsldsl.records import Record

_DIGITS = 17
"""Of the digits behind the point those that a number of the language has."""


def _own_arguments(step: Step) -> Arguments:
    return step.arguments


def layer_text(
    body: Body | Parallel,
    by_size: Sequence[tuple[Shape, Body | Parallel]] = (),
    arguments: Callable[[Step], Arguments] = _own_arguments,
) -> str:
    """What a layer or a head is. With what it is for images of several sizes, `resize` and `residual` are said so that
    they still depend on these: a part of the image, and no shortcut. `arguments` gives what is said of a step."""
    found = [
        _Text(each, tuple((shape, bodies_of(other)[name]) for shape, other in by_size), arguments).whole()
        for name, each in bodies_of(body).items()
    ]
    if not isinstance(body, Parallel):
        return found[0]
    parts = [f"{name}={text}" for name, text in zip(body.alternatives, found, strict=True)]
    return f"{PARALLEL}({', '.join([*parts, f'gate={body.gate}'])})"


@attrs.frozen(eq=False, repr=False)
class _Text(Record):
    body: Body
    by_size: Sequence[tuple[Shape, Body]]
    arguments: Callable[[Step], Arguments]

    @cached_property
    def read(self) -> frozenset[Reference]:
        """What is read by a step, or is the result."""
        return frozenset([self.body.output, *(each for step in self.body.steps for each in step.inputs)])

    def whole(self) -> str:
        return self._chain(self.body.output, None, -1)

    def _chain(self, end: Reference, piped: Reference | None, low: int) -> str:
        """The pipeline from the piped value to `end`, whose own steps come after the step `low`; one without a piped
        value begins with a name."""
        stages: list[str] = []
        value: Reference | None = end
        while value is not None and value != piped:
            step = None if isinstance(value, str) else self.body.steps[value]
            if step is None or isinstance(value, str):
                stages.append(str(value))
                break
            if step.operator == TAP:
                stages.append(self._tap(step))
                break
            value, stage = self._stage(step, value, piped, low)
            stages.append(stage)
        return " | ".join(reversed(stages)) or "identity"

    def _stage(self, step: Step, place: int, piped: Reference | None, low: int) -> tuple[Reference | None, str]:
        """What is piped into a step, and the step as a call."""
        operator = OPERATORS[step.operator]
        main = self._main(step) if self.by_size else None
        name, arguments = step.operator, self._arguments(step, place)
        source: Reference | None = step.inputs[0]
        branches = step.inputs[1:]
        if main is not None:
            source, branches, name = self._source(main), main[:1], RESIDUAL
        elif operator.arity is None and not operator.piped:
            source, branches = self._joined(place, piped, low), step.inputs
        before = max(low, source) if isinstance(source, int) else low
        values = []
        for branch in branches:
            values.append(self._chain(branch, source, before))
            before = max(before, branch) if isinstance(branch, int) else before
        own = arguments[:1] if operator.own else []  # the target comes first
        given = [*own, *values, *arguments[len(own) :]]
        return source, f"{name}({', '.join(given)})" if given else name

    def _joined(self, place: int, piped: Reference | None, low: int) -> Reference | None:
        """A value from which alone all steps are computed that lie between it and the step that joins them: one that
        nobody reads where there is such, for it was piped into that step, or else the last."""
        found, earliest = piped, self._earliest(place)
        for candidate in range(place - 1, low, -1):
            if earliest >= candidate:
                if candidate not in self.read:
                    return candidate
                found = candidate if found == piped else found
            earliest = min(earliest, self._earliest(candidate))
        return found

    def _earliest(self, place: int) -> float:
        return min((each for each in self.body.steps[place].inputs if isinstance(each, int)), default=inf)

    def _main(self, step: Step) -> tuple[Reference, Reference] | None:
        """The two values of a sum that is as `residual` makes it of a pipeline and what it reads."""
        if step.operator != "add" or len(step.inputs) != 2:
            return None
        main, shortcut = step.inputs
        if isinstance(shortcut, int) and self.body.steps[shortcut].operator != "batch_norm":
            return (main, shortcut) if isinstance(main, int) and shortcut < main else None
        return main, shortcut

    def _source(self, values: tuple[Reference, Reference]) -> Reference:
        """What both values of a `residual` are made of: its shortcut is that itself, or two steps from it."""
        main, shortcut = values
        if isinstance(shortcut, str) or (isinstance(main, int) and shortcut < main):
            return shortcut
        norm = self.body.steps[shortcut]
        projection = norm.inputs[0]
        return self.body.steps[projection].inputs[0] if isinstance(projection, int) else projection

    def _tap(self, step: Step) -> str:
        """An output of a module, named with its layer."""
        (layer,) = step.inputs
        shape = dict(zip(self.body.inputs, self.body.input_shapes, strict=True))[str(layer)]
        assert isinstance(shape, Outputs)
        starts = dict(zip(_starts(shape), shape.taps, strict=True))
        return f"{layer}.{starts[integer(step.arguments, 'start')]}"

    def _arguments(self, step: Step, place: int) -> list[str]:
        given = dict(self.arguments(step))
        if step.operator == "resize" and self.by_size:
            given |= {"size": self._part(place), "width": None}
        if step.operator == OWN:
            return list(_own(given))
        return [f"{name}={said(value)}" for name, value in given.items() if value is not None]

    def _part(self, place: int) -> float:
        """The part of the image, in few digits, which `resize` rounds to the pixels of every size."""
        sides: list[tuple[int, int]] = []
        for shape, body in self.by_size:
            if len(body.steps) == len(self.body.steps):
                pixels = [integer(body.steps[place].arguments, name) for name in ("size", "width")]
                sides += zip(pixels, shape[1:], strict=True)
        least = max(Fraction(2 * count - 1, 2 * side) for count, side in sides)
        for digits in range(1, _DIGITS):
            first = ceil(least * 10**digits)
            for part in (first / 10**digits, (first + 1) / 10**digits):
                if all(max(1, round(part * side)) == count for count, side in sides):
                    return float(part)
        return 1.0


def _own(given: Mapping[str, Constant]) -> Iterator[str]:
    """The arguments of a module of the person's own: those of the table that are given, then those of the class."""
    yield said(given["target"], quoted=True)
    for name, value in given.items():
        if name not in RESERVED:
            yield f"{name}={said(value, quoted=True)}"
        elif name == "taps" and value is not None:
            yield f"taps=[{', '.join(inputs_shown({tap: shape}) for tap, shape in taps_of(given).items())}]"
        elif name != "target" and value is not None:
            yield f"{name}={said(value)}"


def _starts(shape: Outputs) -> Iterator[int]:
    """Where each output begins, as `Outputs` has them one after the other."""
    begin = 0
    for sizes in shape.taps.values():
        yield begin
        begin += prod(sizes)
