"""A person's own `torch.nn.Module` as an operator: the spec declares its output, and nothing here imports it."""

from __future__ import annotations

from keyword import iskeyword

from mtsldsl.language.constants import Constant, Shape
from mtsldsl.language.kinds import Integer, Key, OneOrMany, Text
from mtsldsl.language.operator import Arguments, Misfit, Operator

OWN = "module"
"""The operator's name."""


def target_parts(target: str) -> tuple[str, str]:
    """The module and the class of a checked target: `package.blocks:Gate` is `("package.blocks", "Gate")`."""
    module, _, name = target.partition(":")
    return module, name


def misfit_of(target: str) -> str | None:
    """Why a target cannot be imported as it is written; None where it is made of plain Python names."""
    module, colon, name = target.partition(":")
    for part in (*module.split("."), name):
        if not colon or not (part.isascii() and part.isidentifier()):
            return "is not of the form `package.file:Class`"
        if iskeyword(part):
            return f"has the part `{part}`, which is a word of Python"
        if part.startswith("__"):
            return f"has the part `{part}`, which Python keeps for itself"
    return None


def options_of(arguments: Arguments) -> dict[str, Constant]:
    """The arguments that are passed on to the class."""
    return {name: value for name, value in arguments.items() if name not in RESERVED}


def _shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    out = arguments["out"]
    sizes = out if isinstance(out, tuple) else (out,)
    shape = tuple(size for size in sizes if isinstance(size, int))
    if not 1 <= len(shape) <= 3:
        raise Misfit(
            f"`module` has {len(shape)} sizes as its `out`",
            "give `[channels, height, width]` for an image, `[length, channels]` for tokens, one size for features",
        )
    return shape


def _declared(arguments: Arguments, name: str) -> int:
    value = arguments[name]
    return value if isinstance(value, int) else 0


OWN_MODULE = Operator(
    OWN,
    "A `torch.nn.Module` of your own: `target` is `package.file:Class`, `out` the shape of what it gives.",
    (
        Key("target", Text()),
        Key("out", OneOrMany(Integer(1))),
        Key("parameters", Integer(0), default=None),
        Key("flops", Integer(0), default=None),
    ),
    shape=_shape,
    parameters=lambda arguments, inputs, output: _declared(arguments, "parameters"),
    flops=lambda arguments, inputs, output: _declared(arguments, "flops"),
    module=lambda arguments, inputs: str(arguments["target"]),
    stem=OWN,
    expression=lambda arguments, module, values: f"{module}({', '.join(values)})",
    own=True,
)

RESERVED = tuple(rule.name for rule in OWN_MODULE.rules)
"""Names of arguments that are not passed on to the class."""
