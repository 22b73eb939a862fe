"""`data table` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, ON_ERROR, SEED, TEST, TRAIN_SAMPLES, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Key, Many, Maybe, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

BLOCK = BlockSchema(
    "data",
    "one's own table: a CSV or Parquet file, whose columns are inputs and targets",
    (
        Key(
            "input",
            Input(several=True),
            "the input's name, and how many numbers the columns of `inputs` give; or that, and a column of ids each",
        ),
        Key("path", Text(), "the .csv or .parquet file"),
        Key("inputs", Many(Text(), 1), "the columns that are the input, in this order"),
        Key("categories", Many(Text()), "those of them whose numbers are names, such as those of districts", ()),
        ON_ERROR,
        Key("split", Maybe(Text()), "the column that says `train`, `validation` or `test`", None, "parts by the seed"),
        Key("group", Maybe(Text()), "the column whose equal cells stay in one part", None, "each row by itself"),
        Key("stratify", Maybe(Text()), "the column of whose classes each part has its share", None, "none"),
        VALIDATION,
        TEST,
        TRAIN_SAMPLES,
        SEED,
        BATCH,
        AUGMENT,
    ),
    label="table",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """Where the table is, which of its columns are the input, and how its rows are divided."""

    path: str
    inputs: tuple[str, ...]
    categories: tuple[str, ...]
    on_error: str
    split: str | None
    group: str | None
    stratify: str | None
    validation: float
    test: float
    train_samples: int | None
    seed: int


KIND = DataKind(
    BLOCK,
    place="path",
    remedy="set `path` to where the file is",
    columns=True,
    later={"stratify": None, "on_error": "raise"},
)
