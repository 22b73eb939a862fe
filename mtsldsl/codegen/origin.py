"""From which spec a generated package was made, so that specs of one name in two folders never replace each other's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mtsldsl.codegen.package_files import read_manifest
from mtsldsl.codegen.rendering import MANIFEST
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.imports import ROOT_MARKS, project_root
from mtsldsl.syntax.files import is_file


def with_origin(files: Mapping[str, str], spec: Path, folder: Path) -> dict[str, str]:
    """The files of a package that is written to `folder`, with the path of `spec` in the manifest.

    The path is relative to the spec's project, or to `folder` where it lies in no project.
    """
    content = {**json.loads(files[MANIFEST]), "source": _origin(spec, folder)}
    return {**files, MANIFEST: json.dumps(content, indent=2, ensure_ascii=False) + "\n"}


def refuse_package_of_another(spec: Path, folder: Path) -> None:
    """Do nothing where the package in `folder` was made from `spec`, or from one that is gone, or where there is none.

    Raises:
        MtlError: MTL705 where it was made from another spec, which is there; MTL703 where a file cannot be read.
    """
    noted = (read_manifest(folder) or {}).get("source")
    if not isinstance(noted, str) or noted == _origin(spec, folder):
        return
    for root in (project_root(_absolute(spec).parent), project_root(_absolute(folder)), _absolute(folder)):
        other = _absolute(root / noted)
        if is_file(other) and not other.samefile(spec):
            raise MtlError.of(
                "MTL705",
                f"{folder} holds the package of {_shown(other)}, so it is not overwritten",
                f"compile into another folder with -o, or give {spec.name} another name; where that package is not "
                f"wanted any more, remove {folder} first",
            )


def _origin(spec: Path, folder: Path) -> str:
    path = _absolute(spec)
    root = project_root(path.parent)
    marked = any((root / mark).exists() for mark in ROOT_MARKS)
    relative = path.relative_to(root) if marked else Path(os.path.relpath(path, _absolute(folder)))
    return relative.as_posix().encode("utf-8", "replace").decode("utf-8")  # a file's name may be no text


def _absolute(path: Path) -> Path:
    """The path from the root, links as they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # Path.absolute keeps `..`


def _shown(path: Path) -> str:
    """The path as a person would type it here."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
