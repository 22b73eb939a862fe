"""`structure rote` in the language: at the end of every so many epochs the first tasks that may merge do."""

from __future__ import annotations

import attrs

from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import CallRule, Integer, Key, LayerName, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.method import DecisionRule, Method

BLOCK = BlockSchema(
    "structure", "sharing by rote", (Key("every", Integer(1), "epochs from one merge to the next", 1),), label="rote"
)


@attrs.frozen(field_transformer=by_keys(BLOCK.keys))
class Settings:
    """How often tasks merge."""

    every: int


UNITE = CallRule(
    "unite",
    "tasks that came to share a layer because it was their turn",
    (
        Key("epoch", Integer(0), "epoch at whose end they did"),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks"),
        Key("turn", Integer(1), "the number of its turn"),
    ),
)

METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            UNITE,
            ("layer", "tasks"),
            "turn",
            lambda unite, sharing: None,
            "unite(epoch=1, layer=..., tasks=a + b, turn=1)",
        ),
    ),
    settings=lambda values: Settings(values["every"]),
    learner="Rote",
)
