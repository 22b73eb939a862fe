"""How a picture becomes the input of an exported network, in words and as Python for whoever has the file alone."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.datasets.registry import data_kind
from mtsldsl.folders.picture_fit import Fit
from mtsldsl.ir.model import Data
from mtsldsl.runtime.data.pictures import fit_of

_MODES: Mapping[int, str] = {1: "L", 3: "RGB", 4: "RGBA"}
"""What Pillow calls pictures of so many channels."""


def picture_recipe(data: Data, name: str) -> str:
    """Markdown for an input that is a picture."""
    channels, *_ = data.inputs[name]
    colours = {1: "gray", 3: "red, green and blue", 4: "red, green, blue and alpha"}
    what = f"`{name}` is a picture, (channels, height, width)"
    order = f": {colours[channels]}" if channels in colours else ""
    kind = data_kind(data.kind)
    if kind.ink:
        return f"{what}{order}, of ink on paper: 1 where there is ink, and 0 where there is none.\n"
    scaled = "whole numbers of 8 bits are divided by 255, those of 16 bits by 65535"
    if kind.as_saved:
        return f"{what}, as it was saved: {scaled}, and float is taken as it is.\n"
    text = f"{what}{order}; {scaled}.\n"
    if kind.opened and channels in _MODES:
        text += f"\n```python\n{_python(data, name)}```\n"
    return text


def _python(data: Data, name: str) -> str:
    """From a file to a batch of one; the same as in training to a rounding of 1 / 255."""
    fit = fit_of(data)
    channels, high, wide = data.inputs[name]
    return f"""\
import numpy as np
import torch
from PIL import Image, ImageOps

picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("{_MODES[channels]}")
pixels = np.array(picture).reshape(picture.height, picture.width, {channels})
pixels = torch.from_numpy(pixels).movedim(-1, 0)[None].float()
{_resizing(fit, high, wide)}{_cropping(fit, high, wide)}\
{name} = (pixels.round().clamp(0, 255) / 255).numpy()  # (1, {channels}, {high}, {wide})
"""


def _resizing(fit: Fit, high: int, wide: int) -> str:
    interpolated = 'torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)\n'
    if fit.resize == "none":
        return ""
    if fit.resize == "stretch":
        return f"size = ({high}, {wide})\npixels = {interpolated}"
    return f"""\
height, width = pixels.shape[2:]
if {high} * width >= {wide} * height:
    size = ({high}, max({wide}, (2 * width * {high} + height) // (2 * height)))
else:
    size = (max({high}, (2 * height * {wide} + width) // (2 * width)), {wide})
pixels = {interpolated}"""


def _cropping(fit: Fit, high: int, wide: int) -> str:
    if fit.crop == "none":
        return ""
    return f"""\
row, column = (pixels.shape[2] - {high}) // 2, (pixels.shape[3] - {wide}) // 2
pixels = pixels[:, :, row : row + {high}, column : column + {wide}]
"""
