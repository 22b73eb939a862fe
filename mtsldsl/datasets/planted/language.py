"""`data planted` in the language."""

from __future__ import annotations

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, TEST, VALIDATION, DataKind, Field, made
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Integer, Key, Real
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

PAIRS = ("a", "b", "c")
"""What the names of two fields begin with that need the same features."""

WIDTH = 4
"""How many features that are, and how many numbers a field has."""

FIELDS = tuple(f"{pair}{number}" for pair in PAIRS for number in (1, 2))

BLOCK = BlockSchema(
    "data",
    "rows of random numbers, and three pairs of fields that follow from the same features of them",
    (
        Key("input", Input(), "the input's name and the sizes of one sample", ("row", 16)),
        Key("samples", Integer(16), "samples in all", 4000),
        Key("noise", Real(0), "standard deviation of what is added to each field", 0.5),
        VALIDATION,
        TEST,
        Key("seed", Integer(0), "seed of samples and features", 0),
        BATCH,
        AUGMENT,
    ),
    label="planted",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """What decides which samples there are."""

    samples: int
    noise: float
    validation: float
    test: float
    seed: int

    def parts(self) -> tuple[int, int, int]:
        """The samples for training, validation and test; `validation` is a part of those that are not for the test."""
        for_test = max(1, round(self.samples * self.test))
        for_validation = max(1, round((self.samples - for_test) * self.validation))
        return self.samples - for_test - for_validation, for_validation, for_test


KIND = DataKind(
    BLOCK,
    tuple(Field(name, "values", WIDTH) for name in FIELDS),
    training_samples=lambda options: made(Settings, options).parts()[0],
)
