"""Arrays of `.npz` files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError, suggestion

Array: TypeAlias = NDArray[Any]

UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for an array of a damaged file, or of objects."""


def opened_npz(path: Path, remedy: str) -> np.lib.npyio.NpzFile:
    """The file, whose arrays are read when they are asked for. Raises MTL602 where it is no such file."""
    # numpy leaves the file open where it finds it to be no archive
    if not zipfile.is_zipfile(path):
        raise MtlError.of("MTL602", f"`{path}` is no whole .npz file", remedy)
    file: np.lib.npyio.NpzFile = np.load(path, allow_pickle=False)
    return file


def read_arrays(path: Path, file: np.lib.npyio.NpzFile, names: Sequence[str], remedy: str) -> list[Array]:
    """The arrays of a known data set. Raises MTL602 for one that is missing or cannot be read."""
    found = []
    for name in names:
        if name not in file.files:
            cause = f"`{path}` has no array `{name}`"
            raise MtlError.of("MTL602", cause, f"{suggestion(name, file.files, 'arrays')}; or {remedy}")
        try:
            found.append(np.asarray(file[name]))
        except UNREADABLE as error:
            raise MtlError.of("MTL602", f"`{name}` of `{path}` cannot be read", remedy) from error
    return found
