"""One's own pictures in a folder, each a sample; targets are columns of what is known of them, or files beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.datasets.folder.language import Settings
from mtsldsl.datasets.kind import made
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.division import SPLITS
from mtsldsl.folders.file_patterns import Pattern
from mtsldsl.folders.folder_table import FolderTable, beside, folder_table, with_labels
from mtsldsl.folders.picture_files import opened, orientation_of, size_of
from mtsldsl.folders.picture_fit import Fit
from mtsldsl.ir.model import Task
from mtsldsl.runtime.data.array_fields import fitted
from mtsldsl.runtime.data.column_fields import ColumnField, column_field, unfit_cells
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import at_odds, field_of_task
from mtsldsl.runtime.data.kept_splits import Fields, kept_splits
from mtsldsl.runtime.data.left_out import remarks_on_left_out
from mtsldsl.runtime.data.pictures import as_tensor, fit_of, picture
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.target_files import TargetFiles
from mtsldsl.tables.table_cells import Table
from mtsldsl.tables.table_parts import parted_rows

Rows: TypeAlias = Mapping[str, NDArray[np.int64]]
"""The numbers of the images of each split."""


@attrs.frozen(eq=False)
class _Beside:
    """The files of a field: how they are read, and which one goes with each image, None where there is none."""

    files: TargetFiles
    paths: Sequence[str | None]


def load(spec: Demand, place: Path, cache: bool) -> Splits[Samples]:
    """The images below `place` with what the tasks read; what is decoded is kept for other processes with `cache`.

    Raises MtlError: MTL601 where no image or table is there, MTL602 for a file that does not fit, MTL603 for a field
    that is missing, MTL604 and MTL605 as `folder_table` does. With `on_error = skip` an image of which a file or a cell
    does not fit is left out, and a remark; the splits of the others are what they were.
    """
    chosen = made(Settings, spec.data.options)
    shape = spec.data.shape
    if len(shape) != 3:
        sizes = " x ".join(map(str, shape))
        cause = f"images have channels, height and width, but the input `{spec.data.input}` is {sizes}"
        raise MtlError.of("MTL602", cause, f"write `input = {spec.data.input}(3, 64, 64)`", spec.data.span)
    found = folder_table(place, chosen.images, chosen.table, chosen.file, chosen.split)
    parts = {key: getattr(chosen, key) for key in ("split", "group", "stratify", "validation", "test", "seed")}
    rows = parted_rows(found.table, **parts)
    skip = chosen.on_error == "skip"
    broken: dict[int, str] = {}
    columns: dict[str, ColumnField] = {}
    targets: dict[str, _Beside] = {}
    remarks = list(found.remarks)
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if task.target.kind == "reconstruct":
            continue
        if _is_pattern(name):
            files = TargetFiles.of(task, fit_of(spec.data), shape[1:], chosen.unit, name)
            if name in targets and targets[name].files.expected != files.expected:
                raise at_odds(name, task)
            if name not in targets:
                paths, more = beside(found.pattern, found.images, place, Pattern.of(name, "field"))
                targets[name] = _Beside(files, with_labels(place, paths))
                remarks += _remarks_on_files(name, paths, targets[name].paths, more)
        else:
            columns[name] = _column(found.table, name, task, broken if skip else None)
    images = _Images(found, place, spec.data.shape, fit_of(spec.data), targets, skip)
    sound = {split: [int(row) for row in rows[split] if row not in broken] for split in SPLITS}
    if cache:
        facts = ("folder", shape, spec.data.options["resize"], spec.data.options["crop"], sound, images.facts())
        decoded = kept_splits(facts, lambda: images.decoded(sound), images.every_file)
    else:
        decoded = images.decoded(sound)
    about = json.loads(decoded["about"]["text"].numpy().tobytes())
    broken |= {int(row): cause for row, cause in about["broken"].items()}
    left_out = {found.images[row].path: broken[row] for row in sorted(broken)}
    remarks += [*remarks_on_left_out(left_out, len(found.images), str(place)), *_remarks_on_turned(about["turned"])]
    layout = {spec.data.input: FieldKind.IMAGE} | {name: column.kind for name, column in columns.items()}
    layout |= {name: each.files.expected.kind for name, each in targets.items()}
    splits = {}
    for split in SPLITS:
        tensors = decoded[split]
        fields = {spec.data.input: tensors["input"]}
        fields |= {name: column.labels[tensors["rows"]] for name, column in columns.items()}
        fields |= {name: tensors[f"target{number}"] for number, name in enumerate(targets)}
        splits[split] = Samples(fields, layout)
    for column in columns.values():
        remarks += column.remarks
    for name, each in targets.items():
        remarks += _remarks_on_numbers(name, each.files, splits)
    names = {name: list(column.names) for name, column in columns.items() if column.names}
    fit = {spec.data.name: {"classes": names}}
    train, validation, test = (splits[split] for split in SPLITS)
    return Splits(train, validation, test, tuple(dict.fromkeys(remarks)), fitted=fit)


def _is_pattern(field: str) -> bool:
    """Whether a field is files beside the images; else it is a column."""
    return "*" in field or "{" in field


# Columns --------------------------------------------------------------------------------------------------------------


def _column(table: Table, name: str, task: Task, broken: dict[int, str] | None) -> ColumnField:
    """What a task learns of a column. A cell that does not fit is noted in `broken`, where there is that."""
    wrong = {} if broken is None else unfit_cells(table, name, task)
    if broken is None or not wrong:
        return column_field(table, name, task)
    broken |= wrong
    cells = ["" if row in wrong else cell for row, cell in enumerate(table.cells(name))]
    return column_field(attrs.evolve(table, columns={**table.columns, name: cells}), name, task)


# Pictures -------------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Images:
    """The images and the files beside them, as they are decoded."""

    found: FolderTable
    folder: Path
    shape: tuple[int, ...]
    fit: Fit
    targets: Mapping[str, _Beside]
    skip: bool

    def facts(self) -> tuple[object, ...]:
        """What besides files and sizes decides what is decoded."""
        read = [(each.files.expected, each.files.unit, tuple(each.paths)) for each in self.targets.values()]
        return tuple(image.path for image in self.found.images), str(read), self.skip

    def every_file(self) -> dict[str, Path]:
        """The files that are read, by their paths from the folder."""
        paths = [image.path for image in self.found.images]
        paths += [path for each in self.targets.values() for path in each.paths if path is not None]
        return {path: self.folder / path for path in paths}

    def decoded(self, rows: Mapping[str, Sequence[int]]) -> Fields:
        """Split to `input`, `target0` and so on and the number of the image of each sample, `rows`; and `about`, in
        which `text` says in JSON which images were `broken`, with the reason, and which files lie beside images that
        were `turned` upright."""
        broken: dict[int, str] = {}
        turned: list[str] = []
        fields: Fields = {}
        first: tuple[str, torch.dtype] | None = None
        for split, wanted in rows.items():
            parts = {name: _Stack(len(wanted)) for name in ("input", *(f"target{n}" for n in range(len(self.targets))))}
            kept: list[int] = []
            for row in wanted:
                path = self.found.images[row].path
                try:
                    tensors = self._sample(row, turned)
                    image = tensors["input"]
                    if first is not None and image.dtype != first[1]:
                        bits = (
                            "has 8 bits, where `{}` has 16"
                            if image.dtype == torch.uint8
                            else "has 16 bits, where `{}` has 8"
                        )
                        cause = f"`{self.folder / path}` {bits.format(first[0])}"
                        raise MtlError.of("MTL602", cause, "save all images with as many bits")
                except MtlError as error:
                    if not self.skip or error.diagnostics[0].code != "MTL602":
                        raise
                    broken[row] = error.diagnostics[0].cause
                    continue
                first = first or (path, image.dtype)
                for name, part in parts.items():
                    part.put(len(kept), tensors[name])
                kept.append(row)
            fields[split] = {name: part.first(len(kept)) for name, part in parts.items()}
            fields[split]["rows"] = torch.tensor(kept, dtype=torch.int64)
        text = json.dumps({"broken": broken, "turned": turned}).encode()
        return {**fields, "about": {"text": torch.frombuffer(bytearray(text), dtype=torch.uint8)}}

    def _sample(self, row: int, turned: list[str]) -> dict[str, Tensor]:
        path = self.folder / self.found.images[row].path
        channels, height, width = self.shape
        tensors = {"input": as_tensor(picture(path, (channels, height, width), fit=self.fit))}
        if self.targets:
            with opened(path) as head:
                size, upright = size_of(head), orientation_of(head) == 1
            for number, each in enumerate(self.targets.values()):
                beside = each.paths[row]
                read = each.files.missing() if beside is None else each.files.read(self.folder / beside, size)
                tensors[f"target{number}"] = read
                if beside is not None and each.files.places and not upright:
                    turned.append(beside)
        return tensors


@attrs.define(eq=False)
class _Stack:
    """Tensors of one shape, along a first dimension of a length that is known; of several types as the widest."""

    length: int
    tensor: Tensor | None = None

    def put(self, place: int, part: Tensor) -> None:
        if self.tensor is None:
            self.tensor = torch.empty((self.length, *part.shape), dtype=part.dtype)
        if self.tensor.dtype != part.dtype:
            self.tensor = self.tensor.to(torch.promote_types(self.tensor.dtype, part.dtype))
        self.tensor[place] = part

    def first(self, count: int) -> Tensor:
        if self.tensor is None:
            return torch.empty(0)
        return self.tensor if count == self.length else self.tensor[:count].clone()


# Remarks --------------------------------------------------------------------------------------------------------------


def _remarks_on_files(
    field: str, paths: Sequence[str | None], labels: Sequence[str | None], more: int
) -> Iterator[str]:
    without = sum(path is None for path in paths)
    empty = [path for path, label in zip(paths, labels, strict=True) if path is not None and label is None]
    if without:
        yield f"{without} of {len(paths)} images have no file that matches `{field}`: a label that is missing"
    if empty:
        noun = "file has" if len(empty) == 1 else "files have"
        yield f"{len(empty)} {noun} 0 bytes, which is a label that is missing: {named(empty)}"
    if more:
        yield f"{more} {'file' if more == 1 else 'files'} that match `{field}` go with no image"


def _remarks_on_turned(files: Sequence[str]) -> Iterator[str]:
    if files:
        yield (
            f"{len(files)} files are taken to be upright, as their images are only by what the camera noted (EXIF): "
            f"{named(files)}"
        )


def _remarks_on_numbers(field: str, files: TargetFiles, splits: Mapping[str, Samples]) -> tuple[str, ...]:
    """What the numbers of all files let one suspect."""
    if files.expected.kind in (FieldKind.LABEL, FieldKind.EDGE):
        return ()
    return fitted(
        {f"`{field}`, {split},": each.fields[field].numpy() for split, each in splits.items()}, files.expected
    ).remarks
