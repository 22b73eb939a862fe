"""Operators that treat every value alike: activations, dropout and the identity."""

from __future__ import annotations

from collections.abc import Callable

from mtsldsl.language.constants import Shape
from mtsldsl.language.kinds import Choice, Key, Real
from mtsldsl.language.operator import Arguments, Misfit, Operator
from mtsldsl.language.operators.arguments import apply, call, number


def _unchanged(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    return inputs[0]


def _activation(name: str, function: str, summary: str, *, in_place: Callable[[str], str] | None = None) -> Operator:
    return Operator(
        name,
        summary,
        (),
        shape=_unchanged,
        expression=lambda arguments, module, values: f"{function}({values[0]})",
        in_place=in_place,
    )


def _softplus_shape(arguments: Arguments, inputs: tuple[Shape, ...]) -> Shape:
    if number(arguments, "beta") <= 0:
        raise Misfit(f"`softplus` has beta={arguments['beta']}", "take a beta above 0")
    return inputs[0]


ELEMENTWISE: tuple[Operator, ...] = (
    # The gradient of others needs what they read, that of relu what it gives.
    _activation("relu", "F.relu", "max(x, 0).", in_place=lambda value: f"F.relu({value}, inplace=True)"),
    Operator(
        "leaky_relu",
        "x where it is positive, `negative_slope` times x elsewhere.",
        (Key("negative_slope", Real(), default=0.01),),
        shape=_unchanged,
        expression=lambda arguments, module, values: apply(
            "F.leaky_relu", values[0], negative_slope=(arguments["negative_slope"], 0.01)
        ),
    ),
    Operator(
        "gelu",
        "x times the normal distribution function at x, or its `tanh` approximation.",
        (Key("approximate", Choice(("none", "tanh")), default="none"),),
        shape=_unchanged,
        expression=lambda arguments, module, values: apply(
            "F.gelu", values[0], approximate=(arguments["approximate"], "none")
        ),
    ),
    _activation("silu", "F.silu", "x times its sigmoid."),
    _activation("sigmoid", "torch.sigmoid", "1 / (1 + exp(-x))."),
    _activation("tanh", "torch.tanh", "The hyperbolic tangent."),
    Operator(
        "softplus",
        "log(1 + exp(beta x)) / beta, and x itself where beta x is above `threshold`.",
        (Key("beta", Real(0), default=1.0), Key("threshold", Real(), default=20.0)),
        shape=_softplus_shape,
        expression=lambda arguments, module, values: apply(
            "F.softplus",
            values[0],
            beta=(float(number(arguments, "beta")), 1.0),
            threshold=(float(number(arguments, "threshold")), 20.0),
        ),
    ),
    Operator(
        "dropout",
        "In training each value is set to zero with probability `p`, the others scaled by 1 / (1 - p).",
        (Key("p", Real(0, 1), default=0.5),),
        shape=_unchanged,
        module=lambda arguments, inputs: call("nn.Dropout", arguments["p"]),
        stem="dropout",
        expression=lambda arguments, module, values: f"{module}({values[0]})",
    ),
    Operator(
        "identity",
        "The value itself.",
        (),
        shape=_unchanged,
        expression=lambda arguments, module, values: values[0],
    ),
)
