"""Writes MATLAB level 5 files, uncompressed, for tests."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_matlab(path: Path, **arrays: np.ndarray) -> Path:
    """Float64 matrices by name, as MATLAB's `save -v6` writes them."""
    matrices = b"".join(_matrix(name, array) for name, array in arrays.items())
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + matrices)
    return path


def _matrix(name: str, array: np.ndarray) -> bytes:
    columns_first = np.asarray(array, dtype="<f8").ravel(order="F").tobytes()
    parts = (
        _element(6, struct.pack("<II", 6, 0)),
        _element(5, struct.pack("<ii", *array.shape)),
        _element(1, name.encode()),
        _element(9, columns_first),
    )
    return _element(14, b"".join(parts))


def _element(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + bytes(-len(payload) % 8)
