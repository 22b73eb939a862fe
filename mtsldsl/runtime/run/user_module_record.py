"""Which code a run's modules of a person's own were: a run folder does not hold it, so its record says which it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from mtsldsl.diagnostics.own_import import record_of_file, record_of_module
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.user_modules import modules_of_own_classes
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.record_file import started
from mtsldsl.syntax.files import is_file


def record_of_own_modules(spec: Spec) -> list[dict[str, str | None]]:
    """For every module its target, the file that holds its class, and the digest of that file."""
    return [{"target": target, **record_of_module(name)} for target, name in modules_of_own_classes(spec).items()]


def warn_of_other_modules(events: Path) -> None:
    """Tell a person of the modules whose file is not what it was when the run started, before any of them runs."""
    start = started(events)
    if start is None:
        return
    for before in start.modules:
        file = changed_file(before, start.spec)
        if file is not None:
            warn(f"`{before['target']}` is not what it was when the run started: {file} has changed since")


def changed_file(before: Mapping[str, Any], spec_file: str) -> str | None:
    """The file of a module in a record, of a spec in that file, where it is another than it was; nothing is run to find
    it. None where it is the same, or is not there, or had no file."""
    target, file, digest = (before.get(key) for key in ("target", "file", "sha256"))
    if not isinstance(target, str) or not isinstance(file, str):
        return None
    name = _module_in(file, target)
    if name is not None:
        now = record_of_module(name, spec_file)
    elif is_file(Path(file)):
        now = record_of_file(file)
    else:
        return None
    return None if now["file"] is None or now["sha256"] == digest else now["file"]


def _module_in(file: str, target: str) -> str | None:
    """The module that was in a recorded file: that of the target, or another of its package, where the class is from.
    None where it was in another package."""
    path, package = PurePath(file), target.partition(":")[0].partition(".")[0]
    parts = [*path.parts[:-1], path.name.partition(".")[0]]
    if package not in parts:
        return None
    own = parts[len(parts) - 1 - parts[::-1].index(package) :]
    return ".".join(own[:-1] if own[-1] == "__init__" else own)
