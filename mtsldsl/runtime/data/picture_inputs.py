"""The pictures that samples have as inputs, as bytes: taken out, corrupted, and put in their place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Data
from mtsldsl.runtime.data.corruption import CHANNELS, LEAST, Corruption, corrupted
from mtsldsl.runtime.data.folder_samples import LARGE
from mtsldsl.runtime.data.parallel_reading import Processes
from mtsldsl.runtime.data.read_samples import LOOKED_AT, ReadSamples, Rows
from mtsldsl.runtime.data.samples import Samples

_CPU = torch.device("cpu")


def pictures_in(data: Data) -> tuple[str, ...]:
    """The inputs of a block that are pictures, of which there is one at least. Raises MTL815 where there is none, or
    one of channels that are no colours."""
    shapes = {name: shape for name, shape in data.inputs.items() if name not in data.ids and len(shape) == 3}
    for name, shape in (shapes or data.inputs).items():
        if name not in shapes or shape[0] not in CHANNELS:
            what = f"has {shape[0]} channels" if name in shapes else "is no picture"
            cause = f"`{name}({', '.join(map(str, shape))})` {what}: corruptions are of pictures of 1 or 3 channels"
            raise MtlError.of("MTL815", cause, "evaluate such runs without `--corruptions`", data.span)
    return tuple(shapes)


@attrs.frozen(eq=False)
class Pictures:
    """Those of one input of some samples, `(n, c, h, w)`; `rounded` where they were no bytes before. Equal ones have
    the same digest."""

    pixels: NDArray[np.uint8]
    rounded: bool
    digest: str

    @classmethod
    def of(cls, samples: Samples, name: str, called: str) -> Pictures:
        """Those of an input of samples that are `called` so in a report.

        Numbers from 0 to 1 are rounded to 255ths. Raises MTL815 where others are among them.
        """
        pixels = _room((len(samples), *samples.shape_of(name)))
        rounded, start = False, 0
        digest = sha256(str(pixels.shape).encode())
        for piece in samples.pieces(name, at_once=LOOKED_AT):
            given = piece[name]
            if given.dtype != torch.uint8:
                _require_unit(given, start, name, called)
                given, rounded = (given.float() * 255).round().to(torch.uint8), True
            pixels[start : start + len(given)] = given.numpy()
            digest.update(pixels[start : start + len(given)].data)
            start += len(given)
        return cls(pixels, rounded, digest.hexdigest())

    def notes(self, name: str) -> Iterator[str]:
        """What a person should know of how they were corrupted."""
        channels, height, width = self.pixels.shape[1:]
        if min(height, width) < LEAST:
            larger = f"{max(LEAST, height)} x {max(LEAST, width)}"
            yield (
                f"`{name}` is {height} x {width}, and corruptions are for {LEAST} pixels a side at least: "
                f"pictures were mirrored at their borders to {larger}, corrupted, and cut back"
            )
        if channels == 1:
            yield f"`{name}` is gray: three equal channels were corrupted, and the green one was kept"
        if self.rounded:
            yield f"`{name}` holds no bytes: its numbers were rounded to 255ths to be corrupted, and are not in `clean`"


@attrs.frozen(eq=False)
class PictureSets:
    """Sets of pictures by their digests, each once however many samples have them."""

    by_digest: dict[str, Pictures] = attrs.field(factory=dict)

    def corrupted(self, corruption: Corruption, processes: Processes) -> dict[str, Tensor]:
        """All of them, in memory of their own, made by these processes."""
        found = {digest: _room(each.pixels.shape) for digest, each in self.by_digest.items()}
        asked = [
            (corruption, digest, range(start, min(start + LOOKED_AT, len(pixels))))
            for digest, pixels in found.items()
            for start in range(0, len(pixels), LOOKED_AT)
        ]
        for (_, digest, numbers), part in zip(asked, processes.in_turn(self._corrupted, asked), strict=True):
            found[digest][numbers.start : numbers.stop] = part.numpy()
        return {digest: torch.from_numpy(pixels) for digest, pixels in found.items()}

    def _corrupted(self, asked: tuple[Corruption, str, range]) -> Tensor:
        corruption, digest, numbers = asked
        pixels = self.by_digest[digest].pixels[numbers.start : numbers.stop]
        return torch.from_numpy(corrupted(pixels, corruption, numbers))


def with_pictures(samples: Samples, pictures: Mapping[str, Tensor], kept: Mapping[str, str]) -> Samples:
    """The samples with other pictures, bytes `(n, c, h, w)` by the names of inputs. `kept` has names of further fields,
    each with the field that it is, as that was. All else is read as it was."""
    names = {**{name: name for name in samples.layout}, **kept}
    reader = _WithPictures(samples, pictures, names)
    layout = {name: samples.layout[field] for name, field in names.items()}
    return attrs.evolve(ReadSamples.of(reader, np.arange(len(samples)), layout), scales=samples.scales)


@attrs.frozen(eq=False)
class _WithPictures:
    """A `Reader` of samples with some fields taken from memory; `names` has of each field what the samples call it."""

    samples: Samples
    pictures: Mapping[str, Tensor]
    names: Mapping[str, str]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: self.samples.shape_of(field) for name, field in self.names.items()}

    def in_turn(
        self, lists: Sequence[Rows], fields: Sequence[str], key: tuple[int, int]
    ) -> Iterator[dict[str, Tensor]]:
        read = dict.fromkeys(self.names[name] for name in fields if name not in self.pictures)
        indices = [torch.from_numpy(rows) for rows in lists]
        others = self.samples.only(*read).gathered(indices, _CPU, key)
        for chosen, found in zip(indices, others, strict=True):
            yield {
                name: self.pictures[name][chosen] if name in self.pictures else found[self.names[name]]
                for name in fields
            }


def _room(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """For so many bytes: in memory, or where they are many in a file that goes with it."""
    if np.prod(shape, dtype=np.int64) <= LARGE:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _require_unit(given: Tensor, start: int, name: str, called: str) -> None:
    """Raise MTL815 for the first sample with numbers that do not lie from 0 to 1."""
    for place, numbers in enumerate(given):
        least, largest = (float(end) for end in torch.aminmax(numbers))
        if not 0 <= least <= largest <= 1:
            cause = (
                f"`{name}` has numbers from {least:.3g} to {largest:.3g} in sample {start + place} (from 0) of "
                f"{called}, and corruptions are of bytes, or of numbers from 0 to 1"
            )
            remedy = "save uint8, and let the network bring it to its scale, by `normalize` before the first layer"
            raise MtlError.of("MTL815", cause, remedy)
