"""One's own data: an `.npz` file with one array per field, the samples along the first dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
import torch
from torch import Tensor

from mtsldsl.datasets.arrays.array_parts import parted_samples
from mtsldsl.datasets.arrays.language import Settings
from mtsldsl.datasets.kind import made
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS
from mtsldsl.ir.model import Task
from mtsldsl.records import Record
from mtsldsl.runtime.data.array_fields import Array, expected_input, fitted
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task
from mtsldsl.runtime.data.npz_files import UNREADABLE, opened_npz
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.tables.sample_parts import Rows

Tensors: TypeAlias = dict[str, Tensor]


@attrs.frozen(eq=False, repr=False)
class Loaded(Record):
    """Split (`train`, `validation`, `test`) to field to tensor, and what a person should know about the numbers."""

    splits: Mapping[str, Tensors]
    remarks: tuple[str, ...]


_TARGET = "target"
"""The array of what is learned, where the samples of a field are its own."""


def load(spec: Demand, place: Path, _: bool) -> Splits[Samples] | dict[str, Splits[Samples]]:
    """The arrays at `place` that the tasks read, with `apart` those of each task by its name; nothing of them is worth
    keeping. Raises MtlError as `arrays` does."""
    chosen = made(Settings, spec.data.options)
    if chosen.apart:
        return _each_apart(spec, place, chosen)
    expected = {spec.data.input: expected_input(spec.data)}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if name == spec.data.input:
            continue
        found = _expected(name, task)
        if expected.setdefault(name, found) != found:
            raise at_odds(name, task)
    return _splits(arrays(place, expected, chosen), {name: wanted.kind for name, wanted in expected.items()})


def _each_apart(spec: Demand, place: Path, chosen: Settings) -> dict[str, Splits[Samples]]:
    """The samples of each task; those of tasks that read the same are in memory once."""
    given = spec.data.input
    if given == _TARGET:
        cause = f"with `apart` each field has an array `{_TARGET}`, which is the input's name too"
        raise MtlError.of("MTL603", cause, "give the input another name, such as `image`", spec.data.span)
    read: dict[tuple[str, str, Expected | None], Splits[Samples]] = {}
    found = {}
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        wanted = None if name == given else _expected(name, task)
        folder = task.name if wanted is None else name  # a reconstruction has no field of its own
        key = (folder, name, wanted)
        if key not in read:
            expected = {given: expected_input(spec.data)} | ({_TARGET: wanted} if wanted else {})
            loaded = arrays(place, expected, chosen, folder)
            called = {given: given, _TARGET: name}
            splits = {
                split: {called[each]: tensor for each, tensor in fields.items()}
                for split, fields in loaded.splits.items()
            }
            layout = {called[each]: one.kind for each, one in expected.items()}
            read[key] = _splits(attrs.evolve(loaded, splits=splits), layout)
        found[task.name] = read[key]
    return found


def _splits(loaded: Loaded, layout: Mapping[str, FieldKind]) -> Splits[Samples]:
    samples = {split: Samples(fields, layout) for split, fields in loaded.splits.items()}
    return Splits(samples["train"], samples["validation"], samples["test"], loaded.remarks)


def _expected(name: str, task: Task) -> Expected:
    """What the array of a task's target holds; per pixel where the head's output is an image, per token where it is
    tokens."""
    target, space = task.target, task.head.shape[1:]
    if task.by_token:
        length = task.head.shape[:1]
        if target.kind == "classes":
            return Expected(FieldKind.LABEL, length, target, by_token=True)
        kind = FieldKind.EDGE if target.kind == "binary" else FieldKind.PLAIN
        return Expected(kind, (*length, target.channels), target, by_token=True)
    if target.kind == "classes":
        return Expected(FieldKind.LABEL, space, target)
    if target.kind == "binary":
        kind = FieldKind.EDGE
    elif target.kind == "unit_vectors" and space:
        kind = FieldKind.NORMAL
    else:
        # only what is called depth is taken to be divided by a scale
        kind = FieldKind.DEPTH if name == "depth" and space and target.channels == 1 else FieldKind.PLAIN
    return Expected(kind, (target.channels, *space), target)


def arrays(path: Path, expected: Mapping[str, Expected], chosen: Settings, folder: str = "") -> Loaded:
    """The arrays of `path`, split.

    Either each field is one array of its name, and a seeded `test` part of the samples is kept for the test and a
    `validation` part of the others for validation; or the arrays are named `train/<field>`, `test/<field>` and, if
    there is a validation set, `validation/<field>`. With a `folder` that stands before all names, but behind that of
    the split: `train/<folder>/<field>`. A sample's channel dimension may be left out where it is 1.
    Raises MTL602 for a file, a length, a shape or values that do not fit, MTL603 for an array that is missing.
    """
    with opened_npz(path, "write it with numpy.savez(path, image=..., ...)") as file:
        present = _splits_of(path, [name for name in file.files if not folder or name.count("/") > 1])
        before = {split: "".join(f"{part}/" for part in (split, folder) if part) for split in present}
        read = {split: _read(path, file, before[split], folder, expected) for split in present}
        counts = {before[split]: len(next(iter(read[split].values()))) for split in present}
        rows = parted_samples(path, file, counts, chosen)
    found: dict[str, Tensors] = {split: {} for split in present}
    remarks: list[str] = []
    for name, wanted in expected.items():
        called = {split: f"`{before[split]}{name}` of `{path}`" for split in present}
        field = fitted({called[split]: read[split].pop(name) for split in present}, wanted)
        remarks += field.remarks
        for split in present:
            found[split][name] = field.tensors[called[split]]
    if present == ("",):
        found = dict.fromkeys(SPLITS, found[""])
    elif "validation" not in found:
        found["validation"] = found["train"]
    return Loaded({split: _taken(found[split], rows.get(split)) for split in SPLITS}, tuple(remarks))


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
    path: Path, file: np.lib.npyio.NpzFile, prefix: str, folder: str, expected: Mapping[str, Expected]
) -> dict[str, Array]:
    missing = next((name for name in expected if prefix + name not in file.files), None)
    if missing:
        cause = f"`{path}` has no array `{prefix}{missing}`"
        raise MtlError.of("MTL603", cause, _instead(missing, file.files, prefix, folder))
    found = {}
    for name, wanted in expected.items():
        try:
            found[name] = np.asarray(file[prefix + name])
        except UNREADABLE as error:
            cause = f"`{prefix}{name}` of `{path}` is no array of numbers"
            raise MtlError.of("MTL602", cause, _of_one_size(wanted)) from error
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


def _of_one_size(expected: Expected) -> str:
    """What to do about an array of objects."""
    if len(expected.shape) > 1:
        return (
            "resize or pad its samples to one size, take nan for one that is missing, and save `numpy.stack(samples)`"
        )
    if expected.kind is FieldKind.LABEL:
        return "give each name a number, as `numpy.unique` does, and take nan for what is missing"
    return "save numbers, with nan for what is missing, and samples of one length"


def _taken(fields: Tensors, rows: Rows | None) -> Tensors:
    """Some of the samples, or all."""
    return fields if rows is None else {name: tensor[torch.from_numpy(rows)] for name, tensor in fields.items()}
