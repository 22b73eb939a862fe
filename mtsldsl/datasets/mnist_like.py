"""What data sets in the layout of MNIST, and those made of pairs of its images, say of themselves in the language.

Such images have 28 x 28 gray pixels, and each is of one of ten classes.
"""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, SEED, TRAIN_SAMPLES, VALIDATION, DataKind, Field, Options, made
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Integer, Key, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

CLASSES = 10
SIDE = 28
"""Pixels of a row, and of a column."""

CANVAS = 36
"""Those of a picture with two images on it."""

SHIFT = 4
"""By how many pixels the images of a pair are moved at most, down and to the right or up and to the left."""

_REMEDY = (
    "get train-images-idx3-ubyte.gz and the three files that belong to it from {}, and set `root` to their folder; "
    "one .npz file with x_train, y_train, x_test and y_test will do too"
)
MNIST = _REMEDY.format("https://ossci-datasets.s3.amazonaws.com/mnist/")
FASHION = _REMEDY.format("https://github.com/zalandoresearch/fashion-mnist")
"""What may be done where the files of either data set are not there."""

_ROOT = Key("root", Text(), "folder or file of the data set")


_KEYS = (
    Key("input", Input(), "the input's name and the sizes of one sample", ("image", 1, SIDE, SIDE)),
    _ROOT,
    Key("rotate", Integer(0, 270, 90), "by how many degrees the images are turned, counter-clockwise", 0),
    VALIDATION,
    TRAIN_SAMPLES,
    SEED,
    BATCH,
    AUGMENT,
)

_KEYS_OF_PAIRS = (
    Key("input", Input(), "the input's name and the sizes of one sample", ("image", 1, CANVAS, CANVAS)),
    _ROOT,
    Key("images", Integer(16), "pairs in all, a seventh of them for the test", 70_000),
    VALIDATION,
    attrs.evolve(SEED, summary="seed of the pairs"),
    BATCH,
    AUGMENT,
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(_KEYS))
class Settings(Record):
    """Where the data set is, how its images are turned, and how those for training are divided."""

    root: str
    rotate: int
    validation: float
    train_samples: int | None
    seed: int


def mnist_like(label: str, summary: str, remedy: str) -> DataKind:
    """A data set of such images, each task with batches of its own."""
    return DataKind(
        BlockSchema("data", summary, _KEYS, label=label),
        place="root",
        remedy=remedy,
        apart=lambda _: True,
        classes=lambda options, field: CLASSES,
    )


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(_KEYS_OF_PAIRS))
class PairSettings(Record):
    """Where the images are that pairs are made of, and which pairs there are."""

    root: str
    images: int
    validation: float
    seed: int

    def pairs(self) -> tuple[int, int, int]:
        """The pairs for training, validation and test, of which MNIST has 60,000 to 10,000 images."""
        for_test = round(self.images / 7)
        for_validation = max(1, round((self.images - for_test) * self.validation))
        return self.images - for_test - for_validation, for_validation, for_test


def pairs_of_mnist_like(label: str, summary: str, remedy: str) -> DataKind:
    """A data set of two such images in one picture, with the classes of both."""

    def training_samples(options: Options) -> int:
        return made(PairSettings, options).pairs()[0]

    return DataKind(
        BlockSchema("data", summary, _KEYS_OF_PAIRS, label=label),
        (Field("left", "classes", CLASSES), Field("right", "classes", CLASSES)),
        place="root",
        remedy=remedy,
        classes=lambda options, field: CLASSES,
        training_samples=training_samples,
    )
