"""An operator applied to values: the shape of the result, or what keeps there from being one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

from mtsldsl.language.constants import Constant, Shape, is_constant
from mtsldsl.language.holding import hold_all
from mtsldsl.language.operator import Arguments, Misfit, Operator
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import TAP, Outputs, misfit_of, misfit_of_option, options_of

MOST_NUMBERS = 2**36
"""Numbers that an operator may give for one sample, and parameters that it may have: a quarter of a terabyte."""


def given_shape(name: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    """The shape of what an operator of the table gives for values of these shapes, with all its arguments completed.

    Raises Misfit where they do not fit each other, ValueError where the arguments, or the number of values, are none
    that a text can come to.
    """
    check_read(name, inputs)
    values = tuple(arguments.values())
    if _PLAIN.issuperset(map(type, values)):
        return _same(name, inputs, tuple(arguments), *values)
    return _given(name, arguments, inputs)


_PLAIN = frozenset((int, float, bool, str, type(None)))
"""Types of values that tell apart what is not the same, once the types are looked at too."""


@lru_cache(4096, typed=True)  # 1, 1.0 and True are not the same
def _same(name: str, inputs: tuple[Shape, ...], names: tuple[str, ...], *values: Constant) -> Shape:
    """The shape once for all steps of a network that are the same, as they mostly are."""
    return _given(name, dict(zip(names, values, strict=True)), inputs)


def _given(name: str, arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    operator = OPERATORS[name]
    _hold_arguments(operator, arguments)
    if not _takes(operator, len(inputs)):
        raise ValueError(f"{name} cannot read {len(inputs)} values")
    shape = operator.shape(arguments, inputs)
    count = max(prod(shape), 0 if operator.own else operator.parameters(arguments, inputs, shape))
    if count > MOST_NUMBERS:
        many = f"2^{count.bit_length() - 1} or more"
        cause = f"`{name}` gives or learns more numbers than a machine holds, {many}"
        raise Misfit(cause, f"keep to {MOST_NUMBERS:,} for one operator and one sample", "MTL111")
    return shape


def check_read(name: str, inputs: Sequence[Shape]) -> None:
    """Raise Misfit where a value is several outputs, and the operator takes none out of them."""
    taps = next((shape.taps for shape in inputs if isinstance(shape, Outputs)), {})
    if taps and name != TAP:
        cause = f"`{name}` reads a layer with {len(taps)} outputs, and does not say which"
        names = " or ".join(f"`layer.{each}`" for each in taps)
        raise Misfit(cause, f"name one with its layer, as {names}", "MTL313")


def _takes(operator: Operator, values: int) -> bool:
    """Whether the operator may read so many values."""
    if operator.own:
        return values >= 1
    return values >= 2 if operator.arity is None else values == operator.arity


def _hold_arguments(operator: Operator, arguments: Arguments) -> None:
    """Raise ValueError where the arguments are none that a text can come to: each of its kind, or None where that is
    its default; and those that are passed on to a person's own class."""
    rest = dict(arguments)
    if operator.own:
        rest = {name: value for name, value in rest.items() if name not in options_of(arguments)}
        rest.setdefault("taps", None)
        for name, value in options_of(arguments).items():
            if misfit_of_option(name) is not None or not is_constant(value):
                raise ValueError(f"{operator.name} cannot pass on {name}={value!r}")
        if isinstance(target := rest.get("target"), str) and (misfit := misfit_of(target)):
            raise ValueError(f"the target of {operator.name}, {target!r}, {misfit}")
        if (rest.get("out") is None) is (rest["taps"] is None):
            raise ValueError(f"{operator.name} needs either out or taps")
    unsaid = {key.name for key in operator.rules if key.default is None and rest.get(key.name, "") is None}
    said = {name: value for name, value in rest.items() if name not in unsaid}
    hold_all((key for key in operator.rules if key.name not in unsaid), said, operator.name)
