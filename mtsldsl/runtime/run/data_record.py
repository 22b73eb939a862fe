"""Which data a run read: a run folder does not hold it, so its record says which it was.

The digests are of the samples as they were loaded, field by field, and not of files: an archive of gigabytes is read
no further than the tasks need it, and a copy in another layout is the same data. Rendered rooms have them too: another
version of the program, or of its libraries, may draw them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtsldsl.diagnostics.bounded import shown
from mtsldsl.diagnostics.own_import import record_of_module
from mtsldsl.ir import Data, Spec
from mtsldsl.runtime.data import Samples, Splits
from mtsldsl.runtime.data.mixed import read_by
from mtsldsl.runtime.data.place import code_of_data, given_place, settings_of_data
from mtsldsl.runtime.data.scaling import record_of_scales
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.event_json import plain
from mtsldsl.runtime.run.event_lines import warning_lines
from mtsldsl.runtime.run.events import OtherData
from mtsldsl.runtime.run.record_file import started
from mtsldsl.runtime.run.user_module_record import changed_file


def record_of_data(spec: Spec, splits: Splits[Any]) -> dict[str, Any]:
    """For the event of a run's start; of several data blocks the record of each in `blocks`, by their names.

    `given` and `path` are where the spec says that the data is, and where it was found; `bytes` is how large the file
    is (None for a folder); `settings` are what else decides the samples; `sha256` has a digest of every field that was
    read or rendered, over the training, validation and test samples; `input` has the least and the largest number of
    the training inputs, by their names where samples have several. Where nothing is read the first three are None.
    `scales` has the mean and the deviation of each column of a target with `scale=standard`.
    `fitted` is what was fitted to the training samples, where a kind of data set does that: means, names of classes.
    `code` has the file of a person's own code that makes the samples, and its digest.
    """
    if spec.more_data:
        return {"blocks": {data.name: _record(spec, data, splits) for data in spec.blocks}}
    return _record(spec, spec.data, splits)


def _record(spec: Spec, data: Data, splits: Splits[Any]) -> dict[str, Any]:
    path = splits.places.get(data.name)
    streams = [stream for stream in spec.streams if stream.data is data]
    digests: dict[str, str] = {}
    scales: dict[str, Any] = {}
    extents: dict[str, list[float]] = {name: [] for name in data.inputs}
    for stream in streams:
        parts = [(name, read_by(samples, stream.tasks[0])) for name, samples in splits.named()]
        own = f"{stream.name}/" if data.apart else ""
        found = _digests(parts, extents)
        digests |= {f"{own}{field}": digest for field, digest in found.items()}
        scales |= {f"{own}{field}": scale for field, scale in record_of_scales(parts[0][1]).items()}
    return {
        "given": given_place(data),
        "path": str(path.absolute()) if path else None,
        "bytes": path.stat().st_size if path and path.is_file() else None,
        "settings": settings_of_data(data),
        "sha256": digests,
        "input": _of_inputs(extents),
        **({"code": code} if (code := _code(data)) else {}),
        **({"scales": scales} if scales else {}),
        **({"fitted": splits.fitted[data.name]} if data.name in splits.fitted else {}),
    }


def _code(data: Data) -> dict[str, str | None] | None:
    """Of the code that has been imported to make the samples; None where there is none."""
    target = code_of_data(data)
    return None if target is None else {"target": target, **record_of_module(target.partition(":")[0])}


_AT_ONCE = 64
"""Samples that are looked at together."""

_FITTED = ("fitted", "scales")
"""What is computed anew from the training samples, and what the weights go with."""

_WHAT_IS_FITTED = "means, deviations or names of its training samples"

_PARTING = ("seed", "validation", "test", "split", "group", "stratify")
"""Settings by which samples are parted into training, validation and test."""


def recorded_places(spec: Spec, events: Path) -> dict[str, Path]:
    """Where the run of these events found its data, by data block, of those of which the spec still says the same of
    where it is."""
    found = {}
    for data in spec.blocks:
        before = noted(events, spec, data)
        if before and before["path"] and before["given"] == given_place(data):
            found[data.name] = Path(before["path"])
    return found


def noted(events: Path, spec: Spec, data: Data) -> Mapping[str, Any] | None:
    """What was noted of a data block at the start of the run."""
    start = started(events)
    return None if start is None or start.read is None else noted_in(start.read, spec, data)


def noted_in(read: Mapping[str, Any], spec: Spec, data: Data) -> Mapping[str, Any] | None:
    """What is noted of a data block in such a record."""
    known: Mapping[str, Any] | None = read.get("blocks", {}).get(data.name) if spec.more_data else read
    return known if known and "sha256" in known else None


def differences(spec: Spec, splits: Splits[Any], events: Path) -> list[str]:
    """How the data differs from what the run of these events read at its start, in words; nothing if it does not."""
    return [line for data in spec.blocks for line in _differences(spec, data, splits, events)]


def _differences(spec: Spec, data: Data, splits: Splits[Any], events: Path) -> list[str]:
    before = noted(events, spec, data)
    if before is None:
        return []
    now = plain(_record(spec, data, splits))
    whose = f" of `data {data.name}`" if spec.more_data else ""
    found = [
        f"`{name}`{whose} is {now['settings'][name]}, and was {value}"
        for name, value in {**_absent(now["settings"]), **before["settings"]}.items()
        if now["settings"].get(name, value) != value
    ]
    if found:  # other settings make other samples of the same files
        parted = any(now["settings"].get(name) != before["settings"].get(name) for name in _PARTING)
        return [*found[:-1], f"{found[-1]}; samples that it was trained on may be in its test now"] if parted else found
    code = now.get("code")
    other = code is not None and code["sha256"] != before.get("code", code)["sha256"]
    fields = [f"`{name}`" for name, value in before["sha256"].items() if now["sha256"].get(name, value) != value]
    refitted = any(now.get(name) != before.get(name, now.get(name)) for name in _FITTED)
    what = now["path"] or f"`data {data.name}`"
    sizes = (now["bytes"], before["bytes"])
    grown = "" if None in sizes or sizes[0] == sizes[1] else " ({:,} bytes, and was {:,})".format(*sizes)
    return [
        *([_of_other_code(code["target"], code["file"])] if code and other else []),
        *([f"{what} has other values of {shown(fields, ', ')}{grown}"] if fields else []),
        *([f"{what} gives other {_WHAT_IS_FITTED} than those that the network learned with"] if refitted else []),
    ]


def _absent(settings: Mapping[str, Any]) -> dict[str, None]:
    """What a run of a version without these settings had of them."""
    return dict.fromkeys(name for name in _PARTING if name in settings)


def _of_other_code(target: object, file: object) -> str:
    return f"`{target}` is not what it was: {file} has changed"


def warn_of_other_code(spec: Spec, events: Path) -> None:
    """Tell a person of the code that makes the samples where it is another, before it runs."""
    for data in spec.blocks:
        before = (noted(events, spec, data) or {}).get("code")
        file = None if before is None else changed_file(before, spec.source.name)
        if before is not None and file is not None:
            _warn([_of_other_code(before["target"], file)])


def warn_of_other_data(spec: Spec, splits: Splits[Any], events: Path) -> list[str]:
    """Tell a person of these differences, but for the code, of which `warn_of_other_code` has told; give all back."""
    found = differences(spec, splits, events)
    told = [_of_other_code(code["target"], code["file"]) for data in spec.blocks if (code := _code(data))]
    _warn([line for line in found if line not in told])
    return found


def _warn(found: Sequence[str]) -> None:
    for line in warning_lines(OtherData(differences=found)):
        warn(line)


def _digests(parts: Sequence[tuple[str, Samples]], extents: Mapping[str, list[float]]) -> dict[str, str]:
    """The digest of every field over all the parts; the least and the largest numbers of each input of the first, as
    networks see them, are added to its `extents`. The samples are gone through once."""
    digests = {field: sha256() for field in parts[0][1].fields}
    for name, samples in parts:
        begun = False
        for compact in samples.pieces(*digests, at_once=_AT_ONCE):
            for field, digest in digests.items():
                tensor = compact[field].contiguous()
                if not begun:
                    digest.update(f"{name} {tensor.dtype} {(len(samples), *tensor.shape[1:])}\n".encode())
                digest.update(tensor.flatten().view(torch.uint8).numpy().data)
            begun = True
            for given, ends in extents.items():
                if samples is parts[0][1] and compact[given].numel():
                    ends += _extent(compact[given])
    return {field: digest.hexdigest() for field, digest in digests.items()}


def _of_inputs(extents: Mapping[str, list[float]]) -> list[float] | dict[str, list[float]]:
    """The two ends of the only input, or of each by its name; of none where there is no number."""
    ends = {name: [min(numbers), max(numbers)] if numbers else [] for name, numbers in extents.items()}
    return next(iter(ends.values())) if len(ends) == 1 else ends


def _extent(inputs: Tensor) -> list[float]:
    ends = torch.stack(torch.aminmax(inputs))
    return [number / 255 if ends.dtype == torch.uint8 else number for number in ends.tolist()]
