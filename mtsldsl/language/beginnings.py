"""Weights that a network begins with: drawn from the seed, or those of a file."""

from __future__ import annotations

from collections.abc import Collection

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
                Key("until", Maybe(LayerName()), "the last layer that they fill", None, "`none`: all of the file"),
            ),
        ),
    ),
    "weights",
)


def misfit_of_weights(weights: Named, layers: Collection[str]) -> tuple[str, str] | None:
    """What does not fit a network of these layers, or what goes without a map and has no sense then; and the remedy."""
    given = weights.arguments
    for name in ("prefix", "until"):
        if given.get(name) is not None and given["map"] is None:
            cause = f"`{name}` is for the file of another library, and `{weights.name}` has no `map`"
            return cause, f"leave `{name}` out, or say whose names the file has"
    until = given.get("until")
    if isinstance(until, str) and until not in layers:
        return f"`until` of `{weights.name}` is `{until}`, which is no layer", suggestion(until, layers, "layers")
    return None
