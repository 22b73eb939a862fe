"""Samples held compactly in memory, and the three splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import torch
from torch import Tensor

from mtsldsl.runtime.data.fields import FieldKind


@attrs.frozen(eq=False)
class Samples:
    """Some samples: one tensor a field, all with the same first dimension, and what each field is.

    Types are compact (uint8 images, uint8 or int16 labels, float16 depth and normals); `batches` widens them.
    """

    fields: Mapping[str, Tensor]
    layout: Mapping[str, FieldKind]

    def __len__(self) -> int:
        return next(iter(self.fields.values())).shape[0]

    def take(self, indices: Tensor) -> Samples:
        """The samples at `indices` (int64, `(m,)`), in that order."""
        return Samples({name: tensor[indices] for name, tensor in self.fields.items()}, self.layout)

    def only(self, *fields: str) -> Samples:
        """The same samples with no more than these fields: batches gather what is read of them."""
        return Samples({name: self.fields[name] for name in fields}, self.layout)

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on `device`: batches of a set that fits there cost no transfer."""
        return Samples({name: tensor.to(device) for name, tensor in self.fields.items()}, self.layout)


Given = TypeVar("Given")
"""The samples of a split: `Samples`, or those of several sources."""


@attrs.frozen(eq=False)
class Splits(Generic[Given]):
    """Training, validation and test samples, kept apart, what a person should know about their numbers, the files or
    folders that they were read from, by data block; nothing where none was. Where the numbers of a block were made by
    what was `fitted` to its training samples, such as means and names of classes, it says so in plain data."""

    train: Given
    validation: Given
    test: Given
    remarks: tuple[str, ...] = ()
    places: Mapping[str, Path] = attrs.field(factory=dict)
    fitted: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)

    def named(self) -> tuple[tuple[str, Given], ...]:
        """The three with their names."""
        return ("train", self.train), ("validation", self.validation), ("test", self.test)
