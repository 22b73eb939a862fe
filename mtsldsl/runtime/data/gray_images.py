"""Data sets of small gray images with one class each: what their blocks and tasks say, and images at other sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import Diagnostic, MtlError
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.samples import Samples

_AT_ONCE = 1024
"""Images that are resized together."""


def gray_size(spec: Demand) -> tuple[int, int]:
    """Height and width of the input, which must be an image of one channel. Raises MTL602."""
    shape = spec.data.shape
    if len(shape) != 3 or shape[0] != 1:
        sizes = " x ".join(map(str, shape))
        cause = f"the data set `{spec.data.kind}` has images of 1 channel, but the input is {sizes}"
        raise MtlError.of("MTL602", cause, f"write input = {spec.data.input}(1, height, width)", spec.data.span)
    return shape[1], shape[2]


def misfits(task: Task, source: str, classes: int) -> Iterator[Diagnostic]:
    """What a task asks that images with one of so many classes do not have. `source` says which images."""
    target = task.target
    if target.kind == "reconstruct":
        return
    if target.kind != "classes":
        cause, remedy = f"{source} has classes, and no `{target.kind}`", f"write target = classes({classes})"
    elif target.channels != classes:
        cause = f"{source} has {classes} classes, not {target.channels}"
        remedy = f"write target = classes({classes}), and a head of {classes}"
    elif len(task.head.shape) > 1:
        cause = f"{source} has one class for each image, but the head of `{task.name}` gives an image"
        remedy = f"end the head with `flatten | linear({classes})`"
    else:
        return
    yield from MtlError.of("MTL603", cause, remedy, task.span).diagnostics


def gray_samples(input_name: str, images: NDArray[np.uint8], labels: dict[str, NDArray[np.integer]]) -> Samples:
    """Images `(n, h, w)` under the input's name, and their classes `(n,)` under the names of their fields."""
    fields: dict[str, Tensor] = {input_name: torch.from_numpy(np.ascontiguousarray(images))[:, None]}
    layout = {input_name: FieldKind.IMAGE}
    for name, classes in labels.items():
        fields[name] = torch.from_numpy(classes.astype(np.uint8))
        layout[name] = FieldKind.LABEL
    return Samples(fields, layout)


def area_averaged(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Images `(n, h, w)` at another size: each pixel is the mean of the area that it covers, halves rounded up.

    It is computed in whole numbers, so it is the same on every machine.
    """
    height, width = images.shape[1:]
    if (height, width) == size:
        return images
    area = height * width
    exact = np.float32 if 255 * area < 2**24 else np.float64  # the sums below are whole numbers that the type holds
    rows, columns = _covered(height, size[0]).astype(exact), _covered(width, size[1]).T.astype(exact)
    found = np.empty((len(images), *size), dtype=np.uint8)
    for start in range(0, len(images), _AT_ONCE):
        sums = (rows @ images[start : start + _AT_ONCE].astype(exact) @ columns).astype(np.int64)
        found[start : start + _AT_ONCE] = (2 * sums + area) // (2 * area)
    return found


def _covered(old: int, new: int) -> NDArray[np.int64]:
    """How much of each of `old` pixels in a row each of `new` covers, `(new, old)`, in parts of which a row has
    `old` times `new`: so each of the new ones covers `old` of them."""
    starts, pixels = np.arange(new)[:, None] * old, np.arange(old)[None] * new
    parts: NDArray[np.int64] = np.maximum(np.minimum(starts + old, pixels + new) - np.maximum(starts, pixels), 0)
    return parts
