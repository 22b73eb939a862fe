"""Which code a run's modules of a person's own were: a run folder does not hold it, so its record says which it was."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from mtsldsl.ir import Spec
from mtsldsl.runtime.network.user_modules import check_own_modules, files_of_own_modules
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.record_file import started


def record_of_own_modules(spec: Spec) -> list[dict[str, str | None]]:
    """For every module its target, the file that holds its class, and the digest of that file."""
    return [{"target": target, **record_of_file(file)} for target, file in files_of_own_modules(spec).items()]


def record_of_file(file: str | None) -> dict[str, str | None]:
    """A file of code and its digest."""
    return {"file": file, "sha256": None if file is None else sha256(Path(file).read_bytes()).hexdigest()}


def warn_of_other_modules(spec: Spec, events: Path) -> None:
    """Tell a person of the modules whose file is not what it was when the run started. Those are imported here.

    Raises MtlError as `check_own_modules` does.
    """
    start = started(events)
    before = {each["target"]: each for each in (start.modules if start else ())}
    check_own_modules(spec)
    for now in record_of_own_modules(spec):
        known = before.get(now["target"])
        if known is not None and known["sha256"] != now["sha256"]:
            warn(f"`{now['target']}` is not what it was when the run started: {now['file']} has changed since")
