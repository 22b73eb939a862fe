"""Samples of a person's own Dataset, whose items are dicts: each is held against the spec as it is read.

What an item draws from the random numbers of Python, numpy's global ones and torch's depends on seed, epoch and the
item's number alone, so that it is the same in whatever order and by however many processes items are read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from traceback import extract_tb
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mtsldsl.diagnostics import Diagnostic, MtlError, Span
from mtsldsl.diagnostics.own_code import file_of, said
from mtsldsl.folders.picture_files import pixels_of
from mtsldsl.runtime.data.array_columns import Array
from mtsldsl.runtime.data.array_fields import of_one_sample
from mtsldsl.runtime.data.array_labels import MISSING
from mtsldsl.runtime.data.array_shapes import Expected, of_one_length
from mtsldsl.runtime.data.drawing_apart import draw_from, drawing_apart
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.parallel_reading import Asked, Processes
from mtsldsl.runtime.data.read_samples import FIRST, LOOKED_AT, SMALL, Rows
from mtsldsl.seeds import torch_seed_of
from mtsldsl.tables.sample_parts import word_of_entry

Read: TypeAlias = dict[str, Tensor]


@attrs.frozen
class Wanted:
    """A field as the spec wants it, and who reads it: `the input`, or a task, with its place in the spec."""

    expected: Expected
    whose: str
    span: Span | None

    @property
    def optional(self) -> bool:
        """Whether a sample may be without it."""
        return self.expected.target is not None

    def missing(self) -> Tensor:
        """What stands for a label that a sample does not have."""
        if self.expected.kind is FieldKind.LABEL:
            return torch.full(self.expected.shape, MISSING, dtype=torch.int64)
        return torch.full(self.expected.shape, torch.nan)


@attrs.frozen(eq=False)
class Survey:
    """What was found when all items were read once: the numbers of those that fit, the small fields of all of them, of
    what type the images are, and what is wrong with each of the others."""

    rows: Rows
    known: Mapping[str, Tensor]
    types: Mapping[str, torch.dtype]
    unfit: Mapping[int, Diagnostic]
    words: Mapping[str, Sequence[str | None]]
    """What the keys that say something of each item say, and None of an item that cannot be read."""
    seconds: float
    """How long one item takes, in the mean."""


@attrs.frozen
class _Seen:
    """What is kept of an item that was looked at, and what is wrong with it."""

    small: Read = attrs.field(factory=dict)
    types: Mapping[str, torch.dtype] = attrs.field(factory=dict)
    words: Mapping[str, str] = attrs.field(factory=dict)
    wrong: Diagnostic | None = None
    seconds: float = 0.0


@attrs.frozen(eq=False)
class OwnReader:
    """Reads the items of a Dataset, which is `called` so in reports.

    Raises MtlError MTL607 for an item that cannot be read, or does not fit the spec.
    """

    dataset: Any
    called: str
    wanted: Mapping[str, Wanted]
    span: Span | None
    types: Mapping[str, torch.dtype] = attrs.field(factory=dict)
    """Those that images have, where that is known."""
    marks: tuple[str, ...] = ()
    """Keys of an item that say something of it, as which part it is in."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What one sample has of each field."""
        return {name: each.expected.shape for name, each in self.wanted.items()}

    def survey(self, processes: Processes, batch: int, *, skip: bool) -> Survey:
        """Read every item once, as it is before training: the first ones here, the others by processes where that is
        worth while for a batch of such. Raises MtlError at the first that does not fit, but with `skip`."""
        count = len(self.dataset)
        lists = [np.arange(start, min(start + LOOKED_AT, count)) for start in range(0, count, LOOKED_AT)]
        known = {name: self.wanted[name].missing().expand(count, *shape).clone() for name, shape in self._small()}
        types: dict[str, torch.dtype] = {}
        unfit: dict[int, Diagnostic] = {}
        words: dict[str, list[str | None]] = {key: [None] * count for key in self.marks}
        seconds = 0.0
        for rows, found in zip(lists, self._looked_at_by(processes, lists, batch), strict=True):
            seconds += sum(seen.seconds for seen in found)
            for row, seen in zip(rows.tolist(), found, strict=True):
                if not types:
                    types.update(seen.types)
                wrong = seen.wrong or self._other_type(row, seen.types, types)
                if wrong is not None and not skip:
                    raise MtlError([wrong])
                for key, word in seen.words.items():
                    words[key][row] = word
                if wrong is not None:
                    unfit[row] = wrong
                else:
                    for name, values in seen.small.items():
                        known[name][row] = values
        rows = np.setdiff1d(np.arange(count), np.fromiter(unfit, np.int64, len(unfit)))
        return Survey(rows, known, types, unfit, words, seconds / max(count, 1))

    def keys(self) -> list[str]:
        """The keys of the first item, where it can be read."""
        with drawing_apart():
            try:
                return list(map(str, self._item(0, FIRST)))
            except MtlError:
                return []

    def _small(self) -> list[tuple[str, tuple[int, ...]]]:
        """The targets of which a sample has little, with their shapes."""
        targets = [(name, each.expected.shape) for name, each in self.wanted.items() if each.optional]
        return [(name, shape) for name, shape in targets if math.prod(shape) <= SMALL]

    def _looked_at_by(self, processes: Processes, lists: Sequence[Rows], batch: int) -> Iterator[list[_Seen]]:
        for first in map(self._looked_at, lists[:1]):
            yield first
            typical = median(seen.seconds for seen in first)  # the first of all may load what the others have
            yield from processes.worth_while(typical, batch).in_turn(self._looked_at, lists[1:])

    def _looked_at(self, rows: Rows) -> list[_Seen]:
        small = dict(self._small())
        seen: list[_Seen] = []
        with drawing_apart():
            for row in rows.tolist():
                words: dict[str, str] = {}
                start = time.perf_counter()
                try:
                    item = self._item(row, FIRST)
                    words |= {key: self._word(row, key, item) for key in self.marks}
                    found = self._fields(row, tuple(self.wanted), item)
                except MtlError as error:
                    seen.append(_Seen(words=words, wrong=error.diagnostics[0], seconds=time.perf_counter() - start))
                else:
                    types = {name: each.dtype for name, each in found.items() if not self.wanted[name].optional}
                    taken = time.perf_counter() - start
                    seen.append(_Seen({name: found[name] for name in small}, types, words, seconds=taken))
        return seen

    def _word(self, row: int, key: str, item: Mapping[Any, Any]) -> str:
        """What an item says by a key: nothing where it has none, or None."""
        value = item.get(key)
        if value is None:
            return ""
        if isinstance(value, str | bytes):
            return word_of_entry(value)
        number = isinstance(value, Tensor | np.ndarray | np.generic | int | float)
        entry = np.asarray(value if number else None)
        if entry.size != 1 or entry.dtype.kind not in "biufSU":
            sizes = " x ".join(map(str, entry.shape))
            what = f"an array of {sizes}" if sizes else f"a {type(value).__name__}"
            cause = f"`{key}` is {what}, where one name or number says something of the sample"
            raise MtlError([self._unfit(row, None, cause, "return text or a number")])
        return word_of_entry(entry.item())

    def stacked(self, asked: Asked) -> Read:
        """These fields of the items."""
        rows, fields, key = asked
        with drawing_apart():
            found = [self._sample(row, fields, key) for row in rows.tolist()]
        return {name: torch.stack([each[name] for each in found]) for name in fields}

    def _sample(self, row: int, fields: Sequence[str], key: tuple[int, int]) -> Read:
        return self._fields(row, fields, self._item(row, key))

    def _fields(self, row: int, fields: Sequence[str], item: Mapping[Any, Any]) -> Read:
        found = {name: self._field(row, name, item) for name in fields}
        wrong = self._other_type(row, {name: each.dtype for name, each in found.items()}, self.types)
        if wrong is not None:
            raise MtlError([wrong])
        return found

    def _item(self, row: int, key: tuple[int, int]) -> Mapping[Any, Any]:
        draw_from(torch_seed_of("item", *key, row))
        try:
            item = self.dataset[row]
        except (Exception, SystemExit) as error:  # whatever a person's code raises is said of the item
            cause = f"it cannot be read: {said(error)}{self._where(error)}"
            raise MtlError([self._unfit(row, None, cause, "mend the file or the code that reads it")]) from error
        if not isinstance(item, Mapping):
            cause = f"it is a {type(item).__name__}, where a dict of fields by their names is wanted"
            names = ", ".join(f'"{name}": ...' for name in self.wanted)
            raise MtlError([self._unfit(row, None, cause, f"return {{{names}}}")])
        return item

    def _field(self, row: int, name: str, item: Mapping[Any, Any]) -> Tensor:
        wanted, value = self.wanted[name], item.get(name)
        if value is None and wanted.optional:
            return wanted.missing()
        if value is None:
            keys = ", ".join(f"`{key}`" for key in item)
            raise MtlError([self._unfit(row, wanted, f"it has no `{name}`, but {keys}", "every sample needs an input")])
        try:
            found = of_one_sample(f"`{name}`", _array(name, value, wanted.expected), wanted.expected)
        except MtlError as error:
            (wrong,) = error.diagnostics
            unfit = self._unfit(row, wanted, wrong.cause, str(wrong.remedy))
            raise MtlError([attrs.evolve(unfit, span=wrong.span or unfit.span)]) from error
        except (ValueError, TypeError) as error:
            cause, remedy = f"`{name}` is no array of numbers: {said(error)}", "return a tensor or an array"
            if _of_several_sizes(value):
                cause = f"`{name}` is no array of numbers, but a list of parts of several sizes"
                remedy = of_one_length(wanted.expected) or "pad or cut them to one size"
            raise MtlError([self._unfit(row, wanted, cause, remedy)]) from error
        return found.long() if wanted.expected.kind is FieldKind.LABEL else found

    def _other_type(
        self, row: int, found: Mapping[str, torch.dtype], known: Mapping[str, torch.dtype]
    ) -> Diagnostic | None:
        """What is wrong with images that are scaled otherwise than others."""
        for name, dtype in known.items():
            if found.get(name, dtype) != dtype:
                own, other = (str(each).removeprefix("torch.") for each in (found[name], dtype))
                cause = f"`{name}` holds {own}, where that of other samples holds {other}"
                return self._unfit(row, self.wanted[name], cause, "return one type for all: uint8 is divided by 255")
        return None

    def _unfit(self, row: int, wanted: Wanted | None, cause: str, remedy: str) -> Diagnostic:
        whose = "" if wanted is None else f", which {wanted.whose} reads"
        cause = f"sample {row} (from 0) of {self.called}{whose}: {cause}"
        remedy = f"{remedy}; or leave such samples out with `on_error = skip`"
        return MtlError.of("MTL607", cause, remedy, self.span if wanted is None else wanted.span).diagnostics[0]

    def _where(self, error: BaseException) -> str:
        """The line of the Dataset's own module that raised it."""
        own = file_of(type(self.dataset))
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if own and frame.filename == own]
        return f" ({own}:{lines[-1]})" if lines else ""


def _of_several_sizes(value: Any) -> bool:
    """Whether it is a list of what differs in size, or has such a list in it."""
    if not isinstance(value, list | tuple):
        return False
    return any(map(_of_several_sizes, value)) or len({tuple(np.shape(each)) for each in value}) > 1


def _array(name: str, value: Any, expected: Expected) -> Array:
    """A value of an item as an array; pictures of Pillow with their channels first, those of the input as files of
    pictures are read. Raises MTL602 as `pixels_of` does."""
    if isinstance(value, Tensor):
        return np.asarray((value.float() if value.dtype == torch.bfloat16 else value).detach().cpu().numpy())
    if isinstance(value, Image.Image):
        if expected.target is None and len(expected.shape) == 3 and value.mode in _PICTURES:
            return _pixels(name, value, expected.shape[0])
        pixels = np.asarray(value)
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return np.asarray(value)


_PICTURES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def _pixels(name: str, picture: Image.Image, channels: int) -> Array:
    try:
        return pixels_of(name, picture, channels)
    except MtlError as error:
        mode = _MODES.get(channels)
        remedy = f'give what is to be seen, such as `picture.convert("{mode}")`' if mode else "give an array"
        raise MtlError.of("MTL602", error.diagnostics[0].cause, remedy) from error
