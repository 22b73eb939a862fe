"""Texts of files: UTF-8, with every line ending as it is."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import attrs

from mtsldsl.diagnostics import MtlError, Source, Span

LARGEST = 8 * 2**20
"""Bytes; no specification has as many, and what is read from a pipe may never end."""


def read_source(path: str | os.PathLike[str]) -> Source:
    """The text of a file, named as the path was given.

    Raises:
        MtlError: MTL703 where the file cannot be read, is larger than any specification, or is none but a named pipe or
            a device, whose reading may never end; MTL005 where it is not UTF-8.
    """
    name = os.fspath(path)
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # Path.stat says less of names that no file can have
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not _is_open_pipe(path, mode):
            raise MtlError.of("MTL703", f"{name} is no file", "give the path of a file")
        with Path(path).open("rb") as stream:
            data = _whole(stream, name)
    except FileNotFoundError:
        raise MtlError.of("MTL703", f"there is no file {name}", "check the path") from None
    except IsADirectoryError:
        raise MtlError.of("MTL703", f"{name} is a folder", "give the path of a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise MtlError.of("MTL703", f"{name} cannot be read: {reason}", "check the path and its permissions") from None
    return attrs.evolve(decode_source(name, data), path=name)


def read_standard_input(name: str) -> Source:
    """The text of the standard input under a name. Raises MtlError as `read_source` does."""
    return decode_source(name, _whole(sys.stdin.buffer, name))


def _whole(stream: BinaryIO, name: str) -> bytes:
    data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        cause = f"{name} holds more than {LARGEST // 2**20} MiB, which no specification does"
        raise MtlError.of("MTL703", cause, "give the path of a specification")
    return data


def _is_open_pipe(path: str | os.PathLike[str], mode: int) -> bool:
    """Whether somebody writes to it now, as to `/dev/stdin` or to what a shell puts in the place of `<(command)`: it
    has no name of its own."""
    return stat.S_ISFIFO(mode) and not os.path.exists(os.path.realpath(path))  # noqa: PTH110  # Path.exists raises on names that no file can have


def decode_source(name: str, data: bytes) -> Source:
    """The text of a file's bytes.

    Raises:
        MtlError: MTL005 at the first byte that is not UTF-8.
    """
    bom = data.startswith(codecs.BOM_UTF8)
    body = data[len(codecs.BOM_UTF8) :] if bom else data
    try:
        return Source(name, body.decode("utf-8"), bom)
    except UnicodeDecodeError as error:
        start = len(body[: error.start].decode("utf-8"))
        shown = Source(name, body.decode("utf-8", errors="replace"))
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            cause = "the file is UTF-16 text, not UTF-8"
        else:
            cause = f"the byte 0x{body[error.start]:02X} here is not UTF-8 text"
        raise MtlError.of("MTL005", cause, "save the file as UTF-8", Span(shown, start, start + 1)) from None


def encoded(source: Source) -> bytes:
    """The bytes that a text was read from, or has in a file."""
    return (codecs.BOM_UTF8 if source.bom else b"") + source.text.encode("utf-8")


def is_file(path: Path) -> bool:
    """Whether a path is that of a file; no error where no file can have that name, which reading it reports."""
    return os.path.isfile(path)  # noqa: PTH113


def is_readable_kind(path: Path) -> bool:
    """Whether a path is none of a pipe or a device, whose reading may never end; where there is nothing, reading it
    reports that."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def is_folder(path: Path) -> bool:
    """Whether a path is that of a folder; no error where no folder can have that name."""
    return os.path.isdir(path)  # noqa: PTH112
