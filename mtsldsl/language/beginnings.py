"""Weights that a network begins with: drawn from the seed, or those of a file."""

from __future__ import annotations

from collections.abc import Sequence

from mtsldsl.diagnostics import suggestion
from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import Call, CallRule, Choice, Key, LayerName, Maybe, Text

MAPS = ("torchvision", "timm", "transformers")
"""Libraries whose names of layers are known, each in a file `mtsldsl/runtime/network/pretrained/<name>_names.py`."""

WEIGHTS = Call(
    (
        CallRule("none", "drawn from the seed and the layer's name"),
        CallRule(
            "start",
            "those of a `.safetensors` file, or of a run",
            (
                Key("file", Text(), "the file, or the folder of a run"),
                Key(
                    "map",
                    Maybe(Choice(MAPS)),
                    "the library whose names the file has",
                    None,
                    "`none`: the names of a run, or of `mtsldsl export --to safetensors`",
                ),
                Key("prefix", Maybe(Text()), "what the names of the network in the file begin with", None, "`none`"),
                Key("since", Maybe(LayerName()), "the first layer that they fill", None, "`none`: the first of all"),
                Key(
                    "until",
                    Maybe(LayerName()),
                    "the last layer that they fill; heads come after it",
                    None,
                    "`none`: all of the file",
                ),
            ),
        ),
    ),
    "weights",
)


RANGE = ("since", "until")
"""Arguments that name the first and the last layer that weights fill."""


def within(weights: Named, layers: Sequence[str]) -> Sequence[str]:
    """Those of a network's layers, in their order, that the range of the weights has; none where it is backwards."""
    first, last = (weights.arguments.get(name) for name in RANGE)
    begin = 0 if first is None else layers.index(str(first))
    end = len(layers) if last is None else layers.index(str(last)) + 1
    return layers[begin:end]


def fillable(weights: Named, layers: Sequence[str], tasks: Sequence[str]) -> tuple[str, ...]:
    """The layers that weights may fill, and the tasks whose heads they may: those of another library fill no head, and
    heads come after the last layer."""
    if weights.name == "none":
        return ()
    heads = weights.arguments["map"] is None and weights.arguments.get("until") is None
    return (*within(weights, layers), *(tasks if heads else ()))


def misfit_of_weights(weights: Named, layers: Sequence[str]) -> tuple[str, str] | None:
    """What does not fit a network of these layers, or what goes without a map and has no sense then; and the remedy."""
    given = weights.arguments
    if given.get("prefix") is not None and given["map"] is None:
        cause = f"`prefix` is for the file of another library, and `{weights.name}` has no `map`"
        return cause, "leave `prefix` out, or say whose names the file has"
    for name in RANGE:
        layer = given.get(name)
        if isinstance(layer, str) and layer not in layers:
            return f"`{name}` of `{weights.name}` is `{layer}`, which is no layer", suggestion(layer, layers, "layers")
    if layers and not within(weights, layers):
        since, until = (given[name] for name in RANGE)
        return f"`{weights.name}` begins at `{since}`, which comes after `{until}`", "write the earlier one as `since`"
    return None
