"""The pixels of pictures in files, as arrays."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.libraries import importing

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

ENDINGS = (".png", ".jpg", ".jpeg")
"""Of the names of pictures, in small letters."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; from 5 on the picture lies on its side."""

GRAY = ("1", "L", "LA")
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")
"""What Pillow calls gray pictures of 8 and of 16 bits."""

_MODES = {
    1: (*GRAY, *SIXTEEN_BITS),
    3: (*GRAY, "P", "PA", "RGB", "RGBA"),
    4: ("RGBA",),
}
"""What Pillow calls the pictures from which an image of so many channels follows without a choice."""

_REMEDIES = {
    1: "save it in gray, or let the input have three channels; or save all as arrays in one .npz file",
    3: "save it in colours of 8 bits, or all as arrays in one .npz file",
    4: "save it with four channels (RGBA), or all as arrays in one .npz file",
}


_SAVE_AGAIN = "save it again, or take it out; `on_error = skip`, which most data blocks can say, leaves such files out"


@contextmanager
def opened(path: Path, remedy: str = _SAVE_AGAIN) -> Iterator[Image.Image]:
    """A picture whose pixels are not read yet. Raises MTL602 where it is none, or its pixels turn out to be broken."""
    with importing("PIL"):
        from PIL import Image

    with whole_picture(f"`{path}`", remedy):
        if path.is_fifo() or path.is_char_device():
            raise ValueError("its reading may never end")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are no attack
            head = Image.open(path)
        with head as found:
            yield found


@contextmanager
def whole_picture(called: str, remedy: str) -> Iterator[None]:
    """What Pillow raises inside of a picture that is broken is MTL602, with what it is called."""
    with importing("PIL"):
        from PIL import Image
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        cause = f"{called} is no whole picture, or says that it has more pixels than any: {error}"
        raise MtlError.of("MTL602", cause, remedy) from error
    # SyntaxError and others are what Pillow raises for some damaged files
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise MtlError.of("MTL602", f"{called} is no whole picture{why}", remedy) from error


def size_of(found: Image.Image) -> tuple[int, int]:
    """Height and width of a picture as viewers show it."""
    width, height = found.size[::-1] if orientation_of(found) >= 5 else found.size
    return height, width


def orientation_of(found: Image.Image) -> int:
    """How the camera was held, by EXIF; 1 is upright."""
    return int(found.getexif().get(_ORIENTATION, 1))


def require_mode(path: Path | str, found: Image.Image, channels: int) -> None:
    """Hold that an image of so many channels follows from a picture. Raises MTL602."""
    if channels not in _MODES:
        cause = f"is a picture, but the input has {channels} channels"
        raise unfit(path, cause, "save the inputs as arrays in one .npz file")
    if found.mode not in _MODES[channels]:
        noun = "channel" if channels == 1 else "channels"
        cause = f"is of the kind {found.mode}, which does not say what {channels} {noun} are"
        raise unfit(path, cause, _REMEDIES[channels])


def upright_pixels(path: Path, found: Image.Image, channels: int) -> Pixels:
    """The pixels `(channels, h, w)`, uint8, or uint16 where there are 16 bits, upright. Raises MTL602 where the network
    would see a choice."""
    from PIL import ImageOps

    require_mode(path, found, channels)  # before the pixels are read
    return pixels_of(path, ImageOps.exif_transpose(found), channels)


def pixels_of(called: Path | str, found: Image.Image, channels: int) -> Pixels:
    """The same of a picture as it is held, which is `called` so in a report."""
    require_mode(called, found, channels)
    if found.mode in SIXTEEN_BITS:
        return np.asarray(found).astype(np.uint16)[None]
    if channels == 4:
        return _channels_first(np.asarray(found))
    if found.mode in ("LA", "PA", "RGBA") or "transparency" in found.info:
        alpha = np.asarray(found.convert("RGBA"))[..., 3]
        if alpha.min(initial=255) < 255:
            raise unfit(called, "is transparent in parts", "save it on the ground that it is to be seen on")
    return _channels_first(np.asarray(found.convert("L" if channels == 1 else "RGB")))


def _channels_first(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.moveaxis(np.atleast_3d(pixels), -1, 0).copy(order="C")  # Pillow's own may not be written to


def numbers_of(path: Path) -> NDArray[Any]:
    """The numbers `(h, w)` of a picture that holds one for each pixel, upright: gray ones of 8 or 16 bits, 0 and 255
    for black and white, the places in the palette where there is one. Raises MTL602 for colours, and for JPEG, which
    keeps no number as it was."""
    with opened(path) as found:
        from PIL import ImageOps

        if found.format == "JPEG":
            raise unfit(path, "is a JPEG, which keeps no number as it was", "save it as PNG, from what it was made of")
        upright = ImageOps.exif_transpose(found)
        if upright.mode in ("L", "P", *SIXTEEN_BITS):
            return np.array(upright)
        if upright.mode == "1":
            return np.array(upright.convert("L"))
        kind = upright.mode
    cause = f"is of the kind {kind}, which does not say which number each pixel has"
    raise unfit(path, cause, "save the numbers in gray of 8 or 16 bits, or as an .npy file")


def unfit(path: Path | str, what: str, remedy: str) -> MtlError:
    """The report MTL602 of a file, or of a picture that is called so."""
    return MtlError.of("MTL602", f"`{path}` {what}", remedy)
