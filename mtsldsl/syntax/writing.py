"""Writing a text to a file so that nothing is lost: not half of it, not what the file held, not another one's edit."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.syntax.files import encoded

_LONGEST_NAME = 255 - len("..01234567.tmp")
"""Bytes of a file's name that fit into that of the new file beside it."""


class ChangedMeanwhileError(MtlError):
    """MTL704: a file no longer holds the text that was read from it."""


def write_text_atomically(
    path: str | os.PathLike[str], text: str, bom: bool = False, expected: Source | None = None
) -> None:
    """Replace a file's content, or make the file: after a crash it holds the old bytes or the new, never a mixture.

    The text is written to a new file in the same folder, forced to the disk, and renamed. A file keeps its mode and,
    where the system lets it, its owner; another hard link to it keeps the old text. A symbolic link is followed inside
    its own folder and refused where it leads out of it.

    With `expected` the file is replaced only if it still holds the text that was read from it, which is looked at just
    before the renaming; of two processes that do so at once, one alone succeeds.

    Raises:
        ChangedMeanwhileError: MTL704 where the file is not as expected; it stays as it is.
        MtlError: MTL703 where the file cannot be written; it is then as it was.
    """
    with _reported(path):
        data = encoded(Source(Path(path).name, text, bom))
    write_bytes_atomically(path, data, expected)


def write_bytes_atomically(path: str | os.PathLike[str], data: bytes, expected: Source | None = None) -> None:
    """The same for what is no text."""
    with _reported(path):
        target = _target(Path(path))
        with locked(target.parent) as alone:
            if alone:
                _remove_leftovers(target)
            if not _replace(target, data, expected):
                raise ChangedMeanwhileError.of("MTL704", f"{Path(path)} was changed meanwhile", "run the command again")


@contextmanager
def _reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """What cannot be written, as MTL703."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        cause = f"{Path(path)} cannot be written: {reason}"
        raise MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk") from None


def _target(given: Path) -> Path:
    """The file to replace, or to make."""
    found = _status(given)
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device, not a file that can be replaced"
        raise MtlError.of("MTL703", f"{given} is {kind}", "give the path of a file; `-` is the standard input")
    target = given.resolve() if given.is_symlink() else given
    if target is not given and target.parent != given.parent.resolve():
        raise MtlError.of(
            "MTL703",
            f"{given} is a link to {target}, which lies in another folder",
            f"write to {target} itself, or replace the link by a file",
        )
    if found is not None and not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        # Renaming would go round it: that takes the permission to write into the folder alone.
        raise MtlError.of("MTL703", f"{given} may not be written", "allow it, as with `chmod u+w`, if it is yours")
    return target


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _replace(target: Path, data: bytes, expected: Source | None) -> bool:
    """Whether the target was replaced, which it is not where it is not as expected."""
    found = _status(target)
    new = target.with_name(f"{_beside(target)}{os.urandom(4).hex()}.tmp")
    # Nobody else may read the new file before it has the mode of the old one.
    flags, mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600 if found else 0o666
    descriptor = os.open(new, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if found:
                _take_over(new, found)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if expected is not None and not _holds(target, expected):
            new.unlink()
            return False
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return True


def _beside(target: Path) -> str:
    """What the name of a new file beside the target begins with."""
    name = target.name
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return f".{name}."


def _take_over(new: Path, found: os.stat_result) -> None:
    """Give a new file the owner and mode of the one that it is to replace."""
    mode, own = stat.S_IMODE(found.st_mode), new.stat()
    if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.chown(new, found.st_uid, found.st_gid)
        except OSError:
            mode &= 0o777  # to run as its owner was meant for another owner
            try:
                os.chown(new, -1, found.st_gid)
            except OSError:
                mode = mode & 0o707 | (mode & 0o007) << 3  # this group gets no more than anybody
    new.chmod(mode)


def _holds(target: Path, expected: Source) -> bool:
    try:
        return target.read_bytes() == encoded(expected)
    except FileNotFoundError:
        return False


@contextmanager
def locked(place: Path) -> Iterator[bool]:
    """Keep other processes of ours from writing into a folder, or from what goes by a file that is there; false where
    the system has no such lock."""
    descriptor = _lock(place)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(place: Path) -> int | None:
    try:
        from fcntl import LOCK_EX, flock

        descriptor = os.open(place, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        flock(descriptor, LOCK_EX)
    except OSError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_leftovers(target: Path) -> None:
    """Remove what processes that were killed left beside the target; nobody who is alive holds one now."""
    leftover = re.compile(re.escape(_beside(target)) + r"[0-9a-f]{8}\.tmp")
    for each in target.parent.iterdir():
        if leftover.fullmatch(each.name):
            with suppress(OSError):
                each.unlink()


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
