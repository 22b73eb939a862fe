"""The layouts in which MNIST and Fashion-MNIST are kept on disk: the four published files, and one `.npz` file.

The published files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
`t10k-labels-idx1-ubyte`, compressed by gzip or not: a number that says what follows, the sizes, and the bytes. An
`.npz` file has the arrays `x_train`, `y_train`, `x_test` and `y_test`.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.mnist_like import CLASSES, SIDE
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data.npz_files import opened_npz, read_arrays

_NAMES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
_ENDINGS = ("", ".gz")
_BYTES = 8
"""The code of unsigned bytes in the first number of a published file."""


@attrs.frozen(eq=False)
class Items:
    """Images uint8 `(n, 28, 28)` and their classes `(n,)`, from 0 to 9."""

    images: NDArray[np.uint8]
    classes: NDArray[np.integer]

    def take(self, rows: NDArray[np.int64]) -> Items:
        """The items of those numbers."""
        return Items(self.images[rows], self.classes[rows])


def mnist_items(place: Path, remedy: str) -> tuple[Items, Items]:
    """The items for training, and those for the test. Raises MTL602 where they are not there, or damaged.

    `place` is a folder with the published files, a folder with one `.npz` file, or that file.
    """
    published = [_published(place, name.format(split)) for split in ("train", "t10k") for name in _NAMES]
    there = [path for path in published if path is not None]
    if not there:
        return _of_npz(place, remedy)
    if len(there) < len(published):
        cause = f"`{place}` has only {', '.join(path.name for path in there)} of the four files"
        raise MtlError.of("MTL602", cause, remedy)
    images, classes, test_images, test_classes = (_unpacked(path, remedy) for path in there)
    titles = [f"`{path}`" for path in there]
    return _items(titles[:2], images, classes, remedy), _items(titles[2:], test_images, test_classes, remedy)


def _published(folder: Path, name: str) -> Path | None:
    """A published file, which some write with a dot in its name."""
    names = (f"{stem}{ending}" for stem in (name, name.replace("-idx", ".idx")) for ending in _ENDINGS)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _of_npz(place: Path, remedy: str) -> tuple[Items, Items]:
    files = sorted(place.glob("*.npz")) if place.is_dir() else [place]
    if len(files) != 1:
        found = f"{len(files)} .npz files" if files else "nothing of the data set"
        raise MtlError.of("MTL602", f"`{place}` holds {found}", "name the file itself in `root`" if files else remedy)
    with opened_npz(files[0], remedy) as file:
        names = ("x_train", "y_train", "x_test", "y_test")
        images, classes, test_images, test_classes = read_arrays(files[0], file, names, remedy)
    titles = [f"`{name}` of `{files[0]}`" for name in names]
    return _items(titles[:2], images, classes, remedy), _items(titles[2:], test_images, test_classes, remedy)


def _items(titles: Sequence[str], images: NDArray[np.generic], classes: NDArray[np.generic], remedy: str) -> Items:
    """What images and classes are called is said in `titles`."""
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        cause = f"{titles[0]} holds {_shown(images)}, not uint8 images of {SIDE} x {SIDE}"
        raise MtlError.of("MTL602", cause, remedy)
    if classes.shape != images.shape[:1] or not np.issubdtype(classes.dtype, np.integer):
        cause = f"{titles[1]} holds {_shown(classes)}, not one whole number for each of {len(images)} images"
        raise MtlError.of("MTL602", cause, remedy)
    wrong = np.flatnonzero(~np.isin(classes, range(CLASSES)))
    if wrong.size:
        cause = f"row {wrong[0]} (from 0) of {titles[1]} holds the label {classes[wrong[0]]}, and the classes are 0 to "
        raise MtlError.of("MTL602", f"{cause}{CLASSES - 1}", remedy)
    return Items(images.astype(np.uint8, copy=False), classes.astype(np.uint8))


def _shown(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} {' x '.join(map(str, array.shape))}"


def _unpacked(path: Path, remedy: str) -> NDArray[np.uint8]:
    """The array of a published file."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise MtlError.of("MTL602", f"`{path}` is no whole gzip file", remedy) from error
    # two zeros, what the numbers are, how many sizes follow; the sizes in big-endian; the numbers
    start = 4 + 4 * (content[3] if len(content) > 3 else 0)
    sizes = [int.from_bytes(content[place : place + 4], "big") for place in range(4, start, 4)]
    if content[:3] != bytes([0, 0, _BYTES]) or len(content) != start + math.prod(sizes):
        raise MtlError.of("MTL602", f"`{path}` is no whole file of the data set", remedy)
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes).copy()  # torch shares no memory of bytes
