"""What files of labels may be learned as, where nobody has said it: their numbers are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from mtsldsl.diagnostics import MtlError
from mtsldsl.folders.picture_files import numbers_of

MOST_CLASSES = 100
"""Numbers that are taken for classes; of larger ones they are taken for amounts."""

MOST_VALUES = 64
"""So many different numbers may be classes; of more they are taken for amounts."""

UNLABELLED = 255
"""What a class of 8 bits is taken to be that stands apart from the others: none."""


@attrs.frozen
class Labels:
    """How files of labels are learned: the target as the language has it, its kind and channels, whether it is for
    every place of the image, and what was found, in words."""

    target: str
    kind: str
    channels: int
    dense: bool
    said: str


def labels_of(paths: Sequence[Path]) -> Labels:
    """What the numbers of all these files may be. Raises MTL602 where a file is none of labels, or the files differ."""
    if paths[0].suffix.lower() == ".npy":
        return _of_arrays(paths)
    seen = _Seen()
    for path in paths:
        seen.look(numbers_of(path))
    return seen.as_labels((), whole=True)


def _of_arrays(paths: Sequence[Path]) -> Labels:
    seen, shapes, whole = _Seen(), set(), True
    directions = True
    for path in paths:
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise MtlError.of("MTL602", f"`{path}` is no array of numbers", "save it by `numpy.save`") from error
        if array.dtype.kind not in "biuf":
            raise MtlError.of("MTL602", f"`{path}` holds {array.dtype}, not numbers", "save numbers")
        shapes.add(array.shape[:-2] if array.ndim >= 2 else ("features", *array.shape))
        whole &= array.dtype.kind != "f"
        directions &= _are_directions(array)
        seen.look(array)
    if len(shapes) > 1 or max(map(len, shapes)) > 2:
        raise MtlError.of("MTL602", f"the arrays of `{paths[0].parent}` differ in shape", "save them alike")
    (shape,) = shapes
    if shape[:1] == ("features",):
        channels = int(shape[1]) if len(shape) > 1 else 1
        return Labels(f"values({channels}, scale=standard)", "values", channels, False, f"{channels} numbers an image")
    channels = int(shape[0]) if shape else 1
    if directions and channels == 3:
        return Labels("unit_vectors(3)", "unit_vectors", 3, True, "vectors of length 1")
    if channels > 1:
        return Labels(f"values({channels}, scale=standard)", "values", channels, True, f"{channels} numbers a pixel")
    return seen.as_labels(shape, whole)


def _are_directions(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    """Whether the vectors along the first of three axes have the length 1, but for those that are 0 or missing."""
    if array.ndim != 3 or array.shape[0] != 3 or array.dtype.kind != "f":
        return False
    lengths = np.linalg.norm(array.astype(np.float64), axis=0)
    known = lengths[np.isfinite(lengths) & (lengths > 0)]
    return bool(known.size) and bool((np.abs(known - 1) < 0.02).mean() > 0.95)


@attrs.define
class _Seen:
    """The numbers that were seen: all of them while they are few, and between which they lie."""

    numbers: set[float] = attrs.field(factory=set)
    least: float = np.inf
    largest: float = -np.inf

    def look(self, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
        known = np.unique(array[np.isfinite(array)] if array.dtype.kind == "f" else array).astype(np.float64)
        if known.size:
            self.least, self.largest = min(self.least, float(known[0])), max(self.largest, float(known[-1]))
        if len(self.numbers) <= MOST_VALUES:
            self.numbers.update(known.tolist())

    def as_labels(self, shape: tuple[object, ...], whole: bool) -> Labels:
        if self.numbers <= {0, 1} or (self.numbers <= {0, UNLABELLED} and not shape):
            return Labels("binary(1)", "binary", 1, True, "yes and no")
        classes = sorted(self.numbers - {UNLABELLED})
        few = len(self.numbers) <= MOST_VALUES and bool(classes)
        if whole and few and classes[0] >= 0 and classes[-1] < MOST_CLASSES and not shape:
            count = int(classes[-1]) + 1
            ignored = UNLABELLED in self.numbers
            said = f"the numbers of classes, 0 to {count - 1}" + (", and 255, taken for none" if ignored else "")
            return Labels(f"classes({count}, ignore={UNLABELLED if ignored else 'none'})", "classes", count, True, said)
        positive = self.least == 0
        valid = ", valid=positive" if positive else ""
        said = f"numbers from {self.least:.6g} to {self.largest:.6g}"
        said += ", of which 0 is taken for what was not measured" if positive else ""
        return Labels(f"values(1, scale=standard{valid})", "values", 1, True, said)
