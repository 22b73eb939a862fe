"""`data scenes` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, SCENE_FIELDS, TEST, UNLABELLED, VALIDATION, DataKind, made
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Integer, Key
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

BLOCK = BlockSchema(
    "data",
    "rooms that are rendered on the spot, with labels, depth, normals and edges",
    (
        Key("input", Input(), "the input's name and the sizes of one sample", ("image", 3, 64, 64)),
        Key("images", Integer(16), "images in all", 512),
        VALIDATION,
        TEST,
        Key("seed", Integer(0), "seed of the rooms", 0),
        BATCH,
        AUGMENT,
    ),
    label="scenes",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What decides which rooms there are."""

    images: int
    validation: float
    test: float
    seed: int

    def rooms(self) -> tuple[int, int, int]:
        """The rooms for training, validation and test; `validation` is a part of those that are not for the test."""
        for_test = round(self.images * self.test)
        for_validation = round((self.images - for_test) * self.validation)
        return self.images - for_test - for_validation, for_validation, for_test


KIND = DataKind(
    BLOCK,
    SCENE_FIELDS,
    UNLABELLED,
    dense=True,
    training_samples=lambda options: made(Settings, options).rooms()[0],
)
