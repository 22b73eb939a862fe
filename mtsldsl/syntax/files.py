"""Texts in files: read as UTF-8 with every line ending as it is, written so that no reader sees half a file."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError, Source, Span


def read_source(path: str | os.PathLike[str]) -> Source:
    """The text of a file, named as the path was given.

    Raises:
        MtlError: MTL703 where the file cannot be read, MTL005 where it is not UTF-8.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise MtlError.of("MTL703", f"there is no file {name}", "check the path") from None
    except IsADirectoryError:
        raise MtlError.of("MTL703", f"{name} is a folder", "give the path of a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise MtlError.of("MTL703", f"{name} cannot be read: {reason}", "check the path and its permissions") from None
    return attrs.evolve(decode_source(name, data), path=name)


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


def write_text_atomically(path: str | os.PathLike[str], text: str, bom: bool = False) -> None:
    """Replace a file's content, or make the file: after a crash it holds the old bytes or the new, never a mixture.

    The text is written to a new file in the same folder, forced to the disk, and renamed. A file keeps its mode. A
    symbolic link is followed inside its own folder and refused where it leads out of it.

    Raises:
        MtlError: MTL703 where the file cannot be written; it is then as it was.
    """
    given = Path(path)
    try:
        data = (codecs.BOM_UTF8 if bom else b"") + text.encode("utf-8")
        target = given.resolve() if given.is_symlink() else given
        if target is not given and target.parent != given.parent.resolve():
            raise MtlError.of(
                "MTL703",
                f"{given} is a link to {target}, which lies in another folder",
                f"write to {target} itself, or replace the link by a file",
            )
        _replace(target, data)
    except (OSError, ValueError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        cause = f"{given} cannot be written: {reason}"
        raise MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk") from None


def _replace(target: Path, data: bytes) -> None:
    new = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            new.chmod(stat.S_IMODE(target.stat().st_mode))
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Force the renaming to the disk too, where the system can open a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
