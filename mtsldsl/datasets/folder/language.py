"""`data folder` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, ON_ERROR, SEED, TEST, TRAIN_SAMPLES, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Choice, Input, Key, Maybe, Real, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

BLOCK = BlockSchema(
    "data",
    "one's own pictures in a folder, with labels from the names of folders, from a table and from files",
    (
        Key("input", Input(), "the input's name, the channels, and the height and width to which images are brought"),
        Key("path", Text(), "the folder"),
        Key("images", Text(), "the paths of the images in it: `*` and `{name}` stand for any letters of a name"),
        Key("table", Maybe(Text()), "the .csv or .parquet file with a row for each image", None, "no table"),
        Key("file", Maybe(Text()), "its column that names the file of an image", None, "the first one"),
        Key("resize", Choice(("none", "stretch", "cover")), "how an image is resized, before it is cropped", "none"),
        Key("crop", Choice(("none", "center")), "what of an image that is larger than the input is taken", "none"),
        Key(
            "unit", Real(0, open_minimum=True), "what 1 of a gray picture stands for, where its numbers are values", 1.0
        ),
        Key("split", Maybe(Text()), "the column or `{name}` that says the split", None, "parts by the seed"),
        Key("group", Maybe(Text()), "that whose equal cells stay in one part", None, "each image by itself"),
        Key("stratify", Maybe(Text()), "that of whose classes each part has its share", None, "none"),
        VALIDATION,
        TEST,
        TRAIN_SAMPLES,
        SEED,
        ON_ERROR,
        BATCH,
        AUGMENT,
    ),
    label="folder",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """Where the pictures are, how they come to the size of the input, and how they are divided."""

    path: str
    images: str
    table: str | None
    file: str | None
    resize: str
    crop: str
    unit: float
    split: str | None
    group: str | None
    stratify: str | None
    validation: float
    test: float
    train_samples: int | None
    seed: int
    on_error: str


KIND = DataKind(
    BLOCK,
    place="path",
    remedy="set `path` to the folder in which the images are",
    workers=True,
    columns=True,
    opened=True,
)
