"""One's own data: an `.npz` file with one array per field, the samples along the first dimension."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.runtime.data.fields import Field, FieldKind

Array = NDArray[np.generic]

_SPLITS = ("train", "validation", "test")


@attrs.frozen
class Expected:
    """What an array should hold: its kind, the shape of one sample, and for labels the number of classes."""

    field: Field
    shape: tuple[int, ...]
    classes: int | None = None


def arrays(
    path: Path, expected: Mapping[str, Expected], *, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> dict[str, dict[str, Tensor]]:
    """Split (`train`, `validation`, `test`) to field to tensor, from the arrays of `path`.

    Either each field is one array of its name, and a seeded `test` part of the samples is kept for the test and a
    `validation` part of the others for validation; or the arrays are named `train/<field>`, `test/<field>` and, if
    there is a validation set, `validation/<field>`. A sample's channel dimension may be left out where it is 1.
    Raises MTL602 for a file, a length, a shape or values that do not fit, MTL603 for an array that is missing.
    """
    with _opened(path) as file:
        present = [split for split in _SPLITS if any(name.startswith(f"{split}/") for name in file.files)]
        if not present:
            whole = _read(path, file, "", expected)
            rest, held = _divide(whole, test, seed)
            train, kept = _divide(rest, validation, seed + 1)
            return {"train": train, "validation": kept, "test": held}
        for split in ("train", "test"):
            if split not in present:
                cause = f"`{path}` has arrays named `{present[0]}/...`, but none named `{split}/...`"
                raise MtlError.of("MTL603", cause, f"add the arrays of {split}, or name all without a split")
        splits = {split: _read(path, file, f"{split}/", expected) for split in present}
    if "validation" not in splits:
        splits["train"], splits["validation"] = _divide(splits["train"], validation, seed + 1)
    return splits


def _opened(path: Path) -> np.lib.npyio.NpzFile:
    # numpy leaves the file open where it finds it to be no archive
    if not zipfile.is_zipfile(path):
        raise MtlError.of(
            "MTL602", f"`{path}` is no whole .npz file", "write it with numpy.savez(path, image=..., ...)"
        )
    file: np.lib.npyio.NpzFile = np.load(path, allow_pickle=False)
    return file


def _read(path: Path, file: np.lib.npyio.NpzFile, prefix: str, expected: Mapping[str, Expected]) -> dict[str, Tensor]:
    missing = [name for name in expected if prefix + name not in file.files]
    if missing:
        known = [name.removeprefix(prefix) for name in file.files if name.startswith(prefix)]
        cause = f"`{path}` has no array `{prefix}{missing[0]}`"
        raise MtlError.of("MTL603", cause, suggestion(missing[0], known, "arrays"))
    found = {}
    for name in expected:
        try:
            found[name] = np.asarray(file[prefix + name])
        except (ValueError, zipfile.BadZipFile) as error:
            cause = f"`{prefix}{name}` of `{path}` is no array of numbers"
            raise MtlError.of("MTL602", cause, "save arrays of numbers, not of objects") from error
    lengths = {name: len(array) if array.ndim else 0 for name, array in found.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"`{prefix}{name}` {length}" for name, length in lengths.items())
        raise MtlError.of("MTL602", f"the arrays of `{path}` differ in length: {listed}", "give one entry a sample")
    return {name: _fitted(f"`{prefix}{name}` of `{path}`", array, expected[name]) for name, array in found.items()}


def _fitted(subject: str, array: Array, expected: Expected) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise MtlError.of("MTL602", f"{subject} holds {array.dtype}, not numbers", "save an array of numbers")
    shape = expected.shape
    if array.shape[1:] == shape[1:] and shape[:1] == (1,):
        array = array.reshape(len(array), *shape)
    if array.shape[1:] != shape:
        cause = f"a sample of {subject} is {_sizes(array.shape[1:])}, but the spec's is {_sizes(shape)}"
        swapped = len(shape) == 3 and array.shape[1:] == (*shape[1:], shape[0])
        raise MtlError.of("MTL602", cause, "put the channels first" if swapped else "change the spec or the array")
    if expected.field.kind is FieldKind.LABEL:
        return _labels(subject, array, expected)
    if expected.field.kind is FieldKind.EDGE and not np.isin(array[np.isfinite(array)], (0, 1)).all():
        cause = f"{subject} holds other values than 0 and 1, which a binary target needs"
        raise MtlError.of("MTL602", cause, "save a mask of 0 and 1, such as `mask > 0`")
    if expected.field.kind is FieldKind.IMAGE and array.dtype == np.uint8:
        return torch.from_numpy(array)
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _labels(subject: str, array: Array, expected: Expected) -> Tensor:
    labels = array.astype(np.int64)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise MtlError.of("MTL602", f"{subject} holds fractions where classes are expected", "save whole numbers")
    known = labels[labels != expected.field.ignore] if expected.field.ignore is not None else labels
    classes = expected.classes or 0
    if known.size and (known.min() < 0 or known.max() >= classes):
        outside = known.min() if known.min() < 0 else known.max()
        raise MtlError.of(
            "MTL602",
            f"{subject} holds the label {outside}, but the task has the classes 0 to {classes - 1}",
            "change the number of classes, or say which label means none: classes(..., ignore=...)",
        )
    compact = np.uint8 if not labels.size or (labels.min() >= 0 and labels.max() < 256) else np.int32
    return torch.from_numpy(labels.astype(compact))


def _divide(fields: dict[str, Tensor], part: float, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All but a seeded part of the samples, and that part; both in the order of the file."""
    count = len(next(iter(fields.values())))
    held = max(1, round(count * part))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    kept, apart = order[held:].sort().values, order[:held].sort().values
    return {name: x[kept] for name, x in fields.items()}, {name: x[apart] for name, x in fields.items()}


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "a single number"
