"""The layouts in which NYUv2 is kept on disk, each opened as a `Recording` that is read image by image."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.kind import UNLABELLED
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing
from mtsldsl.folders.picture_files import SIXTEEN_BITS, whole_picture
from mtsldsl.records import Record
from mtsldsl.runtime.data.geometry import Camera
from mtsldsl.runtime.data.npz_files import UNREADABLE, why_unreadable

Array = NDArray[np.generic]

_AGAIN = "get the data set again"

CAMERA = Camera(fx=518.858, fy=519.470, cx=325.582, cy=253.736)
"""Of the 480 x 640 images (Silberman et al., 2012, toolbox)."""

CROP = (slice(45, 471), slice(41, 601))
"""Rows and columns of the full image without the white frame that the alignment of colour and depth leaves."""

CROPPED_SIZE = (CROP[0].stop - CROP[0].start, CROP[1].stop - CROP[1].start)

Read = Callable[[str, str, int], Array]


@attrs.frozen(eq=False, repr=False)
class Recording(Record):
    """One copy of the data set. `train` and `test` are the keys of the official splits.

    `read(key, part, classes)` gives a part of one image as it is kept: `image` uint8 `(h, w, 3)`; `label` uint8
    `(h, w)` of the 13- or 40-class mapping, 255 for none; `regions` integers `(h, w)`, the finest labels there are;
    `depth` float32 `(h, w)` in metres, 0 for none; `normal` float32 `(h, w, 3)`, if `has_normals`.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: tuple[int, ...]
    read: Read
    has_normals: bool = False
    depth_step: float = 0.0
    """Metres between two values of the depth, 0 for a continuous one."""


@attrs.frozen(eq=False, repr=False)
class Files(Record):
    """The files of a folder or of an archive, by path."""

    place: Path
    names: frozenset[str]
    content: Callable[[str], bytes]

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises MTL602 where it is missing."""
        if name not in self.names:
            raise MtlError.of("MTL602", f"`{self.place}` lacks {name}", "get a complete copy of the data set")
        try:
            return self.content(name)
        except UNREADABLE as error:
            cause = f"{name} of `{self.place}` cannot be read{why_unreadable(error)}"
            raise MtlError.of("MTL602", cause, _AGAIN) from error


@contextmanager
def open_files(place: Path) -> Iterator[Files]:
    """The files below a folder, or in a zip archive, where `train` may lie in a folder of its own."""
    if place.is_dir():
        paths = files_below(place)
        yield Files(place, frozenset(paths), lambda name: paths[name].read_bytes())
        return
    try:
        archive = zipfile.ZipFile(place)
    except zipfile.BadZipFile as error:
        raise MtlError.of("MTL602", f"`{place}` is not a whole zip archive", "download it again") from error
    with archive:
        members = archive.namelist()
        prefix = next((name.split("train/image/")[0] for name in members if "train/image/" in name), "")
        names = frozenset(name.removeprefix(prefix) for name in members if name.startswith(prefix))
        yield Files(place, names, lambda name: archive.read(prefix + name))


def files_below(folder: Path) -> dict[str, Path]:
    """The files of a folder that may be the data set's, such as `train/image/0001.jpg`, by these names."""
    return {path.relative_to(folder).as_posix(): path for path in folder.glob("*/*/*.*") if path.is_file()}


def recording_of(files: Files) -> Recording:
    """The recording that some files are: images, or the preprocessed arrays of Liu et al. (2019). Raises MTL602."""
    kinds = {name.rsplit(".", 1)[-1] for name in files.names if name.startswith("train/image/")}
    for kind, recording in (("npy", _arrays), ("jpg", _images)):
        if kind in kinds:
            return recording(files)
    raise MtlError.of(
        "MTL602",
        f"`{files.place}` holds neither train/image/*.jpg nor train/image/*.npy",
        "give the folder or archive in which `train` and `val` lie",
    )


def _images(files: Files) -> Recording:
    def read(key: str, part: str, classes: int) -> Array:
        if part == "image":
            return _picture(files, f"{key.replace('/', '/image/')}.jpg", "RGB")
        if part == "depth":
            steps = _picture(files, f"{key.replace('/', '/depth/')}.png", "L")
            return ((steps.astype(np.float32) + 0.5) / _STEPS_PER_METRE).astype(np.float32)
        folder, most = ("label", 13) if part == "label" and classes == 13 else ("label40", 40)
        name = f"{key.replace('/', f'/{folder}/')}.png"
        labels = _picture(files, name, "L")
        wrong = labels[(labels >= most) & (labels != UNLABELLED)]
        if wrong.size:
            cause = f"{name} of `{files.place}` holds the label {wrong[0]}, and there are the classes 0 to {most - 1}"
            raise MtlError.of("MTL602", cause, f"{_AGAIN}; a pixel without a class is {UNLABELLED}")
        return labels

    return Recording(
        train=_keys(files, "train", "jpg"),
        test=_keys(files, "val", "jpg"),
        classes=(13, 40),
        read=read,
        depth_step=1 / _STEPS_PER_METRE,
    )


_STEPS_PER_METRE = 25.5


def _arrays(files: Files) -> Recording:
    def read(key: str, part: str, _: int) -> Array:
        name = f"{key.replace('/', f'/{_ARRAY_FOLDERS[part]}/')}.npy"
        values = _array(files, name)
        three = part in ("image", "normal")
        if not values.size or values.shape[2:] not in (((3,),) if three else ((), (1,))) or values.ndim < 2:
            sizes = " x ".join(map(str, values.shape)) or "a single number"
            cause = f"{name} of `{files.place}` is {sizes}, and not height x width{' x 3' if three else ''}"
            raise MtlError.of("MTL602", cause, _AGAIN)
        if np.abs(values[np.isfinite(values)]).max(initial=0) > _LARGEST:
            raise _no_such_array(files, name, values, f"no number is above {_LARGEST:g}")
        if part == "image":
            if not (values.min() >= -_OVERSHOT and values.max() <= 1 + _OVERSHOT):  # nor is NaN
                raise _no_such_array(files, name, values, "images have numbers from 0 to 1")
            return np.asarray((np.clip(values, 0, 1) * 255).round(), dtype=np.uint8)
        if part in ("label", "regions"):
            labels = values.reshape(values.shape[:2])
            if not (labels == labels.round()).all() or labels.max() >= _ARRAY_CLASSES:
                raise _no_such_array(files, name, values, f"labels are whole numbers from -1 to {_ARRAY_CLASSES - 1}")
            return np.where(labels < 0, UNLABELLED, labels).astype(np.uint8)
        if part == "depth":
            return values.reshape(values.shape[:2]).astype(np.float32)
        return values.astype(np.float32)

    return Recording(
        train=_keys(files, "train", "npy"),
        test=_keys(files, "val", "npy"),
        classes=(_ARRAY_CLASSES,),
        read=read,
        has_normals=True,
    )


def _no_such_array(files: Files, name: str, values: NDArray[np.float64], wanted: str) -> MtlError:
    known = values[np.isfinite(values)]
    held = f"{known.min():g} to {known.max():g}" if known.size else "no number"
    more = "" if known.size == values.size else ", and what is not finite"
    cause = f"{name} of `{files.place}` holds {held}{more}, and {wanted} in this layout"
    return MtlError.of("MTL602", cause, "get the data set again, or save the arrays so")


_ARRAY_CLASSES = 13
_LARGEST = float(np.finfo(np.float16).max)
"""As which depths and normals are kept."""
_OVERSHOT = 0.01
"""By how much pictures may be brighter than white, or darker than black, from being made smaller."""


_ARRAY_FOLDERS: Mapping[str, str] = {
    "image": "image",
    "label": "label",
    "regions": "label",
    "depth": "depth",
    "normal": "normal",
}


def _keys(files: Files, split: str, ending: str) -> tuple[str, ...]:
    folder = f"{split}/image/"
    stems = (
        name.removeprefix(folder).removesuffix(f".{ending}")
        for name in files.names
        if name.startswith(folder) and name.endswith(f".{ending}")
    )
    return tuple(f"{split}/{stem}" for stem in sorted(stems, key=lambda stem: (len(stem), stem)))


def _picture(files: Files, name: str, mode: str) -> NDArray[np.uint8]:
    """One of gray numbers (`L`) has these and no colours: to make them of others, or of 16 bits, changes them."""
    with importing("PIL"):
        from PIL import Image

    called = f"{name} of `{files.place}`"
    content = io.BytesIO(files.read(name))
    with whole_picture(called, _AGAIN), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # all are of 480 x 640 pixels, or fewer
        with Image.open(content) as picture:
            if picture.mode in SIXTEEN_BITS:
                raise MtlError.of("MTL602", f"{called} has 16 bits, and all have 8 in this layout", _AGAIN)
            if mode == "L" and picture.mode != "L":
                cause = f"{called} is of the kind {picture.mode}, and holds no gray numbers of 8 bits"
                raise MtlError.of("MTL602", cause, _AGAIN)
            return np.asarray(picture.convert(mode), dtype=np.uint8)


def _array(files: Files, name: str) -> NDArray[np.float64]:
    content = io.BytesIO(files.read(name))
    try:
        return np.asarray(np.load(content, allow_pickle=False), dtype=np.float64)
    except UNREADABLE as error:
        cause = f"{name} of `{files.place}` is no array of numbers{why_unreadable(error)}"
        raise MtlError.of("MTL602", cause, _AGAIN) from error
