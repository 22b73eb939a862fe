"""Stages to straight-line steps: every value gets a shape, every argument a value, and misfits are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from mtsldsl.diagnostics import Span
from mtsldsl.ir.body import Body, Reference, Step
from mtsldsl.ir.expand import Apply, Stage, Start
from mtsldsl.ir.problems import BROKEN, Broken, Problems, line_of
from mtsldsl.language.application import check_read, given_shape
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.kinds import Chosen, OneOrMany, Required
from mtsldsl.language.naming import RESIDUAL
from mtsldsl.language.operator import Arguments, Context, Misfit, Operator
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import TAP, options_of
from mtsldsl.language.operators.shapes import times
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Value(Record):
    """A value inside a body: an earlier step, or something from outside, with its shape."""

    reference: Reference
    shape: Shape


class Unfit(Exception):  # noqa: N818 - it never leaves this module
    """A stage that does not fit; it is reported where the body is lowered."""

    def __init__(self, code: str, cause: str, remedy: str, stage: Stage) -> None:
        super().__init__(cause)
        self.code, self.cause, self.remedy, self.stage = code, cause, remedy, stage


class UnknownShape(Exception):  # noqa: N818 - it never leaves this module
    """Something is read whose own definition is broken; that is reported there."""


@attrs.define(eq=False, repr=False)
class _Body:
    """A body while it is made."""

    shapes: Mapping[str, Shape | Broken]
    image: Shape
    steps: list[Step] = attrs.field(factory=list)
    inputs: dict[str, Shape] = attrs.field(factory=dict)

    def outside(self, name: str) -> Value:
        """The layer or input of that name."""
        shape = self.shapes[name]
        if isinstance(shape, Broken):
            raise UnknownShape
        return Value(name, shape)

    def use(self, values: Sequence[Value]) -> None:
        """Take note of what is read from outside."""
        for value in values:
            if isinstance(value.reference, str):
                self.inputs.setdefault(value.reference, value.shape)

    def chain(self, stages: Sequence[Stage], piped: Value | None) -> Value:
        """Apply the stages one after the other; without `piped` the first must be a start."""
        value = piped
        for index, stage in enumerate(stages):
            if isinstance(stage, Start):
                if index > 0:
                    raise Unfit(
                        "MTL308",
                        f"`{stage.name}` stands inside a pipeline, where it would drop what comes before",
                        f"start the pipeline with it, or join both: `concat({stage.name})` or `add({stage.name})`",
                        stage,
                    )
                value = self.outside(stage.name)
            elif value is None:
                raise UnknownShape
            else:
                following = stages[index + 1] if index + 1 < len(stages) else None
                value = self.apply(stage, value, following)
        if value is None:
            raise UnknownShape
        return value

    def apply(self, stage: Apply, piped: Value, following: Stage | None) -> Value:
        """The value of one operator."""
        if stage.operator == RESIDUAL:
            return self.residual(stage, piped)
        if stage.operator == "identity":
            return piped
        inputs = [self.chain(value, piped) for value in stage.values]
        operator = OPERATORS[stage.operator]
        if operator.arity is not None or operator.piped or len(inputs) == 1:
            inputs = [piped, *inputs]
        return self.step(stage, inputs, following.operator if isinstance(following, Apply) else None)

    def step(self, stage: Apply, inputs: Sequence[Value], following: str | None) -> Value:
        """Append one step."""
        operator = OPERATORS[stage.operator]
        shapes = tuple(value.shape for value in inputs)
        try:
            check_read(operator.name, shapes)
            completed = operator.complete(stage.arguments, Context(shapes, self.image, following))
            arguments = _canonical(operator, completed)
            shape = given_shape(operator.name, arguments, shapes)
        except Misfit as misfit:
            code = "MTL313" if operator.name == TAP else "MTL302" if operator.arity is None else "MTL301"
            raise Unfit(misfit.code or code, misfit.cause, misfit.remedy, stage) from misfit
        self.use(inputs)
        references = tuple(value.reference for value in inputs)
        self.steps.append(Step(stage.operator, arguments, references, shape, stage.span))
        return Value(len(self.steps) - 1, shape)

    def residual(self, stage: Apply, piped: Value) -> Value:
        """main(x) + x, with a projection of x where the shapes differ."""
        main = self.chain(stage.values[0], piped)
        if len(stage.values) == 2:
            shortcut = self.chain(stage.values[1], piped)
            if shortcut.shape != main.shape:
                raise Unfit(
                    "MTL302",
                    f"`residual` adds {times(shortcut.shape)} of its shortcut to {times(main.shape)}",
                    "make both give the same shape",
                    stage,
                )
        else:
            shortcut = piped if piped.shape == main.shape else self.projection(stage, piped, main.shape)
        return self.step(attrs.evolve(stage, operator="add", arguments={}, values=()), (main, shortcut), None)

    def projection(self, stage: Apply, piped: Value, wanted: Shape) -> Value:
        """A 1x1 convolution to the wanted shape, and a batch norm."""
        stride = _stride(piped.shape, wanted)
        if stride is None:
            raise Unfit(
                "MTL302",
                f"`residual` cannot add {times(piped.shape)} to the {times(wanted)} of its pipeline",
                "give it `shortcut=...`, a pipeline that makes the same shape",
                stage,
            )
        settings = _defaults("conv2d")
        settings |= {"out_channels": wanted[0], "kernel_size": 1, "stride": stride, "padding": 0, "bias": False}
        projected = self.step(attrs.evolve(stage, operator="conv2d", arguments=settings), (piped,), "batch_norm")
        norm = attrs.evolve(stage, operator="batch_norm", arguments=_defaults("batch_norm"))
        return self.step(norm, (projected,), None)


def _defaults(operator: str) -> dict[str, Constant]:
    """The arguments of an operator as they are where none is given, but for those that must be."""
    return {
        rule.name: rule.default for rule in OPERATORS[operator].rules if not isinstance(rule.default, Required | Chosen)
    }


def _canonical(operator: Operator, arguments: Arguments) -> dict[str, Constant]:
    """The arguments in the operator's order, a size with two equal entries as one number."""
    canonical: dict[str, Constant] = {}
    for rule in operator.rules:
        value = arguments[rule.name]
        if operator.own and rule.name == "taps" and value is None:
            continue  # what specs without it mean stays what it was
        pair = isinstance(rule.kind, OneOrMany) and rule.kind.length == 2
        if pair and isinstance(value, tuple) and value[0] == value[1]:
            value = value[0]
        canonical[rule.name] = value
    return {**canonical, **options_of(arguments)} if operator.own else canonical


def _stride(given: Shape, wanted: Shape) -> int | tuple[int, int] | None:
    """The stride with which a 1x1 convolution brings an image to the wanted height and width."""
    if len(given) != 3 or len(wanted) != 3:
        return None
    strides = []
    for have, want in zip(given[1:], wanted[1:], strict=True):
        stride = -(-have // want)
        if -(-have // stride) != want:
            return None
        strides.append(stride)
    return strides[0] if strides[0] == strides[1] else (strides[0], strides[1])


def lower(
    stages: Sequence[Stage],
    start: str,
    shapes: Mapping[str, Shape | Broken],
    image: Shape,
    problems: Problems,
) -> Body | Broken:
    """The body of a pipeline that starts from the layer or input `start` unless it names another.

    `shapes` holds those of the input and of all layers defined so far. BROKEN where the pipeline does not fit, which is
    reported, or reads something broken, which is not reported again.
    """
    body = _Body(shapes, image)
    try:
        known = shapes[start]
        named = bool(stages) and isinstance(stages[0], Start)
        piped = None if named or isinstance(known, Broken) else Value(start, known)
        result = body.chain(stages, piped)
    except UnknownShape:
        return BROKEN
    except Unfit as unfit:
        cause, span = _placed(unfit)
        return problems.add(unfit.code, cause, unfit.remedy, span)
    body.use([result])
    return Body(tuple(body.inputs), tuple(body.inputs.values()), tuple(body.steps), result.reference, result.shape)


def _placed(unfit: Unfit) -> tuple[str, Span]:
    """Cause and place: inside a block the place is where the block is used, for other uses of it may well fit."""
    use, span = unfit.stage.use, unfit.stage.span
    if use is None:
        return unfit.cause, span
    return f"{unfit.cause} ({line_of(span, use.span)}, in block `{use.block}`)", use.span
