"""What a kind of data set says of itself in the language; `mtsldsl.datasets` has a folder for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import attrs

from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import Choice, Integer, Key, Many, Maybe, Real
from mtsldsl.language.schema import AUGMENTATIONS, BlockSchema
from mtsldsl.language.targets import TARGETS
from mtsldsl.records import Record

T = TypeVar("T")

Options: TypeAlias = Mapping[str, Constant]
"""The values of the keys that the kind alone has."""

_PART = Real(0, 1, open_minimum=True, open_maximum=True)
BATCH = Key("batch", Integer(1), "samples in a batch", 16)
AUGMENT = Key("augment", Many(AUGMENTATIONS), "what is done to training samples, in this order", ())
TEST = Key("test", _PART, "part of all samples kept for the test", 0.2)
SEED = Key("seed", Integer(0), "seed of the split", 0)
VALIDATION = Key("validation", _PART, "part of the training samples kept apart to choose the best epoch", 0.1)
TRAIN_SAMPLES = Key(
    "train_samples", Maybe(Integer(1)), "training samples that are used, drawn by the seed", None, "all of them"
)
ON_ERROR = Key(
    "on_error",
    Choice(("raise", "skip")),
    "a sample that cannot be used: the run ends with its name, or goes on without it and says so",
    "raise",
)
COMMON = ("input", "batch", "augment")
"""Keys that every kind has."""


def made(record: type[T], options: Options) -> T:
    """The record of a kind's settings from its options, which it holds to the keys."""
    return record(**options)


def _said_to_be_used(options: Options) -> int | None:
    wanted = options.get(TRAIN_SAMPLES.name)
    return wanted if isinstance(wanted, int) else None


@attrs.frozen(eq=False, repr=False)
class Field(Record):
    """What every data set of a kind has for targets of one kind."""

    name: str
    target: str
    channels: int | None = None
    """None where it holds numbers of classes."""
    valid: str = "finite"
    """Which of its values count where the target does not say."""
    loss: str | None = None
    """The loss of its tasks where they name none, if not the target's first."""


@attrs.frozen(eq=False, repr=False)
class DataKind(Record):
    """A kind of data set as the language knows it. Its name is the label of `block`.

    `fields` is empty where each task names a field of its own. The samples of a `dense` kind are pictures of three
    channels, its fields hold something for every pixel; of others the spec says what sizes they have. `place` is the
    key that says where the files are, and `remedy` what may be done where they are not; without files there is neither.
    """

    block: BlockSchema
    fields: tuple[Field, ...] = ()
    ignore: int | None = None
    """The label of pixels without one."""
    place: str | None = None
    remedy: str = ""
    code: str | None = None
    """The key that names what of a person's own code makes the samples, where that is so."""
    workers: bool = False
    """Whether `--workers` read its samples; those of others are in memory or on disk as they are learned."""
    dense: bool = False
    columns: bool = False
    """Whether a target may be several of its fields side by side, as they are columns of a table."""
    ink: bool = False
    """Whether its pictures are ink on paper, dark on white, which networks see as large numbers on 0."""
    as_saved: bool = False
    """Whether its pictures come as the numbers that a person has saved or made."""
    opened: bool = False
    """Whether its pictures are files of any size, which are opened, resized and cropped as its block says."""
    later: Options = attrs.field(factory=dict)
    """Keys that only later versions have, with their defaults: at these the hash of a spec stays what it was."""
    apart: Callable[[Options], bool] = lambda _: False
    """Whether each task has samples of its own, and so batches; else every sample has every field."""
    classes: Callable[[Options, str], int | None] = lambda options, field: None
    """How many classes a field has, None where that takes a look at the data: what `classes(auto)` stands for."""
    counted: tuple[str, ...] = ()
    """The fields of which it says so, where their names are known beforehand."""
    training_samples: Callable[[Options], int | None] = _said_to_be_used
    """How many there are to train on, None where that takes a look at the data."""

    @property
    def name(self) -> str:
        """The label of its block."""
        return str(self.block.label)

    def field_for(self, target: str, name: str | None = None) -> Field | None:
        """The field that holds targets of that kind: of several the one of that name, or else the first."""
        holding = [field for field in self.fields if field.target == target]
        return next((field for field in holding if field.name == name), holding[0] if holding else None)

    def field(self, name: str) -> Field | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)

    def default_valid(self, target: str) -> str:
        """Which values of a target count where it does not say: `positive` or `finite`."""
        field = self.field_for(target)
        return field.valid if field else "finite"

    def default_loss(self, target: str) -> str:
        """The loss of a target where its task names none."""
        field = self.field_for(target)
        return field.loss if field and field.loss else TARGETS[target].losses[0].name


SCENE_FIELDS = (
    Field("label", "classes"),
    Field("depth", "values", 1, valid="positive"),  # a depth of 0 is one that was not measured
    Field("normal", "unit_vectors", 3),
    Field("edge", "binary", 1, loss="balanced_bce"),  # few pixels are edges
)
"""The fields of data sets of images with labels, depth, normals and edges."""

UNLABELLED = 255
"""The label of their pixels without one."""
