"""Pictures in files as the arrays that networks read, and pictures at another size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing
from mtsldsl.runtime.data.gray_images import area_averaged

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

ENDINGS = (".png", ".jpg", ".jpeg")
"""Of the names of pictures, in small letters."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; from 5 on the picture lies on its side."""

_GRAY = ("1", "L", "LA")
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")
_MODES = {
    1: (*_GRAY, *_SIXTEEN_BITS),
    3: (*_GRAY, "P", "PA", "RGB", "RGBA"),
    4: ("RGBA",),
}
"""What Pillow calls the pictures from which an image of so many channels follows without a choice."""

_REMEDIES = {
    1: "save it in gray, as for training, or all as arrays in one .npz file",
    3: "save it in colours of 8 bits, or all as arrays in one .npz file",
    4: "save it with four channels (RGBA), or all as arrays in one .npz file",
}


def require_picture(path: Path, shape: tuple[int, int, int], *, resize: bool) -> None:
    """Hold the head of a file, without its pixels, to the shape of one image. Raises MTL602 as `picture` does."""
    with _opened(path) as found:
        _require_mode(path, found, shape[0])
        width, height = found.size[::-1] if found.getexif().get(_ORIENTATION, 1) >= 5 else found.size
    if resize and found.mode in _SIXTEEN_BITS:
        _refuse(path, "has 16 bits, and is not resized here", "resize it, or save it with 8 bits")
    if not resize and (height, width) != shape[1:]:
        cause = f"is {height} x {width} (height x width), but the input is {shape[1]} x {shape[2]}"
        _refuse(path, cause, "resize it, or give --resize")


def picture(path: Path, shape: tuple[int, int, int], *, resize: bool = False, ink: bool = False) -> Pixels:
    """The pixels of a file, `shape` (channels, height, width): uint8, or uint16 where it has 16 bits; upright, as
    viewers show it; the other way round where it is `ink` on paper.

    A gray one has three equal channels where three are read. With `resize` it is brought to the size, whatever its
    sides are to each other. Raises MTL602, with the file, where it is no whole picture, has another size, or where what
    the network is to see would be a choice: colours for one channel, parts that are transparent.
    """
    require_picture(path, shape, resize=resize)
    with _opened(path) as found:
        from PIL import ImageOps

        pixels = _channels(path, ImageOps.exif_transpose(found), shape[0])
    if ink:  # before it is resized, as averages are rounded
        pixels = np.iinfo(pixels.dtype).max - pixels
    return _resized(np.asarray(pixels, dtype=np.uint8), shape[1:]) if resize else pixels


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with importing("PIL"):
        from PIL import Image

    try:
        with Image.open(path) as found:
            yield found
    # SyntaxError and ValueError are what Pillow raises for some damaged files
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MtlError.of("MTL602", f"`{path}` is no whole picture", "save it again, or take it out") from error


def _require_mode(path: Path, found: Image.Image, channels: int) -> None:
    if channels not in _MODES:
        cause = f"is a picture, but the input has {channels} channels"
        _refuse(path, cause, "save the inputs as arrays in one .npz file")
    if found.mode not in _MODES[channels]:
        noun = "channel" if channels == 1 else "channels"
        cause = f"is of the kind {found.mode}, which does not say what {channels} {noun} are"
        _refuse(path, cause, _REMEDIES[channels])


def _channels(path: Path, found: Image.Image, channels: int) -> Pixels:
    if found.mode in _SIXTEEN_BITS:
        return np.asarray(found).astype(np.uint16)[None]
    if channels == 4:
        return _first(np.asarray(found))
    if found.mode in ("LA", "PA", "RGBA") or "transparency" in found.info:
        alpha = np.asarray(found.convert("RGBA"))[..., 3]
        if alpha.min(initial=255) < 255:
            _refuse(path, "is transparent in parts", "save it on the ground that it is to be seen on")
    return _first(np.asarray(found.convert("L" if channels == 1 else "RGB")))


def _first(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With the channels first, `(c, h, w)`."""
    return np.moveaxis(np.atleast_3d(pixels), -1, 0).copy(order="C")  # Pillow's own may not be written to


def _resized(pixels: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """As the data sets of gray pictures, and those of colour pictures, bring theirs to the size of the input."""
    height, width = size
    if len(pixels) == 1:
        return area_averaged(pixels, (height, width))
    found: NDArray[np.uint8] = resized_image(torch.from_numpy(pixels), (height, width)).numpy()
    return found


def resized_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A uint8 image `(c, h, w)` at another size: bilinear, and averaged where it shrinks."""
    if tuple(image.shape[-2:]) == size:
        return image
    smooth = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True, align_corners=False)[0]
    return smooth.round().clamp(0, 255).to(torch.uint8)


def _refuse(path: Path, what: str, remedy: str) -> NoReturn:
    raise MtlError.of("MTL602", f"`{path}` {what}", remedy)
