"""The parser's tables: built from `grammars/mtl.lark` once a process, and kept between processes.

Building the tables takes about ten times as long as reading them back. They are kept in a folder that belongs to the
user alone, because they are pickled: whoever can write that file can run code as the user.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from lark import Lark

FORMAT = 1
"""Part of the kept file's name; raised when the way of keeping changes."""

_DIGEST = 32
"""Bytes of the SHA-256 that the kept file starts with."""


def grammar_text() -> str:
    """The text of `mtl.lark`: from the installed package, or from the checkout that this module lies in."""
    installed: Traversable = files("mtsldsl") / "grammars" / "mtl.lark"
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammars" / "mtl.lark").read_text(encoding="utf-8")


def build_lark(**hooks: Any) -> Lark:
    """A LALR parser for the grammar; `hooks` are lark's `transformer` and `postlex`."""
    from lark import Lark, __version__

    grammar = grammar_text()
    kept = _kept_file(f"{grammar}\0{__version__}\0{sys.version}")
    tables = _read_private(kept) if kept else None
    if tables is not None:
        return _load(tables, hooks)
    lark = Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=["file", "statement", "item"],
        maybe_placeholders=False,
        **hooks,
    )
    if kept:
        written = BytesIO()
        lark.save(written, exclude_options=tuple(hooks))
        _write_private(kept, written.getvalue())
    return lark


def _load(tables: bytes, hooks: dict[str, Any]) -> Lark:
    """What `Lark.load` does, which takes no hooks. Lark's own cache is not used: it writes its file in place."""
    from lark import Lark

    blank: Any = Lark.__new__(Lark)
    lark: Lark = blank._load(BytesIO(tables), **hooks)
    return lark


def _read_private(kept: Path) -> bytes | None:
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


def _write_private(kept: Path, content: bytes) -> None:
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


def _kept_file(identity: str) -> Path | None:
    """Where the tables of this grammar, lark and Python are kept, or None where they cannot be kept safely."""
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
    return folder / f"grammar-{FORMAT}-{sha256(identity.encode()).hexdigest()[:24]}.lark"


def cache_folder() -> Path | None:
    """The user's folder for what can be computed again: `$XDG_CACHE_HOME/mtsldsl` or `~/.cache/mtsldsl`."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():
        return Path(given) / "mtsldsl"
    try:
        return Path.home() / ".cache" / "mtsldsl"
    except RuntimeError:
        return None


def _is_ours(found: os.stat_result) -> bool:
    """Whether the file or folder belongs to this user and nobody else may write to it."""
    if not hasattr(os, "getuid"):  # a system without owners: its per-user folders are private by themselves
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
