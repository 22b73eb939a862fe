"""`data scenes` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, SCENE_FIELDS, TEST, UNLABELLED, VALIDATION, DataKind, Options, made
from mtsldsl.language.kinds import Input, Integer, Key
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Settings(Record):
    """What decides which rooms there are."""

    images: int = 512
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0

    def rooms(self) -> tuple[int, int, int]:
        """The rooms for training, validation and test; `validation` is a part of those that are not for the test."""
        for_test = round(self.images * self.test)
        for_validation = round((self.images - for_test) * self.validation)
        return self.images - for_test - for_validation, for_validation, for_test


def settings(options: Options) -> Settings:
    """The record of a checked block."""
    return made(Settings, options)


KIND = DataKind(
    BlockSchema(
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
    ),
    SCENE_FIELDS,
    UNLABELLED,
    training_samples=lambda options: settings(options).rooms()[0],
)
