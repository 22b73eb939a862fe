"""Files with the targets of one sample each, beside the picture that is its input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.folders.picture_files import ENDINGS, numbers_of
from mtsldsl.folders.picture_fit import Fit, Size
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.array_fields import expected_target, fitted
from mtsldsl.runtime.data.array_labels import MISSING
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import target_of
from mtsldsl.runtime.data.npz_files import UNREADABLE, why_unreadable
from mtsldsl.runtime.data.pictures import fitted_numbers

_WHITE = 255


@attrs.frozen(eq=False)
class TargetFiles:
    """How the files of a task are read. With `places` there is a target for every place of the picture: the file has
    the size of that, and comes to the size of the input as it does. Other files hold what they hold."""

    task: Task
    expected: Expected
    places: bool
    fit: Fit
    size: Size
    unit: float

    @classmethod
    def of(cls, task: Task, fit: Fit, size: Size, unit: float, field: str) -> TargetFiles:
        """Raises MTL603 where the head gives something for other places than those of the input, and for files that
        cannot hold such targets."""
        space = task.head.shape[1:]
        if len(task.head.shape) == 3 and space != size:
            cause = f"the head of `{task.name}` gives {space[0]} x {space[1]}, and its files have the size of the input"
            raise MtlError.of("MTL603", cause, "end the head with `resize_as`, of the input's name", task.span)
        places = len(task.head.shape) == 3
        expected = expected_target(task.name, task)  # what is called depth is told by the task, not by its path
        if _is_picture(field) and not (places and _in_pictures(expected)):
            target = f"`{task.target.kind}({task.target.channels})`"
            what = target if places else f"one answer for an image of {target}"
            cause = f"`{task.name}` learns {what}, which a picture does not hold"
            raise MtlError.of("MTL603", cause, "save .npy files, or read a column", task.span)
        return cls(task, expected, places, fit, size, unit)

    def read(self, path: Path, image: Size) -> Tensor:
        """The target `(c, h, w)`, `(h, w)` or what the file holds, beside an image of that size. Raises MTL602, with
        the task and its place in the spec."""
        called = f"`{path}`"
        with target_of(self.task):
            array = self._picture(path) if _is_picture(path.name) else _array(path, called)
            if self.places:
                if array.shape[-2:] != image:
                    raise _of_another_size(called, array, image)
                array = fitted_numbers(array, self.fit, self.size)
            return fitted({called: array[None]}, self.expected).tensors[called][0]

    def missing(self) -> Tensor:
        """What stands for a target whose file is not there: it never counts."""
        if self.expected.kind is FieldKind.LABEL:
            ignore = self.task.target.ignore
            label = ignore if ignore is not None and 0 <= ignore <= np.iinfo(np.uint8).max else MISSING
            return torch.full(self.expected.shape, label, dtype=torch.uint8 if label >= 0 else torch.int16)
        return torch.full(self.expected.shape, torch.nan)

    def _picture(self, path: Path) -> NDArray[Any]:
        numbers = numbers_of(path)
        if self.expected.kind is FieldKind.LABEL:
            return numbers
        if self.expected.kind is FieldKind.EDGE:
            white = self.task.target.ignore != _WHITE and bool((numbers == _WHITE).any())
            return (numbers // _WHITE) if white and bool(np.isin(numbers, (0, _WHITE)).all()) else numbers
        return np.asarray(numbers * self.unit, dtype=np.float32)


def _of_another_size(called: str, array: NDArray[Any], image: Size) -> MtlError:
    found = " x ".join(map(str, array.shape)) or "a single number"
    cause = f"{called} is {found}, and its image {image[0]} x {image[1]} (height x width)"
    remedy = "save it at the size of its image"
    if array.ndim == 3 and array.shape[:2] == image:
        remedy = "put the channels first: `numpy.moveaxis(array, -1, 0)`"
    return MtlError.of("MTL602", cause, remedy)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _in_pictures(expected: Expected) -> bool:
    """Whether a picture with one number for each pixel holds such targets."""
    if expected.kind is FieldKind.LABEL:
        return True
    return expected.kind in (FieldKind.EDGE, FieldKind.DEPTH, FieldKind.PLAIN) and expected.shape[0] == 1


def _array(path: Path, called: str) -> NDArray[Any]:
    remedy = "save numbers by `numpy.save`, or a picture"
    if path.suffix.lower() != ".npy":
        raise MtlError.of("MTL602", f"{called} is neither an .npy file nor a picture", remedy)
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            found.close()
            raise ValueError("an archive")
    except UNREADABLE as error:
        raise MtlError.of("MTL602", f"{called} is no array of numbers{why_unreadable(error)}", remedy) from error
    return found
