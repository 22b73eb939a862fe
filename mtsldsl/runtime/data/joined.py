"""Samples of several sources, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from mtsldsl.runtime.data.batches import widen
from mtsldsl.runtime.data.read_samples import ReadSamples, Rows
from mtsldsl.runtime.data.samples import Samples

_CPU = torch.device("cpu")


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of all parts, which have the same fields of the same shapes; the only part as it is. They are in
    memory where all parts are. Fields that the parts keep as different types are widened."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(isinstance(part, ReadSamples) for part in parts):
        count = sum(map(len, parts))
        return ReadSamples.of(_OneAfterTheOther(tuple(parts)), np.arange(count), first.layout)
    return Samples({name: torch.cat(_alike(parts, name)) for name in first.fields}, first.layout)


def _alike(parts: Sequence[Samples], name: str) -> list[Tensor]:
    fields = [part.fields[name] for part in parts]
    if len({field.dtype for field in fields}) > 1:  # such as bytes beside numbers from 0 to 1
        fields = [widen(part.fields[name], part.layout[name]) for part in parts]
    return fields


@attrs.frozen(eq=False)
class _OneAfterTheOther:
    """Reads samples of several parts, all widened."""

    parts: tuple[Samples, ...]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: self.parts[0].shape_of(name) for name in self.parts[0].fields}

    def _read(self, rows: Rows, fields: Sequence[str], key: tuple[int, int]) -> dict[str, Tensor]:
        found = {name: torch.empty((len(rows), *self.shapes[name])) for name in fields}
        start = 0
        for part in self.parts:
            own = np.flatnonzero((rows >= start) & (rows < start + len(part)))
            if own.size:
                (read,) = part.only(*fields).gathered([torch.from_numpy(rows[own] - start)], _CPU, key)
                for name in fields:
                    found[name][torch.from_numpy(own)] = widen(read[name], part.layout[name]).to(found[name])
            start += len(part)
        return found

    def in_turn(
        self, lists: Sequence[Rows], fields: Sequence[str], key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        for rows in lists:
            yield self._read(rows, fields, key)
