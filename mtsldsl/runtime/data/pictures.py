"""Pictures in files as what networks read, and pictures at another size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.folders.picture_files import SIXTEEN_BITS, Pixels, opened, require_mode, size_of, unfit, upright_pixels
from mtsldsl.folders.picture_fit import AS_IT_IS, Fit, Size
from mtsldsl.ir.model import Data
from mtsldsl.runtime.data.gray_images import area_averaged


def fit_of(data: Data) -> Fit:
    """How a data block brings pictures to the size of its input."""
    return Fit(str(data.options.get("resize", "none")), str(data.options.get("crop", "none")))


def require_picture(path: Path, shape: tuple[int, int, int], *, resize: bool, fit: Fit | None = None) -> None:
    """Hold the head of a file, without its pixels, to the shape of one image. Raises MTL602 as `picture` does."""
    with opened(path) as found:
        require_mode(path, found, shape[0])
        size, wanted = size_of(found), shape[1:]
        if resize and found.mode in SIXTEEN_BITS:
            raise unfit(path, "has 16 bits, and is not resized here", "resize it, or save it with 8 bits")
    if not resize and not (fit or AS_IT_IS).fits(size, wanted):
        cause = f"is {size[0]} x {size[1]} (height x width), but the input is {wanted[0]} x {wanted[1]}"
        raise unfit(path, cause, "resize it, or give --resize" if fit is None else fit.remedy(size, wanted))


def picture(
    path: Path, shape: tuple[int, int, int], *, resize: bool = False, fit: Fit | None = None, ink: bool = False
) -> Pixels:
    """The pixels of a file, `shape` (channels, height, width): uint8, or uint16 where it has 16 bits; upright, as
    viewers show it; the other way round where it is `ink` on paper.

    A gray one has three equal channels where three are read. It is brought to the size as `fit` says, where a data
    block says it, by `resized_image`; with `resize` as the data sets of pictures do, whatever its sides are to each
    other. Raises MTL602, with the file, where it is no whole picture, has another size, or where what the network is to
    see would be a choice: colours for one channel, parts that are transparent.
    """
    require_picture(path, shape, resize=resize, fit=fit)
    with opened(path) as found:
        pixels = upright_pixels(path, found, shape[0])
    if ink:  # before it is resized, as averages are rounded
        pixels = np.iinfo(pixels.dtype).max - pixels
    if resize:
        return _resized(np.asarray(pixels, dtype=np.uint8), shape[1:])
    return fitted_pixels(pixels, fit, shape[1:]) if fit else pixels


def fitted_pixels(pixels: Pixels, fit: Fit, wanted: Size) -> Pixels:
    """An image `(c, h, w)` at the size that is wanted, to which `fit` brings it."""
    size = fit.resized((pixels.shape[1], pixels.shape[2]), wanted)
    whole = resized_image(torch.from_numpy(pixels), size).numpy()
    row, column = fit.corner(size, wanted)
    return np.ascontiguousarray(whole[:, row : row + wanted[0], column : column + wanted[1]])


def fitted_numbers(numbers: NDArray[np.generic], fit: Fit, wanted: Size) -> NDArray[np.generic]:
    """Numbers `(..., h, w)` of the places of an image, moved as `fitted_pixels` moves it: each takes the nearest."""
    size = fit.resized((numbers.shape[-2], numbers.shape[-1]), wanted)
    row, column = fit.corner(size, wanted)
    rows, columns = (_sources(old, new).numpy() for old, new in zip(numbers.shape[-2:], size, strict=True))
    return numbers[..., rows[row : row + wanted[0], None], columns[column : column + wanted[1]]]


def as_tensor(pixels: Pixels) -> Tensor:
    """Pixels as samples hold them: those of 8 bits as they are, those of 16 divided by 65535."""
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels)
    return torch.from_numpy(pixels.astype(np.float32)) / np.iinfo(np.uint16).max


def _resized(pixels: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """As the data sets of gray pictures, and those of colour pictures, bring theirs to the size of the input."""
    height, width = size
    if len(pixels) == 1:
        return area_averaged(pixels, (height, width))
    found: NDArray[np.uint8] = resized_image(torch.from_numpy(pixels), (height, width)).numpy()
    return found


def resized_image(image: Tensor, size: Size) -> Tensor:
    """A uint8 or uint16 image `(c, h, w)` at another size: bilinear, and averaged where it shrinks."""
    if tuple(image.shape[-2:]) == size:
        return image
    smooth = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True, align_corners=False)[0]
    return smooth.round().clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def nearest(values: Tensor, size: Size) -> Tensor:
    """`(..., h, w)` at another size, each pixel the nearest one of `values`."""
    rows, columns = (_sources(old, new) for old, new in zip(values.shape[-2:], size, strict=True))
    return values[..., rows[:, None], columns]


def _sources(old: int, new: int) -> Tensor:
    return ((torch.arange(new) + 0.5) * (old / new)).floor().long()
