"""`data python` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, ON_ERROR, SEED, TEST, TRAIN_SAMPLES, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Key, Many, Maybe, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

BLOCK = BlockSchema(
    "data",
    "one's own torch Dataset, whose samples are dicts of fields",
    (
        Key("input", Input(several=True), "the input's name and the sizes of one sample, or several such"),
        Key("factory", Text(), "the function that gives the data set, such as `own_data:photos`"),
        Key("arguments", Many(Text()), "what the function is called with, as text", ()),
        ON_ERROR,
        Key("split", Maybe(Text()), "the key that says `train`, `validation` or `test`", None, "parts by the seed"),
        Key("group", Maybe(Text()), "the key whose equal values stay in one part", None, "each sample by itself"),
        Key("stratify", Maybe(Text()), "the key of whose classes each part has its share", None, "none"),
        VALIDATION,
        TEST,
        TRAIN_SAMPLES,
        SEED,
        BATCH,
        AUGMENT,
    ),
    label="python",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What makes the data set, and how its samples are divided."""

    factory: str
    arguments: tuple[str, ...]
    on_error: str
    split: str | None
    group: str | None
    stratify: str | None
    validation: float
    test: float
    train_samples: int | None
    seed: int


KIND = DataKind(
    BLOCK, code="factory", workers=True, as_saved=True, later={"split": None, "group": None, "stratify": None}
)
