"""The official `nyu_depth_v2_labeled.mat`, read image by image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.kind import UNLABELLED
from mtsldsl.datasets.nyuv2.language import FILE, SOURCE
from mtsldsl.datasets.nyuv2.matlab import read_matlab
from mtsldsl.datasets.nyuv2.recordings import CROP, Array, Recording
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing

SPLITS = "splits.mat"
MAPPING = "classMapping40.mat"
COMPANIONS = "https://github.com/VainF/nyuv2-python-toolkit"

# fmt: off
FORTY_TO_THIRTEEN = np.array([
    11, 4, 5, 0, 3, 8, 9, 11, 12, 5,  # wall, floor, cabinet, bed, chair, sofa, table, door, window, bookshelf
    7, 5, 12, 9, 5, 12, 5, 6, 6, 4,  # picture, counter, blinds, desk, shelves, curtain, dresser, pillow, mirror, mat
    6, 2, 1, 5, 10, 6, 6, 6, 6, 6,  # clothes, ceiling, books, fridge, tv, paper, towel, shower curtain, box, board
    6, 5, 6, 6, 6, 6, 6, 6, 5, 6,  # person, night stand, toilet, sink, lamp, bathtub, bag, other structure, ... prop
], dtype=np.uint8)
# fmt: on
"""The class among 13 (bed, books, ceiling, chair, floor, furniture, objects, picture, sofa, table, tv, wall, window) of
each of the 40 (Couprie et al., 2013)."""

_SIZES = {"images": (3, 640, 480), "labels": (640, 480), "depths": (640, 480)}
"""Of an image, transposed."""

_PARTS = {"image": "images", "label": "labels", "regions": "labels", "depth": "depths"}


@contextmanager
def open_labeled_mat(path: Path) -> Iterator[Recording]:
    """The official file (HDF5), with `splits.mat` and, for labels, `classMapping40.mat` beside it.

    The arrays lie transposed there: `images` `(n, 3, 640, 480)` uint8, `depths` `(n, 640, 480)` float32 metres,
    `labels` `(n, 640, 480)` uint16, 1 to 894, 0 for none. What is read is cropped by `CROP`. Raises MTL601 where a
    file or h5py is missing, MTL602 where one is not as it should be.
    """
    if find_spec("h5py") is None:
        raise MtlError.of(
            "MTL601", f"reading `{path}` needs h5py, which is not installed", "pip install 'mtsldsl[nyuv2]'"
        )
    with importing("h5py"):
        import h5py

    splits = _companion(path, SPLITS, "the official split")
    train, test = (_indices(path, splits, name) for name in ("trainNdxs", "testNdxs"))
    mapping: list[NDArray[np.uint8]] = []

    again = f"get it again from {SOURCE}"
    try:
        path.open("rb").close()  # which says more of what may not be read
        file = h5py.File(path, "r")
    except OSError as error:
        why = f": {error.strerror}" if error.strerror and "h5" not in str(error).lower() else ""
        raise MtlError.of("MTL602", f"`{path}` is no whole HDF5 file{why}", again) from error
    with file:
        missing = sorted(set(_PARTS.values()) - set(file))
        if missing:
            raise MtlError.of("MTL602", f"`{path}` lacks `{missing[0]}`", again)
        count = len(file["images"])
        for name, sizes in _SIZES.items():
            if getattr(file[name], "shape", None) != (count, *sizes):
                cause = f"`{name}` of `{path}` is no array {' x '.join(map(str, (count, *sizes)))}"
                raise MtlError.of("MTL602", cause, again)
        if max(*train, *test) >= count:
            cause = f"`{SPLITS}` names image {max(*train, *test) + 1}, but `{path}` has {count}"
            raise MtlError.of("MTL602", cause, f"get both again, from {SOURCE} and {COMPANIONS}")

        def read(key: str, part: str, classes: int) -> Array:
            try:
                stored: Array = file[_PARTS[part]][int(key)]
            except (OSError, RuntimeError, ValueError, TypeError) as error:
                cause = f"image {int(key) + 1} of `{_PARTS[part]}` of `{path}` cannot be read"
                raise MtlError.of("MTL602", cause, again) from error
            if part == "image":
                return np.ascontiguousarray(stored.transpose(2, 1, 0)[CROP])
            upright = np.ascontiguousarray(stored.T[CROP])
            if part != "label":
                return upright
            if not mapping:
                mapping.append(_class_mapping(path))
            forty: Array = mapping[0][upright]
            thirteen: Array = np.append(FORTY_TO_THIRTEEN, _UNNAMED)[np.minimum(forty, len(FORTY_TO_THIRTEEN))]
            return forty if classes == 40 else thirteen

        yield Recording(train=tuple(map(str, train)), test=tuple(map(str, test)), classes=(13, 40), read=read)


_UNNAMED = np.full(1, UNLABELLED, dtype=np.uint8)


def _class_mapping(path: Path) -> NDArray[np.uint8]:
    """From a label of the file, 0 to 894, to a class, 0 to 39, or 255."""
    arrays = _companion(path, MAPPING, "the 40 classes")
    if "mapClass" not in arrays:
        raise MtlError.of("MTL602", f"`{MAPPING}` has no `mapClass`", f"get it again from {COMPANIONS}")
    mapped = arrays["mapClass"].ravel()
    if not np.isin(mapped, range(41)).all():
        cause = f"`mapClass` of `{path.with_name(MAPPING)}` holds other numbers than 0 to 40"
        raise MtlError.of("MTL602", cause, f"get it again from {COMPANIONS}")
    classes = np.append(0, mapped).astype(np.int64)
    table = np.full(65536, UNLABELLED, dtype=np.uint8)
    table[: len(classes)] = np.where(classes > 0, classes - 1, UNLABELLED)
    return table


def _companion(path: Path, name: str, what: str) -> dict[str, NDArray[np.float64]]:
    beside = path.with_name(name)
    if not beside.is_file():
        cause = f"`{FILE}` does not hold {what}: `{beside}` is missing"
        raise MtlError.of("MTL601", cause, f"put `{name}` there; it is at {COMPANIONS}")
    return read_matlab(beside)


def _indices(path: Path, arrays: dict[str, NDArray[np.float64]], name: str) -> tuple[int, ...]:
    if name not in arrays or not arrays[name].size:
        cause = f"`{path.with_name(SPLITS)}` has no `{name}`"
        raise MtlError.of("MTL602", cause, f"get it again from {COMPANIONS}")
    numbers = np.sort(arrays[name].ravel())
    if not (np.isfinite(numbers) & (numbers >= 1) & (numbers == np.floor(numbers))).all():
        cause = f"`{name}` of `{path.with_name(SPLITS)}` holds what is no number of an image, from 1 on"
        raise MtlError.of("MTL602", cause, f"get it again from {COMPANIONS}")
    return tuple(int(number) - 1 for number in numbers)
