"""What a person may name where a spec is asked for: a file, a run folder (its evolved spec; of the folder of a spec's
runs the last one's), or `REV:path` of git."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.runtime.run.newest import newest_run

if TYPE_CHECKING:
    from mtsldsl.ir import Spec

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")

_STAGE = re.compile(r":[123]")
"""One side of a merge that stopped, as git's index has it."""


def spec_at(
    place: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    path: Path | None = None,
    name: str | None = None,
) -> Spec:
    """The spec of a file, of a run folder, or of either in a revision of git, such as `HEAD~2:specs/a.mtl`.

    What is on the disk comes first; a spec of a revision imports the files of that revision. With `path` the text is
    read as if it lay there, with `name` it is called so. Raises MtlError: MTL703 where there is no such file, folder or
    revision, and whatever is wrong with the spec.
    """
    from mtsldsl.editing.load import loads_source

    source = source_at(place)
    if path is not None:
        source = attrs.evolve(source, path=str(path))
    if name is not None:
        source = attrs.evolve(source, name=name)
    revision = _revision(place)
    if revision is None:
        return loads_source(source, overrides or {})
    return loads_source(source, overrides or {}, _reader(revision))


def is_nothing(place: str) -> bool:
    """Whether a place is the empty file that git names for a side that does not have the file."""
    return place in ("/dev/null", os.devnull)


def source_at(place: str | Path) -> Source:
    """The text of such a place. Raises MtlError: MTL703 where there is none, MTL005 where it is not UTF-8."""
    from mtsldsl.syntax.files import is_file, is_folder, read_source

    if _revision(place) is not None:
        return _committed(str(place))
    path = newest_run(Path(place))
    if not is_folder(path):
        return read_source(path)
    if not is_file(path / "spec.mtl"):
        cause, remedy = f"{path} is a folder, and no run: it has no spec.mtl", "name a .mtl file, or a run folder"
        raise MtlError.of("MTL703", cause, remedy)
    return read_source(path / "spec.mtl")


def _revision(place: str | Path) -> str | None:
    """REV of `REV:path`; None where the place is on the disk, has no colon, or only that of a drive's letter."""
    text = str(place)
    if ":" not in text or _DRIVE.match(text):
        return None
    try:
        return None if Path(text).exists() else text.rpartition(":")[0]
    except (OSError, ValueError):
        return None


def _committed(place: str) -> Source:
    """The text that git has at `REV:path`; of a folder, that of its spec.mtl."""
    from mtsldsl.syntax.files import decode_source

    if place.startswith("-"):
        raise MtlError.of("MTL703", f"`{place}` is no revision of git", "write REV:path, such as HEAD:specs/nyuv2.mtl")
    if _git("cat-file", "-t", place).strip() == b"tree":
        place = f"{place}{'' if place.endswith((':', '/')) else '/'}spec.mtl"
    path = PurePosixPath(place.rpartition(":")[2])
    folder = Path() if path.parts[:1] in ((".",), ("..",)) or place.rpartition(":")[2].startswith("./") else _top()
    return attrs.evolve(decode_source(place, _git("cat-file", "blob", place)), path=str(folder / path))


def _reader(revision: str) -> Callable[[Path], Source]:
    """Reads the files that a spec imports as they are in the revision."""

    def read(path: Path) -> Source:
        top = _top().resolve()
        if not path.is_relative_to(top):
            raise MtlError.of("MTL703", f"{path} lies outside the repository", "import files of the repository")
        return _imported(revision, path.relative_to(top).as_posix())

    return read


def _imported(revision: str, path: str) -> Source:
    """The file in the revision. Where that is a side of a merge, a file which is in no conflict is staged once."""
    try:
        return _committed(f"{revision}:{path}")
    except MtlError:
        if not _STAGE.fullmatch(revision):
            raise
    return _committed(f":{path}")


def _top() -> Path:
    """The folder of the repository."""
    return Path(_git("rev-parse", "--show-toplevel").decode().strip())


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise MtlError.of("MTL703", "git is not installed", "install git, or name files on the disk") from None
    except ValueError:  # a NUL character
        raise MtlError.of("MTL703", f"git has no {arguments[-1]!r}", "check the revision and the path") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise MtlError.of(
            "MTL703",
            f"git has no `{arguments[-1]}`: {' '.join(said.split())}",
            "check the revision and the path, which is relative to the repository's root (or begins with ./)",
        )
    return done.stdout
