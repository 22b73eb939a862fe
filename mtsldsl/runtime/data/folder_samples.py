"""The images of a folder and the files beside them as samples: all are looked at once, and where they are many they are
decoded anew when their batch comes."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import Diagnostic, MtlError
from mtsldsl.folders.folder_table import FolderTable
from mtsldsl.folders.picture_files import SIXTEEN_BITS, opened, orientation_of, size_of
from mtsldsl.folders.picture_fit import Fit
from mtsldsl.runtime.data.array_remarks import Extent
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.kept_splits import Fields
from mtsldsl.runtime.data.parallel_reading import Asked, Processes, seconds_of
from mtsldsl.runtime.data.pictures import as_tensor, picture
from mtsldsl.runtime.data.read_samples import LOOKED_AT, SMALL, Rows
from mtsldsl.runtime.data.target_files import TargetFiles

LARGE = 2**30
"""Bytes of decoded samples above which only small targets are kept in memory."""


@attrs.frozen(eq=False)
class Beside:
    """The files of a field: how they are read, and which one goes with each image, None where there is none."""

    files: TargetFiles
    paths: Sequence[str | None]


@attrs.frozen
class _Seen:
    """What is kept of a sample that was looked at, the types of all its fields, and what there is to say of these."""

    kept: Mapping[str, NDArray[Any]]
    types: Mapping[str, torch.dtype]
    extents: Mapping[str, Extent]
    turned: Sequence[str]


_Looked: TypeAlias = _Seen | tuple[Diagnostic, ...]


@attrs.frozen(eq=False)
class Images:
    """The images, which are called `input`, and the files beside them, by the names of fields."""

    input: str
    found: FolderTable
    folder: Path
    shape: tuple[int, ...]
    fit: Fit
    targets: Mapping[str, Beside]
    skip: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The fields: the input, and the targets that are files."""
        return (self.input, *self.targets)

    def facts(self) -> tuple[object, ...]:
        """What besides files and sizes decides what is decoded."""
        read = [(each.files.expected, each.files.unit, tuple(each.paths)) for each in self.targets.values()]
        return tuple(image.path for image in self.found.images), str(read), self.skip

    def every_file(self) -> dict[str, Path]:
        """The files that are read, by their paths from the folder."""
        paths = [image.path for image in self.found.images]
        paths += [path for each in self.targets.values() for path in each.paths if path is not None]
        return {path: self.folder / path for path in paths}

    def in_memory(self, rows: Sequence[int]) -> tuple[str, ...]:
        """The fields of which the samples of these images are kept in memory: all, or where they are large small
        targets alone. Nothing is decoded for that."""
        expected = {name: each.files.expected for name, each in self.targets.items()}
        sizes = [math.prod(each.shape) * (1 if each.kind is FieldKind.LABEL else 4) for each in expected.values()]
        one = math.prod(self.shape) * (4 if self._has_16_bits(rows) else 1) + sum(sizes)
        if len(rows) * one <= LARGE:
            return self.names
        return tuple(name for name, each in expected.items() if math.prod(each.shape) <= SMALL)

    def _has_16_bits(self, rows: Sequence[int]) -> bool:
        """Whether the first of these images that is a picture has."""
        for row in rows:
            with suppress(MtlError), opened(self.folder / self.found.images[row].path) as head:
                return head.mode in SIXTEEN_BITS
        return False

    def decoded(self, rows: Mapping[str, Sequence[int]], kept: Collection[str], processes: Processes) -> Fields:
        """Split to the fields that are `kept`, by their places among the names, and to the number of the image of each
        sample, `rows`; and `about`, in which `text` says in JSON which images were `broken`, with the reason, which
        files lie beside images that were `turned` upright, the `types` of all fields and the `extents` of targets."""
        broken: dict[int, str] = {}
        turned: list[str] = []
        types: dict[str, dict[str, str]] = {}
        extents: dict[str, Extent] = {}
        fields: Fields = {}
        first: tuple[str, torch.dtype] | None = None
        look = partial(self._looked_at, kept=tuple(kept))
        for split, wanted in rows.items():
            parts = {name: _Stack(len(wanted)) for name in self.names}
            sound: list[int] = []
            lists = [wanted[start : start + LOOKED_AT] for start in range(0, len(wanted), LOOKED_AT)]
            looked = (seen for each in processes.in_turn(look, lists) for seen in each)
            for row, seen in zip(wanted, looked, strict=True):
                path = self.found.images[row].path
                wrong = seen if isinstance(seen, tuple) else self._other_bits(path, seen.types[self.input], first)
                if wrong and not (self.skip and wrong[0].code == "MTL602"):
                    raise MtlError(wrong)
                if wrong or isinstance(seen, tuple):
                    broken[row] = wrong[0].cause
                    continue
                first = first or (path, seen.types[self.input])
                turned += seen.turned
                for name, part in parts.items():
                    part.put(len(sound), seen.types[name], seen.kept.get(name))
                for name, extent in seen.extents.items():
                    extents[name] = extents.get(name, Extent()).with_other(extent)
                sound.append(row)
            types[split] = {name: str(part.dtype).removeprefix("torch.") for name, part in parts.items() if sound}
            places = {name: str(place) for place, name in enumerate(self.names) if name in kept}
            fields[split] = {place: parts[name].first(len(sound)) for name, place in places.items()}
            fields[split]["rows"] = torch.tensor(sound, dtype=torch.int64)
        told = {name: attrs.astuple(extent) for name, extent in extents.items()}
        text = json.dumps({"broken": broken, "turned": turned, "types": types, "extents": told}).encode()
        return {**fields, "about": {"text": torch.frombuffer(bytearray(text), dtype=torch.uint8)}}

    def seconds(self, rows: Sequence[int]) -> float:
        """How long it takes to decode one of these, by the first ones."""
        look = partial(self._looked_at, kept=())
        return seconds_of(look, [[row] for row in rows[:LOOKED_AT]])

    def _looked_at(self, rows: Sequence[int], kept: Collection[str]) -> list[_Looked]:
        looked: list[_Looked] = []
        for row in rows:
            turned: list[str] = []
            try:
                found = self.sample(row, self.names, turned)
            except MtlError as error:
                looked.append(tuple(error.diagnostics))
                continue
            types = {name: each.dtype for name, each in found.items()}
            extents = {name: Extent.of(found[name]) for name in self.targets if found[name].is_floating_point()}
            # as arrays, of which no file is open while they are handed on
            looked.append(_Seen({name: found[name].numpy() for name in kept}, types, extents, turned))
        return looked

    def _other_bits(
        self, path: str, dtype: torch.dtype, first: tuple[str, torch.dtype] | None
    ) -> tuple[Diagnostic, ...]:
        """What is wrong with an image that is scaled otherwise than the first."""
        if first is None or dtype == first[1]:
            return ()
        own, other = (8, 16) if dtype == torch.uint8 else (16, 8)
        cause = f"`{self.folder / path}` has {own} bits, where `{first[0]}` has {other}"
        return tuple(MtlError.of("MTL602", cause, "save all images with as many bits").diagnostics)

    def sample(self, row: int, names: Collection[str], turned: list[str]) -> dict[str, Tensor]:
        """These fields of an image. Files beside one that was turned upright are noted. Raises MTL602."""
        path = self.folder / self.found.images[row].path
        channels, height, width = self.shape
        tensors = {}
        if self.input in names:
            tensors[self.input] = as_tensor(picture(path, (channels, height, width), fit=self.fit))
        targets = {name: each for name, each in self.targets.items() if name in names}
        if targets:
            with opened(path) as head:
                size, upright = size_of(head), orientation_of(head) == 1
            for name, each in targets.items():
                beside = each.paths[row]
                read = each.files.missing() if beside is None else each.files.read(self.folder / beside, size)
                tensors[name] = read
                if beside is not None and each.files.places and not upright:
                    turned.append(beside)
        return tensors


@attrs.frozen(eq=False)
class ImageReader:
    """Reads samples of a split, of which `rows` are the numbers of their images. What is `known` of all of them is in
    memory; of the others `types` has what all come to.

    Raises MtlError MTL602 for a file that is no longer what it was when all were looked at.
    """

    images: Images
    rows: Rows
    shapes: Mapping[str, tuple[int, ...]]
    known: Mapping[str, Tensor]
    types: Mapping[str, torch.dtype]

    def stacked(self, asked: Asked) -> dict[str, Tensor]:
        """These fields of the samples."""
        places, fields, _ = asked
        read = [name for name in fields if name not in self.known]
        found = [self._sample(row, read) for row in self.rows[places].tolist()] if read else []
        return {
            name: torch.stack([each[name] for each in found]) if name in read else self.known[name][places]
            for name in fields
        }

    def _sample(self, row: int, names: Sequence[str]) -> dict[str, Tensor]:
        found = self.images.sample(row, names, [])
        for name, tensor in found.items():
            wanted = self.types[name]
            wider = tensor.dtype if name == self.images.input else torch.promote_types(tensor.dtype, wanted)
            if wider != wanted:
                path = self.images.folder / self.images.found.images[row].path
                cause = f"`{path}` or a file beside it was written to since all were looked at"
                raise MtlError.of("MTL602", cause, "start anew, so that what is counted is what is learned")
        return {name: tensor.to(self.types[name]) for name, tensor in found.items()}


@attrs.define(eq=False)
class _Stack:
    """Values of one shape, along a first dimension of a length that is known; of several types as the widest. Of some
    no more than the type is kept."""

    length: int
    dtype: torch.dtype | None = None
    tensor: Tensor | None = None

    def put(self, place: int, dtype: torch.dtype, values: NDArray[Any] | None) -> None:
        self.dtype = dtype if self.dtype is None else torch.promote_types(self.dtype, dtype)
        if values is None:
            return
        if self.tensor is None:
            self.tensor = torch.empty((self.length, *values.shape), dtype=self.dtype)
        if self.tensor.dtype != self.dtype:
            self.tensor = self.tensor.to(self.dtype)
        self.tensor[place] = torch.from_numpy(values)

    def first(self, count: int) -> Tensor:
        if self.tensor is None:
            return torch.empty(0)
        return self.tensor if count == self.length else self.tensor[:count].clone()
