"""Samples that took long to decode or to render, kept between processes in the user's own folder (`syntax/kept.py`).

They count for the very same thing alone. The name of the file is a digest of all that decides the numbers: the
settings; the files that are read, each by its size, its place on the disk and the times of its last changes; the source
of the modules that take part; the versions of the libraries; and what the machine computes with. The file is
safetensors behind a digest of it all, and what does not fit that digest is made anew.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mtsldsl.syntax.kept import drop_oldest, kept_file, read_private, write_private

Fields: TypeAlias = dict[str, dict[str, Tensor]]
"""Split (`train`, `validation`, `test`) to field to tensor."""

KIND = "data"
"""What the names of such files begin with."""

MOST_FILES = 16
MOST_BYTES = 4 * 2**30
"""So many files are kept, and so many bytes in all: those that were used last."""

_LIBRARIES = ("numpy", "pillow", "torch")


def kept_splits(
    facts: Sequence[object], make: Callable[[], Fields], files: Callable[[], Mapping[str, Path]] = dict
) -> Fields:
    """What `make` makes, taken from an earlier process where it is kept, else kept for later ones where it can be.

    `facts` (numbers, strings, and tuples and mappings of such) and the `files` by name are all that `make` looks at.
    The tensors are the same to the bit, in the same order, either way; what `make` raises is raised.
    """
    identity = _identity(facts, files())
    kept = None if identity is None else kept_file(KIND, identity)
    if kept is None:
        return make()
    found = _read(kept)
    if found is None:
        found = make()
        if _identity(facts, files()) == identity:  # nobody wrote to the files meanwhile
            _write(kept, found)
    return found


def _read(kept: Path) -> Fields | None:
    content = read_private(kept)
    if content is None:
        return None
    try:
        tensors = load(content)
    except SafetensorError:
        return None
    with suppress(OSError):
        os.utime(kept)  # it was used
    fields: Fields = {}
    for name in sorted(tensors):
        _, split, field = name.split("/")
        fields.setdefault(split, {})[field] = tensors[name]
    return fields


def _write(kept: Path, fields: Fields) -> None:
    named = [(split, field, tensor) for split, tensors in fields.items() for field, tensor in tensors.items()]
    if sum(tensor.nbytes for *_, tensor in named) > MOST_BYTES:
        return
    # numbered, as safetensors has an order of its own
    numbered = {f"{number:03}/{split}/{field}": tensor for number, (split, field, tensor) in enumerate(named)}
    write_private(kept, save(numbered))
    drop_oldest(kept.parent, KIND, MOST_FILES, MOST_BYTES)


def _identity(facts: Sequence[object], files: Mapping[str, Path]) -> str | None:
    """All that decides the numbers, as text; None where it cannot be told."""
    if _SOURCE is None:
        return None
    try:
        versions = [metadata.version(library) for library in _LIBRARIES]
    except metadata.PackageNotFoundError:
        return None
    machine = (
        platform.machine(),
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
    )
    stamps = [(name, _stamp(path)) for name, path in sorted(files.items())]
    return repr((facts, _SOURCE, versions, machine, stamps))


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What is another number once a file is replaced or written to, None where there is none.

    The time of the last change of its status is set by the system alone, so a file of the same size that was given
    the old times is told too. Its content is not read: archives have gigabytes.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def source_digest(package: Path) -> str | None:
    """Of all modules of a package that decode, render and hold samples; None where their source is not there."""
    digest = sha256()
    modules = sorted([*package.glob("datasets/**/*.py"), *package.glob("runtime/data/*.py")])
    try:
        for module in modules:
            digest.update(f"{module.relative_to(package).as_posix()}\0".encode())
            digest.update(sha256(module.read_bytes()).digest())
    except OSError:
        return None
    return digest.hexdigest() if modules else None


_SOURCE = source_digest(Path(__file__).parents[2])
"""Read as the modules themselves are imported: a file that is edited later is not what this process runs."""
