"""Which samples of an archive of arrays are for training, for validation and for the test."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from mtsldsl.datasets.arrays.language import Settings
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.division import SPLITS, Shares
from mtsldsl.runtime.data.npz_files import UNREADABLE, Arrays, array_in, is_of_objects, why_unreadable
from mtsldsl.tables.sample_parts import Mark, Marks, Rows, parted, word_of_entry


def parted_samples(path: Path, file: Arrays, counts: Mapping[str, int], chosen: Settings) -> dict[str, Rows]:
    """The samples of the splits among those of the arrays that they are taken from; a split is absent that is all of
    its own arrays. `counts` has how many samples there are behind each beginning of the arrays' names: one such is the
    whole, or they are those of training, of validation, where it has arrays of its own, and of the test.

    Raises MtlError as `parted` does; MTL603 for an array that is missing, MTL602 for one that has not one entry for
    each sample.
    """
    marks = Marks(*(_mark(path, file, counts, name) for name in (chosen.split, chosen.group, chosen.stratify)))
    ends = np.cumsum([0, *counts.values()])
    every = [np.arange(start, end) for start, end in pairwise(ends)]
    given = None
    if len(counts) > 1:
        if marks.split is not None:
            first, second, *_ = counts
            cause = f"{marks.split.called} says which part samples are in, and so do names as `{first}` and `{second}`"
            raise MtlError.of("MTL602", cause, "leave `split` out, or name the arrays without a split")
        names = SPLITS if len(counts) == len(SPLITS) else ("train", "test")
        given = dict(zip(names, every, strict=True))
    shares = Shares(chosen.validation, chosen.test, chosen.train_samples, chosen.seed)
    found = parted(f"`{path}`", int(ends[-1]), marks, shares, given=given)
    if given is None:
        return found
    own = [split for split in given if split != "train" or shares.train_samples is None]
    if "validation" not in given:
        own = ["test"]
    return {split: rows for split, rows in found.items() if split not in own}


def _mark(path: Path, file: Arrays, counts: Mapping[str, int], name: str | None) -> Mark | None:
    """What an array of that name says of each sample, over all beginnings of names."""
    if name is None:
        return None
    words: list[str] = []
    places: list[tuple[str, int]] = []
    for prefix, count in counts.items():
        found = _words(path, file, f"{prefix}{name}", count)
        words += found
        places += [(f"`{prefix}{name}` of `{path}`", row) for row in range(count)]
    called = places[0][0] if places else f"`{name}` of `{path}`"

    def place(row: int) -> str:
        array, inner = places[row]
        return f"row {inner} (from 0) of {array}"

    return Mark.of_entries(called, words, place)


def _words(path: Path, file: Arrays, name: str, count: int) -> list[str]:
    """A word for each sample."""
    if name not in file.files:
        raise MtlError.of("MTL603", f"`{path}` has no array `{name}`", suggestion(name, file.files, "arrays"))
    try:
        array = np.asarray(array_in(file, name))
    except UNREADABLE as error:
        called, as_text = f"`{name}` of `{path}`", "save names as text: `array.astype(str)`"
        if is_of_objects(error):
            raise MtlError.of("MTL602", f"{called} is an array of objects", as_text) from error
        raise MtlError.of("MTL602", f"{called} cannot be read{why_unreadable(error)}", "save it again") from error
    if array.size != count or array.shape[:1] != (count,):
        sizes = " x ".join(map(str, array.shape))
        cause = f"`{name}` of `{path}` is {sizes}, and there are {count} samples of which it is to say one thing each"
        hot = array.ndim == 2 and len(array) == count
        remedy = "save class numbers in place of one-hot labels: `array.argmax(axis=1)`" if hot else "save one for each"
        raise MtlError.of("MTL602", cause, remedy)
    return [word_of_entry(entry) for entry in array.reshape(count).tolist()]
