"""Samples held compactly in memory, and the three splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtsldsl.runtime.data.fields import Field, FieldKind


@attrs.frozen(eq=False)
class Samples:
    """Some samples: one tensor a field, all with the same first dimension, and what each field is.

    Types are compact (uint8 images, uint8 or int16 labels, float16 depth and normals); `batches` widens them.
    """

    fields: Mapping[str, Tensor]
    layout: Mapping[str, Field]

    def __len__(self) -> int:
        return next(iter(self.fields.values())).shape[0]

    def take(self, indices: Tensor) -> Samples:
        """The samples at `indices` (int64, `(m,)`), in that order."""
        return Samples({name: tensor[indices] for name, tensor in self.fields.items()}, self.layout)

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on `device`: batches of a set that fits there cost no transfer."""
        return Samples({name: tensor.to(device) for name, tensor in self.fields.items()}, self.layout)


@attrs.frozen(eq=False)
class Splits:
    """Training, validation and test samples, kept apart."""

    train: Samples
    validation: Samples
    test: Samples

    def named(self) -> tuple[tuple[str, Samples], ...]:
        """The three with their names."""
        return ("train", self.train), ("validation", self.validation), ("test", self.test)


def describe(splits: Splits) -> dict[str, dict[str, object]]:
    """For logs: per split the number of samples, and per field the share of its entries that are valid.

    A label is valid where it is not `ignore`, a depth where positive, a normal where not zero; all else is valid.
    """
    return {
        name: {
            "samples": len(samples),
            "valid": {field: round(valid_share(samples, field), 4) for field in samples.fields},
        }
        for name, samples in splits.named()
    }


def valid_share(samples: Samples, name: str) -> float:
    """The share of a field's pixels (or values) that a loss would count."""
    tensor, field = samples.fields[name], samples.layout[name]
    if field.kind is FieldKind.LABEL and field.ignore is not None:
        valid = tensor != field.ignore
    elif field.kind is FieldKind.DEPTH:
        valid = tensor > 0
    elif field.kind is FieldKind.NORMAL:
        valid = (tensor != 0).any(dim=1)
    else:
        return 1.0
    return int(valid.count_nonzero()) / max(valid.numel(), 1)
