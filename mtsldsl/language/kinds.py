"""The kinds of values that a key or an argument takes, as data that checks and language reference read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import Final, TypeAlias

import attrs

from mtsldsl.language.constants import Constant
from mtsldsl.records import Record


class Required(Enum):
    """Stands where a key has no default."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED


class Chosen(Enum):
    """Stands where an argument of an operator is chosen from its context."""

    AUTO = "chosen from the context"


AUTO: Final = Chosen.AUTO


@attrs.frozen(eq=False, repr=False)
class Integer(Record):
    """A whole number within bounds, both included, and a multiple of `step`."""

    minimum: int | None = None
    maximum: int | None = None
    step: int = 1


@attrs.frozen(eq=False, repr=False)
class Real(Record):
    """A number within bounds, which are included unless `open_minimum` or `open_maximum` says otherwise."""

    minimum: float | None = None
    maximum: float | None = None
    open_minimum: bool = False
    open_maximum: bool = False


@attrs.frozen(eq=False, repr=False)
class Flag(Record):
    """`true` or `false`."""


@attrs.frozen(eq=False, repr=False)
class Text(Record):
    """A quoted string."""


@attrs.frozen(eq=False, repr=False)
class Identifier(Record):
    """A name of the writer's choice."""


@attrs.frozen(eq=False, repr=False)
class LayerName(Record):
    """The name of a layer that there is."""


@attrs.frozen(eq=False, repr=False)
class Choice(Record):
    """One of some names."""

    names: tuple[str, ...]


@attrs.frozen(eq=False, repr=False)
class Many(Record):
    """A list of values of one kind."""

    item: Kind
    minimum: int = 0
    length: int | None = None


@attrs.frozen(eq=False, repr=False)
class OneOrMany(Record):
    """A value, or a list of values of the same kind."""

    item: Kind
    length: int | None = None


@attrs.frozen(eq=False, repr=False)
class Maybe(Record):
    """A value, or the name `none`."""

    kind: Kind


@attrs.frozen(eq=False, repr=False)
class OrName(Record):
    """A value, or one name that stands for something else."""

    kind: Kind
    name: str


@attrs.frozen(eq=False, repr=False)
class Told(Record):
    """A value, or the name `auto`: then the data set knows it."""

    kind: Kind


@attrs.frozen(eq=False, repr=False)
class Input(Record):
    """The network's input: a name of the writer's choice with the sizes of one sample, such as `image(3, 64, 64)`; or a
    list of such, where there may be `several`."""

    several: bool = False


@attrs.frozen(eq=False, repr=False)
class Call(Record):
    """One of some names with its arguments, such as `adam(lr=1e-3)`.

    `elsewhere` holds names that are known but do not fit here, with the reason; `misfit` is the code of such a report.
    """

    rules: tuple[CallRule, ...]
    noun: str = "choices"
    elsewhere: Mapping[str, str] = attrs.field(factory=dict)
    misfit: str = "MTL206"

    def rule(self, name: str) -> CallRule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)


@attrs.frozen(eq=False, repr=False)
class Pipe(Record):
    """A pipeline of operators."""


@attrs.frozen(eq=False, repr=False)
class Tasks(Record):
    """One task, or several joined by `+`."""


@attrs.frozen(eq=False, repr=False)
class Alternatives(Record):
    """Alternatives of a layer joined by `+`, or `none`."""


EPOCHS = ("best", "last")
"""What may be kept without naming a metric; the first is the default."""


@attrs.frozen(eq=False, repr=False)
class Keep(Record):
    """Which weights are kept: of the epoch that is `best` or `last`, or best by a metric of a task, `depth.rmse`; or a
    mean, as AVERAGE says."""


Kind: TypeAlias = (
    Integer
    | Real
    | Flag
    | Text
    | Identifier
    | LayerName
    | Choice
    | Many
    | OneOrMany
    | Maybe
    | OrName
    | Told
    | Input
    | Call
    | Pipe
    | Tasks
    | Alternatives
    | Keep
)


@attrs.frozen(eq=False, repr=False)
class Key(Record):
    """A key of a block, or an argument of a call or an operator. `otherwise` says what an absent one means where
    `default` cannot."""

    name: str
    kind: Kind
    summary: str = ""
    default: Constant | Required | Chosen = REQUIRED
    otherwise: str = ""


@attrs.frozen(eq=False, repr=False)
class CallRule(Record):
    """A name with arguments. `rest` takes any number of further values and keeps them as one tuple."""

    name: str
    summary: str
    keys: tuple[Key, ...] = ()
    rest: Key | None = None

    def key(self, name: str) -> Key | None:
        """The argument of that name, None where there is none."""
        return next((key for key in self.keys if key.name == name), None)


AVERAGE = CallRule(
    "average",
    "the mean of the weights after each of the last steps of the run (Izmailov et al., 2018)",
    (Key("part", Real(0, 1, open_minimum=True), "the part of all steps that are the last ones"),),
)
"""What may be kept in the place of the weights of an epoch."""

KEPT = Call(
    (
        CallRule("best", "the weights of the epoch with the largest gain on validation"),
        CallRule("last", "the weights of the last epoch"),
        AVERAGE,
    )
)
"""What may be kept without naming a metric, in words."""


def within(kind: Integer | Real, value: float) -> bool:
    """Whether the number lies within the bounds of its kind, and is one."""
    low, high = kind.minimum, kind.maximum
    open_low, open_high = isinstance(kind, Real) and kind.open_minimum, isinstance(kind, Real) and kind.open_maximum
    below = low is not None and (value < low or (open_low and value == low))
    above = high is not None and (value > high or (open_high and value == high))
    between = isinstance(kind, Integer) and value % kind.step != 0
    long = isinstance(kind, Integer) and _is_too_long(value)
    return _is_finite(value) and not (below or above or between or long)


def _is_too_long(value: float) -> bool:
    """Whether it has more than the 20 digits, or 19 behind `-`, that a whole number of a text can have."""
    return not -(10**19) < value < 10**20


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond all numbers that a text can have
        return False


def _bounds(kind: Integer | Real) -> str:
    open_minimum = isinstance(kind, Real) and kind.open_minimum
    open_maximum = isinstance(kind, Real) and kind.open_maximum
    parts = []
    if kind.minimum is not None:
        parts.append(f"{'more than' if open_minimum else 'at least'} {kind.minimum}")
    if kind.maximum is not None:
        parts.append(f"{'less than' if open_maximum else 'at most'} {kind.maximum}")
    bounds = f" of {' and '.join(parts)}" if parts else ""
    return f"{bounds}, a multiple of {kind.step}" if isinstance(kind, Integer) and kind.step > 1 else bounds


def describe(kind: Kind) -> str:
    """The kind in words, as a message or the reference says it: `a whole number of at least 1`."""
    match kind:
        case Integer():
            return f"a whole number{_bounds(kind)}"
        case Real():
            return f"a number{_bounds(kind)}"
        case Flag():
            return "`true` or `false`"
        case Text():
            return "a quoted string"
        case Identifier() | LayerName():
            return "a name"
        case Choice(names):
            return "one of " + ", ".join(f"`{name}`" for name in names)
        case Many(item, _, length):
            return f"a list of {length} values, each {describe(item)}" if length else f"a list, each {describe(item)}"
        case OneOrMany(item, length):
            return f"{describe(item)}, or a list of {f'{length} ' if length else ''}such"
        case Maybe(inner):
            return f"{describe(inner)}, or `none`"
        case OrName(inner, name):
            return f"{describe(inner)}, or `{name}`"
        case Told(inner):
            return f"{describe(inner)}, or `auto`"
        case Input(several):
            return f"a name with sizes, such as `image(3, 64, 64)`{', or a list of such' if several else ''}"
        case Call(rules) if rules:
            return "one of " + ", ".join(f"`{rule.name}`" for rule in rules)
        case Call():
            return "a name with arguments"
        case Pipe():
            return "a pipeline of operators"
        case Tasks():
            return "tasks joined by `+`"
        case Alternatives():
            return "alternatives of the layer joined by `+`, or `none`"
        case Keep():
            return "`best`, `last`, `average(part)`, or a metric of a task, such as `depth.rmse`"
