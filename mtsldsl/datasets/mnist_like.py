"""What data sets in the layout of MNIST say of themselves in the language: 28 x 28 gray images, each of one of ten
classes."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, VALIDATION, DataKind
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Integer, Key, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

CLASSES = 10
SIDE = 28
"""Pixels of a row, and of a column."""

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
    Key("seed", Integer(0), "seed of the split", 0),
    BATCH,
    AUGMENT,
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(_KEYS))
class Settings(Record):
    """Where the data set is, how its images are turned, and how those for training are divided."""

    root: str
    rotate: int
    validation: float
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
