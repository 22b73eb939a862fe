"""One's own data: an `.npz` file, or a folder of `.npy` files, with one array per field, the samples along the first
dimension."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mtsldsl.datasets.arrays.array_parts import parted_samples
from mtsldsl.datasets.arrays.language import Settings
from mtsldsl.datasets.kind import made
from mtsldsl.diagnostics import Diagnostic, MtlError, suggestion
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.array_columns import Array, Column, ColumnReader
from mtsldsl.runtime.data.array_fields import columns, expected_inputs, expected_target, wrong_with
from mtsldsl.runtime.data.array_shapes import Expected, as_one_array
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.expected_fields import expected_fields
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import field_of_task, of_target, readers, target_of
from mtsldsl.runtime.data.left_out import remarks_on_left_out
from mtsldsl.runtime.data.npz_files import UNREADABLE, Arrays, NpyFolder, array_in, no_numbers, opened_arrays
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.data.sample_rows import SampleRows
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.tables.sample_parts import Rows

_TARGET = "target"
"""The array of what is learned, where the samples of a field are its own."""


def load(spec: Demand, place: Path, _: bool) -> Splits[Samples] | dict[str, Splits[Samples]]:
    """The arrays at `place` that the tasks read, with `apart` those of each task by its name; nothing of them is worth
    keeping. Raises MtlError as `arrays` does."""
    chosen = made(Settings, spec.data.options)
    if chosen.apart:
        return _each_apart(spec, place, chosen)
    return arrays(place, expected_fields(spec), readers(spec), chosen)


def _each_apart(spec: Demand, place: Path, chosen: Settings) -> dict[str, Splits[Samples]]:
    """The samples of each task; those of tasks that read the same are in memory once."""
    inputs = expected_inputs(spec.data)
    if _TARGET in inputs:
        cause = f"with `apart` each field has an array `{_TARGET}`, which is the input's name too"
        raise MtlError.of("MTL603", cause, "give the input another name, such as `image`", spec.data.span)
    read: dict[tuple[str, str, Expected | None], Splits[Samples]] = {}
    found = {}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        wanted = None if name in inputs else expected_target(name, task)
        folder = task.name if wanted is None else name  # a reconstruction has no field of its own
        key = (folder, name, wanted)
        if key not in read:
            expected = inputs | ({_TARGET: wanted} if wanted else {})
            read[key] = arrays(place, expected, {_TARGET: task}, chosen, folder, {_TARGET: name})
        found[task.name] = read[key]
    return found


def arrays(
    path: Path,
    expected: Mapping[str, Expected],
    tasks: Mapping[str, Task],
    chosen: Settings,
    folder: str = "",
    called: Mapping[str, str] = {},
) -> Splits[Samples]:
    """The samples of the arrays of `path`, split; those of a folder stay on disk, and are read as they are needed.

    Either each field is one array of its name, and a seeded `test` part of the samples is kept for the test and a
    `validation` part of the others for validation; or the arrays are named `train/<field>`, `test/<field>` and, if
    there is a validation set, `validation/<field>`. With a `folder` that stands before all names, but behind that of
    the split: `train/<folder>/<field>`. A sample's channel dimension may be left out where it is 1. `called` has fields
    whose name is not that of their array, and `tasks` the task that reads a target.
    Raises MTL602 for a file, a length, a shape or values that do not fit, MTL603 for an array that is missing; what is
    wrong with a target is said with its task.
    """
    with opened_arrays(path) as file:
        on_disk = isinstance(file, NpyFolder)
        present = _splits_of(path, [name for name in file.files if not folder or name.count("/") > 1])
        before = {split: "".join(f"{part}/" for part in (split, folder) if part) for split in present}
        read = {split: _read(path, file, before[split], folder, expected, tasks) for split in present}
        counts = {before[split]: len(next(iter(read[split].values()))) for split in present}
        rows = parted_samples(path, file, counts, chosen)
    found: dict[str, dict[str, Column]] = {split: {} for split in present}
    layout = {called.get(name, name): wanted.kind for name, wanted in expected.items()}
    remarks: list[str] = []
    unfit: dict[str, dict[int, str]] = {split: {} for split in present}
    for name, wanted in expected.items():
        titles = {split: f"`{before[split]}{name}` of `{path}`" for split in present}
        given = {titles[split]: read[split].pop(name) for split in present}
        with target_of(tasks.get(name)):
            field = columns(given, wanted, drop=chosen.on_error == "skip")
        remarks += field.remarks
        for split in present:
            column = field.by_name[titles[split]]
            found[split][called.get(name, name)] = column
            if column.unfit.size:
                wrong = wrong_with(titles[split], given[titles[split]], wanted, tasks.get(name))
                unfit[split] = {int(row): wrong for row in column.unfit} | unfit[split]
    for split, causes in unfit.items():
        whose = f"{before[split]}... of {path}" if before[split] else str(path)
        named_causes = {f"row {row} (from 0)": causes[row] for row in sorted(causes)}
        remarks += remarks_on_left_out(named_causes, counts[before[split]], whose)
    samples = {split: _samples(each, layout, on_disk=on_disk) for split, each in found.items()}
    if present == ("",):
        samples, unfit = dict.fromkeys(SPLITS, samples[""]), dict.fromkeys(SPLITS, unfit[""])
    elif "validation" not in samples:
        samples["validation"], unfit["validation"] = samples["train"], unfit["train"]
    numbers = {split: _numbers(len(samples[split]), rows.get(split), unfit[split]) for split in SPLITS}
    train, validation, test = (_taken(samples[split], numbers[split]) for split in SPLITS)
    return Splits(train, validation, test, tuple(remarks), rows={folder: SampleRows(numbers)})


def _samples(found: Mapping[str, Column], layout: Mapping[str, FieldKind], *, on_disk: bool) -> Samples:
    if not on_disk:
        return Samples({name: column.tensor() for name, column in found.items()}, layout)
    count = len(next(iter(found.values())).array)
    return ReadSamples.of(ColumnReader(found), np.arange(count), layout)


def _splits_of(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The splits that the names of the arrays give; one without a name where they give none."""
    given = dict.fromkeys(name.partition("/")[0] for name in names if "/" in name)
    for split in given:
        meant = CALLED_ELSEWHERE.get(split.lower())
        if meant and meant not in given:
            cause = f"`{path}` has arrays named `{split}/...`, and no split is called so"
            raise MtlError.of("MTL603", cause, f"name them `{meant}/...`")
    present = tuple(split for split in SPLITS if split in given)
    for split in ("train", "test"):
        if present and split not in present:
            cause = f"`{path}` has arrays named `{present[0]}/...`, but none named `{split}/...`"
            raise MtlError.of("MTL603", cause, f"add the arrays of {split}, or name all without a split")
    return present or ("",)


def _read(
    path: Path, file: Arrays, prefix: str, folder: str, expected: Mapping[str, Expected], tasks: Mapping[str, Task]
) -> dict[str, Array]:
    found = {}
    unreadable: list[Diagnostic] = []
    for name, wanted in expected.items():
        with target_of(tasks.get(name)):
            if prefix + name not in file.files:
                cause = f"`{path}` has no array `{prefix}{name}`"
                raise MtlError.of("MTL603", cause, _instead(name, file.files, prefix, folder))
            try:
                found[name] = np.asarray(array_in(file, prefix + name))  # of a file on disk nothing is read by that
            except UNREADABLE as error:
                called = f"`{prefix}{name}` of `{path}`"
                (wrong,) = no_numbers(called, error, as_one_array(wanted)).diagnostics
                unreadable.append(of_target(wrong, tasks[name]) if name in tasks else wrong)
    if unreadable:
        raise MtlError(unreadable)
    lengths = {name: len(array) if array.ndim else 0 for name, array in found.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"`{prefix}{name}` {length}" for name, length in lengths.items())
        raise MtlError.of("MTL602", f"the arrays of `{path}` differ in length: {listed}", "give one entry a sample")
    return found


def _instead(missing: str, names: Sequence[str], prefix: str, folder: str) -> str:
    """What to do about an array that is not there."""
    known = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    if not folder:
        if any(name.endswith(f"/{missing}") for name in known):
            return (
                "write `apart = true` in `data` where each field has samples of its own, or name the arrays otherwise"
            )
        return suggestion(missing, known, "arrays")
    split = prefix.removesuffix(f"{folder}/")
    folders = [name.removeprefix(split).rpartition("/")[0] for name in names if name.startswith(split)]
    others = [name for name in dict.fromkeys(folders) if name and "/" not in name and name not in SPLITS]
    if known:
        return suggestion(missing, known, "arrays")
    if others:
        return suggestion(folder, others, "fields")
    return f"with `apart` the arrays of a field are named as `{prefix}{missing}`, the target `{prefix}{_TARGET}`"


def _numbers(count: int, rows: Rows | None, unfit: Collection[int]) -> Rows:
    """Those of some of the samples, or of all, but for those that do not fit."""
    rows = np.arange(count) if rows is None else rows
    return rows[~np.isin(rows, list(unfit))] if unfit else rows


def _taken(samples: Samples, rows: Rows) -> Samples:
    return samples if len(rows) == len(samples) else samples.take(torch.from_numpy(rows))
