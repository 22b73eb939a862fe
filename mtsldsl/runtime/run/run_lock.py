"""One process at a time trains in a run folder: by a lock that the system takes from a process that is dead."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from mtsldsl.diagnostics import MtlError


def hold(path: Path, run: Path) -> int | None:
    """Lock a file of a run folder, which is made where it is not there, for this process; the descriptor that holds the
    lock until it is closed. None where the system has no such locks.

    The lock is one of POSIX, which the processes that this one starts do not have with it. The file says who has it.
    Raises MtlError MTL817 where another process has it, MTL801 where the path is that of something else.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, lockf
    except ImportError:  # Windows
        return None
    if path.is_symlink() or (path.exists() and not stat.S_ISREG(path.lstat().st_mode)):
        raise MtlError.of("MTL801", f"`{path}` is no file", "remove it")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        lockf(descriptor, LOCK_EX | LOCK_NB)
    except OSError as error:
        said = os.read(descriptor, 200).decode("utf-8", "replace").strip()
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return None
        cause = f"another process is training in `{run}`" + (f": {said}" if said else "")
        raise MtlError.of("MTL817", cause, "wait until it ends, or end it") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor
