"""`data nyuv2` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, SCENE_FIELDS, SEED, TRAIN_SAMPLES, UNLABELLED, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Key, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

FILE = "nyu_depth_v2_labeled.mat"
SOURCE = "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat"
"""The official file, and where it is."""


BLOCK = BlockSchema(
    "data",
    "NYUv2 (Silberman et al., 2012): indoor images with labels, depth, normals and edges",
    (
        Key("input", Input(), "the input's name and the sizes of one sample", ("image", 3, 288, 384)),
        Key("root", Text(), "folder or file of the data set"),
        VALIDATION,
        TRAIN_SAMPLES,
        SEED,
        BATCH,
        AUGMENT,
    ),
    label="nyuv2",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """Where the data set is, and how its training images are divided."""

    root: str
    validation: float
    train_samples: int | None
    seed: int


KIND = DataKind(
    BLOCK,
    SCENE_FIELDS,
    UNLABELLED,
    "root",
    f"get {FILE} from {SOURCE}, or the preprocessed copy that https://github.com/lorenmt/mtan links to, and set `root` "
    "to where it is",
    dense=True,
)
