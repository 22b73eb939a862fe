"""Numbers from MATLAB level 5 `.mat` files, such as `splits.mat` of NYUv2 (newer files are HDF5, and left to h5py).

Follows `MAT-File Format`, The MathWorks, chapter 1. Only real, full, numeric arrays are read; all else is passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
_HEADER = 128


def read_matlab(path: Path) -> dict[str, NDArray[np.float64]]:
    """The numeric arrays of the file by name. Raises MTL602 where it is not such a file."""
    content = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None:
        raise _broken(path)
    arrays = {}
    try:
        for kind, payload in _elements(content[_HEADER:], order):
            if kind == _COMPRESSED:
                kind, payload = next(_elements(zlib.decompress(payload), order))
            if kind == _MATRIX and (found := _matrix(payload, order)):
                arrays[found[0]] = found[1]
    except (ValueError, IndexError, StopIteration, zlib.error, UnicodeDecodeError) as error:
        raise _broken(path) from error
    return arrays


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 8 <= len(content):
        kind, size = (int(word) for word in np.frombuffer(content, f"{order}u4", 2, place))
        if kind >> 16:  # small element: type and size share a word, the data is the next
            yield kind & 0xFFFF, content[place + 4 : place + 4 + (kind >> 16)]
            place += 8
            continue
        yield kind, content[place + 8 : place + 8 + size]
        # elements start at multiples of 8 bytes, but for compressed ones
        place += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _matrix(content: bytes, order: str) -> tuple[str, NDArray[np.float64]] | None:
    elements = _elements(content, order)
    flags = int(np.frombuffer(next(elements)[1], f"{order}u4")[0])
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX:
        return None
    dimensions = np.frombuffer(next(elements)[1], f"{order}i4")
    name = next(elements)[1].decode("ascii")
    kind, data = next(elements)
    values = np.frombuffer(data, f"{order}{_TYPES[kind]}").astype(np.float64)
    return name, values.reshape(tuple(dimensions), order="F")


def _broken(path: Path) -> MtlError:
    return MtlError.of(
        "MTL602", f"`{path}` is no MATLAB level 5 file that can be read", "download it again; it must not be a web page"
    )
