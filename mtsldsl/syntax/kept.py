"""What is kept between processes because computing it again takes longer than reading it: in the user's own folder.

It may be code, pickled or compiled: whoever can write such a file can run code as the user. So a file counts only if it
and its folder belong to the user, nobody else may write to them, and its content has the digest that it starts with.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

FORMAT = 1
"""Part of a kept file's name; raised when the way of keeping changes."""

_DIGEST = 32
"""Bytes of the SHA-256 that a kept file starts with."""


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
    return content if sha256(content).digest() == digest else None


def _open_itself(path: str, flags: int) -> int:
    """Open a file but no link to one."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def write_private(kept: Path, content: bytes) -> None:
    """Keep `content`, in one step, where that is possible; elsewhere the next process builds the tables again."""
    own = kept.with_name(f".{kept.name}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(sha256(content).digest() + content)
        own.replace(kept)
    except OSError:
        with suppress(OSError):
            own.unlink(missing_ok=True)


def _is_ours(found: os.stat_result) -> bool:
    """Whether the file or folder belongs to this user and nobody else may write to it."""
    if not hasattr(os, "getuid"):  # a system without owners: its per-user folders are private by themselves
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
