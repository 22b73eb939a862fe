"""Samples that are read when their batch comes: of data that is larger than memory no more than that is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.samples import Samples
from mtsldsl.runtime.data.to_device import send

Rows: TypeAlias = NDArray[np.int64]
"""Numbers of samples, `(m,)`."""

FIRST = (0, 0)
"""The key, a seed and an epoch, with which samples are read that are looked at before training, and in evaluation."""

SMALL = 64
"""Numbers that a sample may have of a target which is kept in memory."""

LOOKED_AT = 16
"""Samples that are held against the spec together."""

_AT_ONCE = 64
"""Samples that are read together where all are."""


class Reader(Protocol):
    """Where samples are read from. What it gives for a sample depends on that sample and the key alone, whatever else
    is read."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What one sample has of each field."""

    def in_turn(
        self, lists: Sequence[Rows], fields: Sequence[str], key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        """For each of several lists of numbers these fields of the samples, as `Samples` keeps them, in memory of their
        own."""


@attrs.frozen(eq=False)
class ReadFields(Mapping[str, Tensor]):
    """The fields `names` of the samples `rows` of a reader; to ask for one by its name reads all of it. Those in
    `known` are in memory, for all samples of the reader, as they are with the first key. What is in `changes` is made
    of a field as it is read."""

    reader: Reader
    rows: Rows
    names: tuple[str, ...]
    known: Mapping[str, Tensor] = attrs.field(factory=dict)
    changes: Mapping[str, Callable[[Tensor], Tensor]] = attrs.field(factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        lists = [self.rows[start : start + _AT_ONCE] for start in range(0, len(self.rows), _AT_ONCE)]
        found = [each[name] for each in self.in_turn(lists, (name,), FIRST)]
        return torch.cat(found) if found else torch.empty((0, *self.reader.shapes[name]))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def in_turn(self, lists: Sequence[Rows], names: Sequence[str], key: tuple[int, int]) -> Iterator[dict[str, Tensor]]:
        """These fields of the samples of the numbers in each list, read but for those that are known."""
        if key == FIRST and self.known.keys() >= set(names):
            for rows in lists:
                yield {name: self._changed(name, self.known[name][torch.from_numpy(rows)]) for name in names}
        else:
            for found in self.reader.in_turn(lists, names, key):
                yield {name: self._changed(name, found[name]) for name in names}

    def _changed(self, name: str, values: Tensor) -> Tensor:
        return self.changes[name](values) if name in self.changes else values


@attrs.frozen(eq=False, auto_attribs=False)
class ReadSamples(Samples):
    """Samples of which no more is in memory than what is being looked at. All else is as with those in memory."""

    fields: ReadFields

    @classmethod
    def of(
        cls, reader: Reader, rows: Rows, layout: Mapping[str, FieldKind], known: Mapping[str, Tensor] = {}
    ) -> ReadSamples:
        """The samples of these numbers, with all fields."""
        return cls(ReadFields(reader, rows, tuple(reader.shapes), known), layout)

    def __len__(self) -> int:
        return len(self.fields.rows)

    def take(self, indices: Tensor) -> ReadSamples:
        """The samples at `indices`, of which nothing is read yet."""
        return self._with(rows=self.fields.rows[indices.numpy()])

    def only(self, *fields: str) -> ReadSamples:
        """The same samples with no more than these fields."""
        return self._with(names=fields)

    def to(self, device: torch.device | str) -> Samples:
        """The same samples in the memory of `device`, all of them."""
        return Samples({name: self.fields[name].to(device) for name in self.fields}, self.layout, self.scales)

    def changed(self, field: str, change: Callable[[Tensor], Tensor]) -> ReadSamples:
        """The same samples with a function of one field in its place, as it is read."""
        return self._with(changes={**self.fields.changes, field: change})

    def shape_of(self, field: str) -> tuple[int, ...]:
        """What one sample has of a field."""
        return self.fields.reader.shapes[field]

    def pieces(self, *fields: str, at_once: int) -> Iterator[dict[str, Tensor]]:
        """These fields of all samples in their order, so many at a time."""
        rows = self.fields.rows
        lists = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
        return self.fields.in_turn(lists, fields, FIRST)

    def gathered(
        self, chosen: Sequence[Tensor], device: torch.device, key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        """For each of several lists of indices the fields of these samples, on a device, as they are kept."""
        lists = [self.fields.rows[indices.numpy()] for indices in chosen]
        for found in self.fields.in_turn(lists, self.fields.names, key):
            yield {name: send(tensor, device) for name, tensor in found.items()}

    def _with(self, **changes: object) -> ReadSamples:
        return attrs.evolve(self, fields=attrs.evolve(self.fields, **changes))  # type: ignore[arg-type]  # of whichever kind
