"""Arrays of `.npz` files, and of folders of `.npy` files."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.syntax.files import is_folder, is_readable_kind

Array: TypeAlias = NDArray[Any]

UNREADABLE = (
    *(ValueError, EOFError, OSError, TypeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
    *(RuntimeError, OverflowError, MemoryError),  # of an encrypted member, and of sizes that a damaged header says
)
"""What numpy raises for an array of a damaged file, or of objects."""


def is_of_objects(error: BaseException) -> bool:
    """Whether numpy says so that an array is one of objects, or that one on disk is."""
    return any(words in str(error) for words in ("Object arrays", "Python objects"))


def why_unreadable(error: BaseException) -> str:
    """What a person should know of the reason, after a colon; empty where it is that the file is damaged."""
    if "encrypted" in str(error):
        return ": it is encrypted"
    if isinstance(error, MemoryError):
        return f": {error}" if str(error) else ": it needs more memory than there is"
    if isinstance(error, NotImplementedError):
        return ": it is packed in a way that is not known here"
    if isinstance(error, zipfile.BadZipFile) and "CRC" in str(error):
        return ": its check sum is another one"
    if isinstance(error, OSError) and error.strerror:
        return f": {error.strerror}"
    return ""


def no_numbers(called: str, error: BaseException, remedy: str) -> MtlError:
    """The report of an array that numpy does not read, as `error` says. One of objects is what samples of several
    lengths become."""
    objects = is_of_objects(error)
    why = (
        ": it holds objects, as samples of several lengths or sizes do, and None" if objects else why_unreadable(error)
    )
    return MtlError.of("MTL602", f"{called} is no array of numbers{why}", remedy)


def array_in(file: Arrays, name: str) -> Array:
    """An array of a file that is opened. Raises one of UNREADABLE where it is none: an archive gives bytes for what has
    not the head of an array."""
    found = file[name]
    if not isinstance(found, np.ndarray):
        raise ValueError("no array")
    return found


def opened_npz(path: Path, remedy: str) -> np.lib.npyio.NpzFile:
    """The file, whose arrays are read when they are asked for. Raises MTL602 where it is no such file."""
    if not is_readable_kind(path):
        raise MtlError.of("MTL602", f"`{path}` is no file", remedy)
    try:
        with path.open("rb") as opened:  # which says more of what may not be read than that it is no archive
            whole = zipfile.is_zipfile(opened)
    except OSError as error:
        raise MtlError.of("MTL602", f"`{path}` cannot be read: {error.strerror}", remedy) from error
    # numpy leaves the file open where it finds it to be no archive
    try:
        file: np.lib.npyio.NpzFile | None = np.load(path, allow_pickle=False) if whole else None
    except UNREADABLE:
        file = None
    if file is None:
        raise MtlError.of("MTL602", f"`{path}` is no whole .npz file", remedy)
    return file


class Arrays(Protocol):
    """Arrays by name, read when they are asked for."""

    @property
    def files(self) -> Sequence[str]:
        """Their names."""

    def __getitem__(self, name: str) -> Array:
        """One of them. Raises one of UNREADABLE where it is none."""


@attrs.frozen(eq=False)
class NpyFolder:
    """The `.npy` files of a folder and of those in it, by their paths in it without the ending. An array stays in its
    file, and its numbers are read when they are looked at."""

    path: Path
    files: Sequence[str]

    @classmethod
    def of(cls, path: Path) -> NpyFolder:
        """The folder at `path`."""
        found = sorted(each.relative_to(path) for each in path.rglob("*.npy") if each.is_file())
        return cls(path, [each.with_suffix("").as_posix() for each in found])

    def __getitem__(self, name: str) -> Array:
        found: Array = np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return found


@contextmanager
def opened_arrays(path: Path) -> Iterator[Arrays]:
    """The arrays of an `.npz` file, or of a folder of `.npy` files. Raises MTL602 where `path` is neither."""
    if is_folder(path):
        found = NpyFolder.of(path)
        if not found.files:
            remedy = "save each field with numpy.save, as `image.npy` or `train/image.npy`"
            raise MtlError.of("MTL602", f"the folder `{path}` holds no .npy file", remedy)
        yield found
    else:
        with opened_npz(path, "write it with numpy.savez(path, image=..., ...)") as file:
            yield file


def read_arrays(path: Path, file: np.lib.npyio.NpzFile, names: Sequence[str], remedy: str) -> list[Array]:
    """The arrays of a known data set. Raises MTL602 for one that is missing or cannot be read."""
    found = []
    for name in names:
        if name not in file.files:
            cause = f"`{path}` has no array `{name}`"
            raise MtlError.of("MTL602", cause, f"{suggestion(name, file.files, 'arrays')}; or {remedy}")
        try:
            found.append(np.asarray(array_in(file, name)))
        except UNREADABLE as error:
            cause = f"`{name}` of `{path}` cannot be read{why_unreadable(error)}"
            raise MtlError.of("MTL602", cause, remedy) from error
    return found
