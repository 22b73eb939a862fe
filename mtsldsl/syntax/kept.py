"""What is kept between processes because computing it again takes longer than reading it: in the user's own folder.

It may be code, pickled or compiled: whoever can write such a file can run code as the user. So a file counts only if it
and its folder belong to the user, nobody else may write to them, and it starts with the digest of its name and content.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

FORMAT = 2
"""Part of a kept file's name; raised when the way of keeping changes."""

_DIGEST = 32
"""Bytes of the SHA-256 that a kept file starts with."""

_ABANDONED = 3600.0
"""Seconds after which nobody is still writing a file that has not got its name."""


def kept_file(kind: str, identity: str) -> Path | None:
    """Where what is computed from `identity` is kept, or None where it cannot be kept safely."""
    folder = cache_folder()
    if folder is None or os.environ.get("MTSLDSL_NO_CACHE", "") not in ("", "0"):
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    found = folder.lstat()
    if not (stat.S_ISDIR(found.st_mode) and _is_ours(found)):
        return None
    return folder / f"{kind}-{FORMAT}-{sha256(identity.encode()).hexdigest()[:24]}"


def cache_folder() -> Path | None:
    """The user's folder for what can be computed again: `$XDG_CACHE_HOME/mtsldsl` or `~/.cache/mtsldsl`."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():
        return Path(given) / "mtsldsl"
    try:
        return Path.home() / ".cache" / "mtsldsl"
    except RuntimeError:
        return None


def read_private(kept: Path) -> bytes | None:
    """The content of a file that is whole and that only this user can have written, otherwise None."""
    try:
        with open(kept, "rb", opener=_open_itself) as stream:
            found = os.fstat(stream.fileno())
            if not (stat.S_ISREG(found.st_mode) and _is_ours(found)):
                return None
            digest, content = stream.read(_DIGEST), stream.read()
    except OSError:
        return None
    return content if _digest(kept, content) == digest else None


def _digest(kept: Path, content: bytes) -> bytes:
    """Of the name too: what is kept of one thing is not taken for another's, wherever it was copied."""
    digest = sha256(kept.name.encode())
    digest.update(content)
    return digest.digest()


def _open_itself(path: str, flags: int) -> int:
    """Open a file but no link to one, and wait for no writer where it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def write_private(kept: Path, content: bytes) -> None:
    """Keep `content`, in one step, where that is possible; elsewhere the next process makes it again."""
    own = kept.with_name(f".{kept.name}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_digest(kept, content))
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        own.replace(kept)
    except BaseException as error:
        _remove(own)
        if not isinstance(error, OSError):
            raise


def drop_oldest(folder: Path, kind: str, files: int, size: int) -> None:
    """Leave of a kind those that were used last: at most so many files, of at most `size` bytes together.

    What writers that were killed left half written goes too.
    """
    name = re.compile(rf"(?P<unfinished>\.)?{kind}-\d+-[0-9a-f]{{24}}(?(unfinished)\.[0-9a-f]{{8}})")
    used: list[tuple[int, Path, int]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            matched = name.fullmatch(path.name)
            found = _status(path) if matched else None
            if matched is None or found is None or not stat.S_ISREG(found.st_mode):
                continue
            if not matched["unfinished"]:
                used.append((found.st_mtime_ns, path, found.st_size))
            elif found.st_mtime < time.time() - _ABANDONED:
                _remove(path)
    total = 0
    for number, (_, path, length) in enumerate(sorted(used, reverse=True), start=1):
        total += length
        if number > files or total > size:
            _remove(path)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:  # another process removed it
        return None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _is_ours(found: os.stat_result) -> bool:
    """Whether the file or folder belongs to this user and nobody else may write to it."""
    if not hasattr(os, "getuid"):  # a system without owners: its per-user folders are private by themselves
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
