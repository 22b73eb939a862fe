"""What one operator of the language says of itself; `operators` is the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.kinds import Chosen, Key
from mtsldsl.records import Record

Arguments: TypeAlias = Mapping[str, Constant]
"""A value for every argument of the operator."""

Given: TypeAlias = Mapping[str, Constant | Chosen]
"""Arguments before `Operator.complete`: one to choose is `AUTO` or left out, every other one has its value."""


class Misfit(Exception):  # noqa: N818 - it never reaches a user: who calls makes a diagnostic of it
    """An operator that does not fit its inputs or arguments: why, and what would; with a code where it is not that of
    all of its kind."""

    def __init__(self, cause: str, remedy: str, code: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.code = code


@attrs.frozen(eq=False, repr=False)
class Context(Record):
    """What an operator may look at to complete its arguments."""

    inputs: tuple[Shape, ...]
    image: Shape
    """The shape of the network's input."""
    following: str | None
    """The operator that comes next in the pipeline."""


def channels_first(value: str) -> str:
    """Tokens (l, c) as torch has them where channels come first, (c, l), and the way back."""
    return f"torch.transpose({value}, 1, 2)"


def _nothing(arguments: Arguments, inputs: tuple[Shape, ...], output: Shape) -> int:
    return 0


def _as_given(given: Given, context: Context) -> Arguments:
    return {name: value for name, value in given.items() if not isinstance(value, Chosen)}


@attrs.frozen(eq=False, repr=False)
class Operator(Record):
    """One operator: arguments, shape, cost and how it is written in PyTorch.

    width       the argument that says how many channels come out, "" where none does
    arity       number of value inputs; None: two or more
    piped       whether the piped value comes first however many others are named, and not only beside a single one
    complete    fills AUTO arguments (after this no argument is AUTO); raises Misfit
    shape       shape of the result from the completed arguments; raises Misfit
    parameters  number of learned parameters
    flops       floating-point operations of one sample's forward pass, as torch.utils.flop_counter counts them
                (two per multiply-add of convolutions and matrix products, nothing else)
    module      constructor of the torch module that holds its state or configuration, such as
                `nn.Conv2d(3, 64, 3, padding=1)`; None where a function does
    stem        stem of the attribute name under which the module is kept, such as `conv`
    expression  Python expression of the result from the module's name ("" where there is none) and the values'
                names, of which each is a plain name because an expression may use it more than once
    in_place    the same as `expression` of one value, written into the memory of that value; None where there is no way
    fresh       whether the result is memory of its own, which its gradient does not need: it may be overwritten
    definition  source of the class that `module` constructs where torch has none, to be put once into a file that
                uses it; like the other texts it needs `torch`, `nn`, `F` (torch.nn.functional) and `Tensor`
    transposed  whether `module` has the channels of tokens before their length, as torch.nn.BatchNorm1d has
    looks_up    whether it reads ids, whole numbers that stand for names, and not numbers that it computes with
    own         whether it is a class of the writer's: `module` then names it as `package.file:Class`, to be imported
                by the file that uses it and made with those arguments that are not the table's
    """

    name: str
    summary: str
    rules: tuple[Key, ...]
    shape: Callable[[Arguments, tuple[Shape, ...]], Shape]
    expression: Callable[[Arguments, str, tuple[str, ...]], str]
    width: str = ""
    arity: int | None = 1
    piped: bool = False
    complete: Callable[[Given, Context], Arguments] = _as_given
    parameters: Callable[[Arguments, tuple[Shape, ...], Shape], int] = _nothing
    flops: Callable[[Arguments, tuple[Shape, ...], Shape], int] = _nothing
    module: Callable[[Arguments, tuple[Shape, ...]], str] | None = None
    stem: str = ""
    in_place: Callable[[str], str] | None = None
    fresh: bool = False
    definition: str = ""
    transposed: bool = False
    looks_up: bool = False
    own: bool = False

    def written(self, arguments: Arguments, module: str, values: tuple[str, ...], shape: Shape) -> str:
        """The expression where the first value has that shape."""
        if not self.transposed or len(shape) != 2:
            return self.expression(arguments, module, values)
        return channels_first(self.expression(arguments, module, (channels_first(values[0]), *values[1:])))
