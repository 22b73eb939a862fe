"""A person's own `torch.nn.Module` as an operator: the spec declares its output, and nothing here imports it."""

from __future__ import annotations

from collections.abc import Mapping
from keyword import iskeyword
from math import prod
from types import MappingProxyType

from mtsldsl.diagnostics import suggestion
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.kinds import Input, Integer, Key, Many, OneOrMany, Text
from mtsldsl.language.literals import literal
from mtsldsl.language.operator import Arguments, Context, Given, Misfit, Operator
from mtsldsl.language.operators.arguments import integer

OWN = "module"
"""The operator's name."""

TAP = "module.tap"
"""That of what takes one of several outputs of a module: nobody can write it, as `backbone.c3` is written for it."""

JOIN = "_joined"
"""The function of the generated code that makes one value of several outputs."""

JOINING = f'''\
def {JOIN}(outputs: dict[str, Tensor] | list[Tensor] | tuple[Tensor, ...], names: tuple[str, ...]) -> Tensor:
    """Several outputs as one value: of each sample all numbers, one output after the other."""
    values = [outputs[name] for name in names] if isinstance(outputs, dict) else outputs
    return torch.cat([torch.flatten(value, 1) for value in values], dim=1)
'''


def target_parts(target: str) -> tuple[str, str]:
    """The module and the class of a checked target: `package.blocks:Gate` is `("package.blocks", "Gate")`."""
    module, _, name = target.partition(":")
    return module, name


FUNCTION = "module:function"
"""What the target of a function looks like."""


def misfit_of(target: str, form: str = "package.file:Class") -> str | None:
    """Why a target cannot be imported as it is written; None where it is made of plain Python names. `form` is what it
    looks like."""
    module, colon, name = target.partition(":")
    for part in (*module.split("."), name):
        if not colon or not (part.isascii() and part.isidentifier()):
            return f"is not of the form `{form}`"
        if iskeyword(part):
            return f"has the part `{part}`, which is a word of Python"
        if part.startswith("__"):
            return f"has the part `{part}`, which Python keeps for itself"
    return None


def misfit_of_option(name: str) -> str | None:
    """Why nothing of that name can be passed on to a class; None where it can."""
    wrong = not (name.isascii() and name.isidentifier()) or iskeyword(name) or name.startswith("__")
    return f"`{name}` cannot be the name of an argument in Python" if wrong else None


def options_of(arguments: Arguments) -> dict[str, Constant]:
    """The arguments that are passed on to the class."""
    return {name: value for name, value in arguments.items() if name not in RESERVED}


class Outputs(tuple[int, ...]):
    """The shape of several outputs that are kept as one value: of each sample all numbers, one output after the other.

    `taps` are the outputs in their order, by name, with their shapes.
    """

    taps: Mapping[str, Shape]

    def __new__(cls, taps: Mapping[str, Shape]) -> Outputs:
        """The shape of these outputs."""
        made = super().__new__(cls, (sum(map(prod, taps.values())),))
        made.taps = MappingProxyType(dict(taps))
        return made

    def __reduce__(self) -> tuple[type[Outputs], tuple[dict[str, Shape]]]:
        """A copy has the same outputs."""
        return Outputs, (dict(self.taps),)


def taps_of(arguments: Arguments) -> dict[str, Shape]:
    """The outputs that a module has, by name; none where it has one without a name."""
    given = arguments.get("taps")
    found = {}
    for each in given if isinstance(given, tuple) else ():
        assert isinstance(each, tuple)
        name, *sizes = each
        found[str(name)] = tuple(size for size in sizes if isinstance(size, int))
    return found


def _shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    out, taps = arguments["out"], taps_of(arguments)
    if taps:
        given = arguments["taps"]
        if isinstance(given, tuple) and len(taps) < len(given):
            raise Misfit("`module` has two `taps` of one name", "give each a name of its own")
        return Outputs(taps)
    sizes = out if isinstance(out, tuple) else (out,)
    shape = tuple(size for size in sizes if isinstance(size, int))
    if not 1 <= len(shape) <= 3:
        raise Misfit(
            f"`module` has {len(shape)} sizes as its `out`",
            "give `[channels, height, width]` for an image, `[length, channels]` for tokens, one size for features",
        )
    return shape


def _expression(arguments: Arguments, call: str) -> str:
    taps = tuple(taps_of(arguments))
    return f"{JOIN}({call}, {literal(taps)})" if taps else call


def _complete_tap(given: Given, context: Context) -> Arguments:
    name, shape = given["output"], context.inputs[0]
    if not isinstance(shape, Outputs):
        raise Misfit(f"there is no output `{name}`, as the layer has a single one", "name the layer alone")
    if name not in shape.taps:
        raise Misfit(f"there is no output `{name}`", suggestion(str(name), tuple(shape.taps), "outputs of the layer"))
    start = 0
    for each, sizes in shape.taps.items():
        if each == name:
            return {"start": start, "shape": sizes}
        start += prod(sizes)
    raise AssertionError(name)


def _tap_expression(arguments: Arguments, module: str, values: tuple[str, ...]) -> str:
    start, sizes = integer(arguments, "start"), _sizes(arguments)
    part = f"{values[0]}[:, {start or ''}:{start + prod(sizes)}]"
    return part if len(sizes) == 1 else f"torch.unflatten({part}, 1, {sizes})"


def _sizes(arguments: Arguments) -> Shape:
    sizes = arguments["shape"]
    assert isinstance(sizes, tuple)
    return tuple(size for size in sizes if isinstance(size, int))


def _declared(arguments: Arguments, name: str) -> int:
    value = arguments[name]
    return value if isinstance(value, int) else 0


OWN_MODULE = Operator(
    OWN,
    "A `torch.nn.Module` of your own: `target` is `package.file:Class`, `out` the shape of what it gives, or `taps` "
    "the names and shapes of several outputs.",
    (
        Key("target", Text()),
        Key("out", OneOrMany(Integer(1)), default=None),
        Key("taps", Many(Input(), 1), default=None),
        Key("parameters", Integer(0), default=None),
        Key("flops", Integer(0), default=None),
    ),
    shape=_shape,
    parameters=lambda arguments, inputs, output: _declared(arguments, "parameters"),
    flops=lambda arguments, inputs, output: _declared(arguments, "flops"),
    module=lambda arguments, inputs: str(arguments["target"]),
    stem=OWN,
    expression=lambda arguments, module, values: _expression(arguments, f"{module}({', '.join(values)})"),
    own=True,
)

RESERVED = tuple(rule.name for rule in OWN_MODULE.rules)
"""Names of arguments that are not passed on to the class."""

OUTPUT = Operator(
    TAP,
    "One of several outputs of a module, which are kept as one value: `shape` is its own, `start` where it begins.",
    (Key("start", Integer(0)), Key("shape", Many(Integer(1), 1))),
    complete=_complete_tap,
    shape=lambda arguments, inputs: _sizes(arguments),
    expression=_tap_expression,
)
