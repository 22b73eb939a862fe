"""`[tool.mtsldsl]` of pyproject.toml: what `check` and `fmt` do in a project where their command line does not say."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

import attrs

from mtsldsl.diagnostics import Diagnostic, MtlError, suggestion
from mtsldsl.records import Record

FILE = "pyproject.toml"

_TABLE = "tool.mtsldsl"

_KINDS = {
    "include": "a list of patterns",
    "exclude": "a list of patterns",
    "pedantic": "true or false",
    "strict": "true or false",
}


@attrs.frozen(eq=False, repr=False)
class ProjectSettings(Record):
    """The settings of a project; patterns are of paths from its `folder` on."""

    folder: Path
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    pedantic: bool = False
    strict: bool = False

    def takes(self, path: Path) -> bool:
        """Whether a file that a search of a folder found is one of those that are meant; outside of the project all
        are."""
        inside = PurePath(os.path.relpath(path.absolute(), self.folder))
        if ".." in inside.parts:
            return True
        wanted = self.include is None or any(_fits(inside, pattern) for pattern in self.include)
        return wanted and not any(_fits(inside, pattern) for pattern in self.exclude)


def project_settings(start: Path) -> ProjectSettings:
    """Those of the nearest pyproject.toml in a folder or above it that has `[tool.mtsldsl]`; without one the defaults.

    Raises MtlError: MTL707 for a file that cannot be understood, and for every key that is unknown or has a value of
    another kind; MTL703 where it cannot be read.
    """
    try:
        here = start.absolute()
    except FileNotFoundError:  # the folder is gone
        return ProjectSettings(start)
    for folder in (here, *here.parents):
        table = _table(folder / FILE)
        if table is not None:
            _check(table, folder / FILE)
            lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
            return ProjectSettings(folder, **{**table, **lists})
    return ProjectSettings(here)


def _table(path: Path) -> dict[str, Any] | None:
    """The table of a file; None where it has none, or is none."""
    from mtsldsl.syntax.files import is_file

    if not is_file(path):
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MtlError.of("MTL703", f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    if b"mtsldsl" not in data:
        return None
    import tomllib  # most projects say nothing of this

    try:
        found = tomllib.loads(data.decode("utf-8")).get("tool", {})
    except ValueError as error:
        raise MtlError.of("MTL707", f"{path} is no TOML: {error}", "correct it") from None
    table = found.get("mtsldsl") if isinstance(found, dict) else None
    if table is not None and not isinstance(table, dict):
        raise MtlError.of("MTL707", f"{path}: `{_TABLE}` is no table", f"write its keys below a line [{_TABLE}]")
    return table


def _check(table: dict[str, Any], path: Path) -> None:
    problems = []
    for key, value in table.items():
        if key not in _KINDS:
            remedy = suggestion(key, _KINDS, f"keys of [{_TABLE}]")
            problems.append(Diagnostic("MTL707", f"{path}: `{_TABLE}` has no key `{key}`", remedy))
        elif not (_is_patterns(value) if "pattern" in _KINDS[key] else isinstance(value, bool)):
            example = '["drafts", "old/*.mtl"]' if "pattern" in _KINDS[key] else "true"
            cause = f"{path}: `{_TABLE}.{key}` is {_KINDS[key]}, not {_shown(value)}"
            problems.append(Diagnostic("MTL707", cause, f"write {key} = {example}, or leave it out"))
    if problems:
        raise MtlError(problems)


def _shown(value: object) -> str:
    """A value as TOML has it, as far as anybody wants to read it."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_patterns(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each.strip("/") for each in value)


def _fits(path: PurePath, pattern: str) -> bool:
    """Whether a pattern is one of the file or of a folder that it lies in: of its name, or where there is a `/` in the
    pattern, of its path. `*` stands for any characters, `/` among them."""
    wanted = pattern.strip("/")
    places = [each for each in (path, *path.parents) if each.name]
    return any(fnmatchcase(each.as_posix() if "/" in pattern else each.name, wanted) for each in places)
