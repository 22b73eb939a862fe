"""What a person may name where a spec is asked for: a file, a run folder (its evolved spec), or `REV:path` of git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.spec import Spec, load

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def spec_at(place: str | Path, overrides: Mapping[str, str] | None = None) -> Spec:
    """The spec of a file, of a run folder, or of a file or run folder in a revision of git such as `HEAD~2:specs/a.mtl`.

    What is on the disk comes first. Raises MtlError: MTL703 where there is no such file, folder or revision, and
    whatever is wrong with the spec.
    """
    from mtsldsl.spec.load import loads_source

    path = Path(place)
    if not _is_revision(str(place), path):
        return load(path / "spec.mtl" if path.is_dir() else path, overrides or {})
    return loads_source(_committed(str(place)), overrides or {})


def _is_revision(place: str, path: Path) -> bool:
    """Whether the place is `REV:path`: it has a colon, is no path with a drive's letter, and not on the disk."""
    if ":" not in place or _DRIVE.match(place):
        return False
    try:
        return not path.exists()
    except (OSError, ValueError):
        return False


def _committed(place: str) -> Source:
    """The text that git has at `REV:path`; of a folder, that of its spec.mtl."""
    from mtsldsl.syntax.files import decode_source

    if place.startswith("-"):
        raise MtlError.of("MTL703", f"`{place}` is no revision of git", "write REV:path, such as HEAD:specs/nyuv2.mtl")
    if _git("cat-file", "-t", place).strip() == b"tree":
        place = f"{place.rstrip('/')}/spec.mtl"
    return decode_source(place, _git("cat-file", "blob", place))


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
