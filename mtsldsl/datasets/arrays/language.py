"""`data arrays` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, ON_ERROR, SEED, TEST, TRAIN_SAMPLES, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Flag, Input, Key, Maybe, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

BLOCK = BlockSchema(
    "data",
    "one's own arrays: an .npz file, or a folder of .npy files, with one array per task",
    (
        Key("input", Input(several=True), "the input's name and the sizes of one sample, or several such"),
        Key("path", Text(), "the .npz file, or the folder of .npy files"),
        Key("apart", Flag(), "whether each field has samples of its own, and so each task batches of its own", False),
        ON_ERROR,
        Key("split", Maybe(Text()), "the array that says `train`, `validation` or `test`", None, "parts by the seed"),
        Key("group", Maybe(Text()), "the array whose equal entries stay in one part", None, "each sample by itself"),
        Key("stratify", Maybe(Text()), "the array of whose classes each part has its share", None, "none"),
        VALIDATION,
        TEST,
        TRAIN_SAMPLES,
        SEED,
        BATCH,
        AUGMENT,
    ),
    label="arrays",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """Where the arrays are, and how their samples are divided."""

    path: str
    apart: bool
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
    remedy="write it with numpy.savez, one array a field, or set `path` to where it is",
    as_saved=True,
    later={"split": None, "group": None, "stratify": None, "on_error": "raise"},
    apart=lambda options: bool(options["apart"]),
)
