"""Generated files on the disk: never over a person's own file, and only where something changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from mtsldsl.codegen.rendering import HEADER, MANIFEST
from mtsldsl.diagnostics import Diagnostic, MtlError
from mtsldsl.diagnostics.printable import printable
from mtsldsl.syntax import write_text_atomically

LAST = ".last-compiled"
"""Beside the generated folders: the path of the spec that was compiled last. It belongs to one checkout alone."""

_LISTED = re.compile(r"[A-Za-z_]\w*\.(py|json)", re.ASCII)
"""What a manifest may name: a file of the package, never one outside of the folder."""


def write_files(files: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """Bring `folder` to hold `files`, and return the names of those that were written or removed, sorted.

    A file is replaced in one step, and left alone where it is up to date. What an earlier compilation wrote and this
    one does not is removed.

    Raises:
        MtlError: MTL701 for every file in the way that mtsldsl did not write, and then nothing is written; MTL703
            where a file cannot be read or written.
    """
    present = {name: _read(folder / name) for name in files}
    foreign = [name for name, text in present.items() if text is not None and not is_generated(name, text)]
    if foreign:
        raise MtlError(_foreign(folder / name) for name in foreign)
    changed = [name for name, text in files.items() if text != present[name]]
    stale = _stale(files, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in changed:
            write_text_atomically(folder / name, files[name])
        for name in stale:
            (folder / name).unlink()
    except OSError as error:
        raise _failure(folder, "written", error) from None
    return tuple(sorted((*changed, *stale)))


def compare(files: Mapping[str, str], folder: Path) -> str:
    """The unified difference from what `folder` holds to `files`; empty where it is up to date.

    Raises:
        MtlError: MTL703 where a file cannot be read.
    """
    from difflib import unified_diff

    wanted: dict[str, str] = {**dict.fromkeys(_stale(files, folder), ""), **files}
    parts = []
    for name, text in sorted(wanted.items()):
        present = _read(folder / name) or ""
        shown = printable((folder / name).as_posix())
        lines = unified_diff(
            present.splitlines(keepends=True), text.splitlines(keepends=True), f"{shown} (now)", f"{shown} (compiled)"
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def is_generated(name: str, text: str) -> bool:
    """Whether the text of a file of that name is one that mtsldsl wrote."""
    if name.endswith(".json"):
        return _manifest(text) is not None
    return text.split("\n", 1)[0].rstrip("\r") == HEADER


def remember_compiled(spec: Path, root: Path) -> None:
    """Note in `root`, the folder of generated folders, which spec was compiled last; its path is kept from there."""
    from os.path import relpath

    path = Path(relpath(spec.absolute(), root.absolute())).as_posix()
    write_text_atomically(root / LAST, f"{json.dumps(path)}\n")  # quoted, for a file's name may be no text


def last_compiled(root: Path) -> Path | None:
    """The spec that was compiled last into a folder of `root`; None where none was.

    Raises:
        MtlError: MTL703 where that spec is gone.
    """
    from os.path import normpath

    noted = _read(root / LAST)
    if noted is None:
        return None
    spec = Path(normpath(root / _unquoted(noted.strip())))
    if not spec.is_file():
        raise MtlError.of("MTL703", f"{spec}, the spec that was compiled last, is gone", "name the spec to train")
    return spec


def _unquoted(noted: str) -> str:
    """The path that was noted; older versions noted it without quotes."""
    try:
        path = json.loads(noted)
    except ValueError:
        return noted
    return path if isinstance(path, str) else noted


def read_manifest(folder: Path) -> dict[str, object] | None:
    """The manifest of the package in `folder`, None where there is none that mtsldsl wrote.

    Raises:
        MtlError: MTL703 where it cannot be read.
    """
    return _manifest(_read(folder / MANIFEST) or "")


def _stale(files: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """What the manifest in `folder` lists, is there, is generated, and not among `files`."""
    listed = (read_manifest(folder) or {}).get("files")
    stale = []
    for name in listed if isinstance(listed, dict) else ():
        if name not in files and _LISTED.fullmatch(name) and (folder / name).is_file():
            text = _read(folder / name)
            if text is not None and is_generated(name, text):
                stale.append(name)
    return tuple(stale)


def _manifest(text: str) -> dict[str, object] | None:
    """The content of a manifest, None where the text is no such thing."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, dict) and content.get("header") == HEADER.removeprefix("# "):
        return content
    return None


def _read(path: Path) -> str | None:
    """The text of a file, every line ending as it is; None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failure(path, "read", error) from None


def _foreign(path: Path) -> Diagnostic:
    return Diagnostic(
        "MTL701",
        f"{path} was not written by mtsldsl, so it is not overwritten",
        "move it away, or compile into another folder with -o",
    )


def _failure(path: Path, verb: str, error: OSError) -> MtlError:
    shown = error.filename or path
    return MtlError.of("MTL703", f"{shown} cannot be {verb}: {error.strerror}", "check the folder and its permissions")
