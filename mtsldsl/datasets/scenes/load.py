"""Rendered rooms as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.scenes.language import Settings
from mtsldsl.datasets.scenes.raytracing import CLASSES, render
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.dense import image_size, samples_of, task_of, wanted_fields
from mtsldsl.runtime.data.kept_splits import kept_splits
from mtsldsl.runtime.data.samples import Samples, Splits


def load(spec: Demand, _: Path | None, cache: bool) -> Splits[Samples]:
    """The rooms of the spec, rendered, or with `cache` as they were kept.

    Raises MtlError: MTL603 for other classes than they have, MTL804 for too few of them.
    """
    fields, chosen = wanted_fields(spec), made(Settings, spec.data.options)
    height, width = image_size(spec)
    if "label" in fields and fields["label"].channels != len(CLASSES):
        task = task_of(spec, "label")
        cause = f"rendered rooms have {len(CLASSES)} classes, not {fields['label'].channels}"
        raise MtlError.of("MTL603", cause, f"write target = classes({len(CLASSES)}): {', '.join(CLASSES)}", task.span)
    counts = chosen.rooms()
    if min(counts) < 1:
        raise MtlError.of(
            "MTL804", "too few rooms to train, validate and test on", "ask for at least 8", spec.data.span
        )

    def rendered() -> dict[str, dict[str, Tensor]]:
        return scenes(*counts, seed=chosen.seed, height=height, width=width)

    facts = ("scenes", counts, chosen.seed, height, width)
    return samples_of(spec, fields, kept_splits(facts, rendered) if cache else rendered())


def scenes(
    train: int = 512, validation: int = 64, test: int = 128, *, seed: int = 0, height: int = 64, width: int = 64
) -> dict[str, dict[str, Tensor]]:
    """Split (`train`, `validation`, `test`) to field to tensor, so many images each.

    image uint8, label uint8, depth and normal float16, edge bool, in the shapes of `render`. The first images of a
    split are the same however many there are.
    """
    counts = {"train": train, "validation": validation, "test": test}
    return {
        split: {name: _compact(array) for name, array in render(seed, number, count, height, width).items()}
        for number, (split, count) in enumerate(counts.items())
    }


def _compact(array: NDArray[np.generic]) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.half() if tensor.is_floating_point() else tensor
