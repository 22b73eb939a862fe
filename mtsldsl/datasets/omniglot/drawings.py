"""The layouts in which Omniglot is kept on disk: two `.npz` files, and the folders that are published.

A file has a row for each drawing: `alphabet` (a number, whose name is in `alphabet_names`), `character` (from 0, in its
alphabet), `drawer`, and either `images`, uint8 with ink = 255, or `bits`, 105 x 105 pixels of one bit, ink = 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.omniglot.language import CHARACTERS, KIND
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.counted import counted
from mtsldsl.folders.picture_files import SIXTEEN_BITS, opened, unfit
from mtsldsl.runtime.data.npz_files import opened_npz, read_arrays

SMALL, LARGE = "omniglot_28.npz", "omniglot_105_bits.npz"
FOLDERS = ("images_background", "images_evaluation")
DRAWERS = 20
"""Everybody drew every character once."""

_MOST = 1000
"""Characters, which no alphabet has."""

_SIDE = 105
"""Pixels of a row of `bits`."""

Images: TypeAlias = NDArray[np.uint8]
Drawings: TypeAlias = Mapping[str, Images]
"""Alphabet to its drawings `(characters * DRAWERS, h, w)`, by character and then by drawer, ink = 255."""


def source_of(place: Path, size: tuple[int, int]) -> Path:
    """The file, or the folder of folders, that images of a size are best made of. Raises MTL602 where there is none."""
    if not place.is_dir():
        return place
    small, large = place / SMALL, place / LARGE
    folder = place if any((place / name).is_dir() for name in FOLDERS) else None
    wanted = (small, large, folder) if size == (28, 28) else (large, folder, small)
    for source in wanted:
        if source is not None and source.exists():
            return source
    cause = f"`{place}` holds neither {FOLDERS[0]}, nor {SMALL}, nor {LARGE}"
    raise MtlError.of("MTL602", cause, KIND.remedy)


def drawings_of(source: Path, alphabets: Sequence[str]) -> Drawings:
    """The drawings of some alphabets, by their official names. Raises MTL602 for what is missing or damaged."""
    return _of_folders(source, alphabets) if source.is_dir() else _of_file(source, alphabets)


def _of_file(path: Path, alphabets: Sequence[str]) -> Drawings:
    with opened_npz(path, KIND.remedy) as file:
        pixels = "bits" if "bits" in file.files else "images"
        names = (pixels, "alphabet", "character", "drawer", "alphabet_names")
        rows, alphabet, character, drawer, known = read_arrays(path, file, names, KIND.remedy)
    packed = -(-_SIDE * _SIDE // 8)
    columns = (alphabet, character, drawer)
    fits = rows.shape[1:] == (packed,) if pixels == "bits" else rows.ndim == 3
    fits &= all(column.shape == rows.shape[:1] and column.dtype.kind in "iu" for column in columns)
    if rows.dtype != np.uint8 or not fits or not ((character >= 0) & (character < _MOST)).all():
        raise MtlError.of("MTL602", f"`{path}` does not hold the arrays of Omniglot", KIND.remedy)
    found = {}
    for name in alphabets:
        (number,) = numbers if len(numbers := np.flatnonzero(known == name)) == 1 else (-1,)
        own = np.flatnonzero(alphabet == number)
        own = own[np.lexsort((drawer[own], character[own]))]
        _require_all(path, name, np.bincount(character[own]).tolist() if own.size else [])
        found[name] = _unpacked(rows[own]) if pixels == "bits" else rows[own]
    return found


def _unpacked(bits: Images) -> Images:
    return np.unpackbits(bits, axis=1, count=_SIDE * _SIDE).reshape(-1, _SIDE, _SIDE) * np.uint8(255)


def _of_folders(place: Path, alphabets: Sequence[str]) -> Drawings:
    found = {}
    for name in alphabets:
        images = [_picture(path) for path in pictures_of(place, name)]
        if len({image.shape for image in images}) > 1:
            raise MtlError.of("MTL602", f"the pictures of `{name}` in `{place}` differ in size", KIND.remedy)
        found[name] = np.stack(images)
    return found


def pictures_of(place: Path, alphabet: str) -> list[Path]:
    """The pictures of an alphabet, by character and then by drawer. Raises MTL602 where some are missing."""
    characters: dict[str, list[Path]] = {}
    for folder in FOLDERS:
        for path in sorted((place / folder / alphabet).glob("*/*.png")):
            characters.setdefault(path.parent.name, []).append(path)
    _require_all(place, alphabet, [len(paths) for paths in characters.values()])
    return [path for name in sorted(characters) for path in characters[name]]


def _require_all(place: Path, alphabet: str, drawings: list[int]) -> None:
    """Raises MTL602 unless each character of the alphabet has its number of drawings."""
    characters = CHARACTERS[alphabet]
    if not drawings:
        raise MtlError.of("MTL602", f"`{place}` has no drawings of `{alphabet}`", KIND.remedy)
    if drawings != [DRAWERS] * characters:
        cause = (
            f"`{place}` has {counted(sum(drawings), 'drawing')} of {counted(len(drawings), 'character')} of "
            f"`{alphabet}`, not {DRAWERS} of each of its {characters}"
        )
        raise MtlError.of("MTL602", cause, KIND.remedy)


def _picture(path: Path) -> Images:
    """A picture with black ink on white as ink = 255 on 0."""
    with opened(path, KIND.remedy) as picture:
        if picture.mode in SIXTEEN_BITS:
            raise unfit(path, "has 16 bits, and all drawings have 1 or 8", KIND.remedy)
        return 255 - np.asarray(picture.convert("L"), dtype=np.uint8)
