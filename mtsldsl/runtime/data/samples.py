"""Samples held compactly in memory, and the three splits of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import torch
from torch import Tensor

from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.sample_rows import SampleRows
from mtsldsl.runtime.data.to_device import send


@attrs.frozen
class Scale:
    """The mean and the deviation of each column of a target: what is learned is (x - mean) / deviation."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, values: Tensor) -> Tensor:
        """Values `(n, c[, h, w])`, where c is 1 also without c, in the unit of the data as what is learned, float32."""
        mean, deviation = self._like(values)
        return (values - mean) / deviation

    def undo(self, answers: Tensor) -> Tensor:
        """Answers of a head in the unit of the data, float32."""
        answers = answers.float()
        mean, deviation = self._like(answers)
        return answers * deviation + mean

    def _like(self, values: Tensor) -> tuple[Tensor, Tensor]:
        shape = () if len(self.mean) == 1 else (1, -1, *[1] * (values.dim() - 2))
        mean, deviation = (torch.tensor(each, dtype=values.dtype) for each in (self.mean, self.deviation))
        return send(mean, values.device).view(shape), send(deviation, values.device).view(shape)


@attrs.frozen(eq=False)
class Samples:
    """Some samples: one tensor a field, all with the same first dimension, what each field is, and how those are scaled
    that are learned with another mean and deviation.

    Types are compact (uint8 images, uint8 or int16 labels, float16 depth and normals); `batches` widens them, and
    scales those.
    """

    fields: Mapping[str, Tensor]
    layout: Mapping[str, FieldKind]
    scales: Mapping[str, Scale] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return next(iter(self.fields.values())).shape[0]

    def take(self, indices: Tensor) -> Samples:
        """The samples at `indices` (int64, `(m,)`), in that order."""
        return attrs.evolve(self, fields={name: tensor[indices] for name, tensor in self.fields.items()})

    def only(self, *fields: str) -> Samples:
        """The same samples with no more than these fields: batches gather what is read of them."""
        return attrs.evolve(self, fields={name: self.fields[name] for name in fields})

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on `device`: batches of a set that fits there cost no transfer."""
        return attrs.evolve(self, fields={name: tensor.to(device) for name, tensor in self.fields.items()})

    def changed(self, field: str, change: Callable[[Tensor], Tensor]) -> Samples:
        """The same samples with a function of one field, sample by sample, in its place."""
        return attrs.evolve(self, fields={**self.fields, field: change(self.fields[field])})

    def shape_of(self, field: str) -> tuple[int, ...]:
        """What one sample has of a field."""
        return tuple(self.fields[field].shape[1:])

    def pieces(self, *fields: str, at_once: int) -> Iterator[dict[str, Tensor]]:
        """These fields of all samples in their order, so many at a time, as they are kept: no more than these need be
        in memory."""
        for start in range(0, len(self), at_once):
            yield {name: self.fields[name][start : start + at_once] for name in fields}

    def gathered(
        self, chosen: Sequence[Tensor], device: torch.device, key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        """For each of several lists of indices the fields of these samples, on a device, as they are kept. What is
        drawn at random where samples are read depends on `key`, a seed and an epoch, and on the sample alone."""
        for indices in chosen:
            yield {name: _gather(tensor, indices, device) for name, tensor in self.fields.items()}

    def in_units(self) -> Samples:
        """The same samples, whose batches have every field in the unit of the data."""
        return attrs.evolve(self, scales={})

    def scaled(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch in the units of the data with its targets as they are learned."""
        return {name: self.scales[name].apply(x) if name in self.scales else x for name, x in batch.items()}

    def answered(self, field: str, answers: Tensor) -> Tensor:
        """What a head gives for a field in the unit of the data."""
        return self.scales[field].undo(answers) if field in self.scales else answers


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
    rows: Mapping[str, SampleRows] = attrs.field(factory=dict)
    """Which samples of its files each split has, by source; nothing of data sets that have their own splits."""

    def named(self) -> tuple[tuple[str, Given], ...]:
        """The three with their names."""
        return ("train", self.train), ("validation", self.validation), ("test", self.test)


def _gather(tensor: Tensor, indices: Tensor, device: torch.device) -> Tensor:
    if tensor.device.type == "cpu" and device.type == "cuda":
        pinned = torch.empty((len(indices), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
        return torch.index_select(tensor, 0, indices, out=pinned).to(device, non_blocking=True)
    return tensor[send(indices, tensor.device)].to(device)
