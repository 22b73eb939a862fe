"""Which data a run read: a run folder does not hold it, so its record says which it was.

The digests are of the samples as they were loaded, field by field, and not of files: an archive of gigabytes is read
no further than the tasks need it, and a copy in another layout is the same data. Rendered rooms have them too: another
version of the program, or of its libraries, may draw them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.data.place import given_place, settings_of_data
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.events import plain, started


def record_of_data(spec: Spec, splits: Splits) -> dict[str, Any]:
    """For the event of a run's start.

    `given` and `path` are where the spec says that the data is, and where it was found; `bytes` is how large the file
    is (None for a folder); `settings` are what else decides the samples; `sha256` has a digest of every field that was
    read or rendered, over the training, validation and test samples. Where nothing is read the first three are None.
    """
    path = splits.path
    return {
        "given": given_place(spec.data),
        "path": str(path.absolute()) if path else None,
        "bytes": path.stat().st_size if path and path.is_file() else None,
        "settings": settings_of_data(spec.data),
        "sha256": {name: _digest(splits, name) for name in splits.train.fields},
    }


_PARTING = ("seed", "validation", "test")
"""Settings by which samples are parted into training, validation and test."""


def recorded_place(spec: Spec, events: Path) -> Path | None:
    """Where the run of these events found its data, if the spec still says the same of where it is."""
    before = _read_at_start(events)
    return Path(before["path"]) if before and before["path"] and before["given"] == given_place(spec.data) else None


def _read_at_start(events: Path) -> Mapping[str, Any] | None:
    start = started(events)
    return start.read if start else None


def differences(spec: Spec, splits: Splits, events: Path) -> list[str]:
    """How the data differs from what the run of these events read at its start, in words; nothing if it does not."""
    before, now = _read_at_start(events), plain(record_of_data(spec, splits))
    if before is None:
        return []
    found = [
        f"`{name}` is {now['settings'][name]}, and was {value}"
        for name, value in before["settings"].items()
        if now["settings"].get(name, value) != value
    ]
    if found:  # other settings make other samples of the same files
        parted = any(now["settings"].get(name) != before["settings"].get(name) for name in _PARTING)
        return [*found[:-1], f"{found[-1]}; samples that it was trained on may be in its test now"] if parted else found
    fields = [f"`{name}`" for name, value in before["sha256"].items() if now["sha256"].get(name, value) != value]
    if not fields:
        return []
    sizes = (now["bytes"], before["bytes"])
    grown = "" if None in sizes or sizes[0] == sizes[1] else " ({:,} bytes, and was {:,})".format(*sizes)
    what = now["path"] or f"`data {spec.data.kind}`"
    return [f"{what} has other values of {shown(fields, ', ')}{grown}"]


def warn_of_other_data(spec: Spec, splits: Splits, events: Path) -> list[str]:
    """Tell a person of these differences, and give them back."""
    found = differences(spec, splits, events)
    for each in found:
        warn(f"warning: the data is not what it was when the run started: {each}")
    return found


def _digest(splits: Splits, field: str) -> str:
    digest = sha256()
    for name, samples in splits.named():
        tensor = samples.fields[field].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
