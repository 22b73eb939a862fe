"""`data waves` in the language: rows of numbers, whose fields are a form and a height."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, DataKind, Field
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Integer, Key
from mtsldsl.language.schema import BlockSchema

BLOCK = BlockSchema(
    "data",
    "waves of two forms and of any height",
    (
        Key("input", Input(), "the input's name and the sizes of one sample", ("wave", 20)),
        Key("waves", Integer(16), "waves in all", 64),
        BATCH,
        AUGMENT,
    ),
    label="waves",
)


@attrs.frozen(field_transformer=by_keys(BLOCK.keys))
class Settings:
    """How many there are."""

    waves: int


KIND = DataKind(BLOCK, (Field("form", "classes"), Field("height", "values", 1)))
