"""One's own pictures in a folder, each a sample; targets are columns of what is known of them, or files beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from mtsldsl.datasets.folder.language import Settings
from mtsldsl.datasets.kind import made
from mtsldsl.diagnostics import MtlError
from mtsldsl.diagnostics.bounded import named
from mtsldsl.diagnostics.counted import counted
from mtsldsl.division import SPLITS, Shares
from mtsldsl.folders.file_patterns import Pattern
from mtsldsl.folders.folder_table import beside, folder_table, with_labels
from mtsldsl.runtime.data.array_remarks import Extent, one_sided, unmeasured
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.column_fields import ColumnField, labels_of
from mtsldsl.runtime.data.demand import Part
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.fields_read import at_odds, columns_of_task, field_of_task
from mtsldsl.runtime.data.folder_samples import Beside, ImageReader, Images
from mtsldsl.runtime.data.kept_splits import kept_splits
from mtsldsl.runtime.data.left_out import remarks_on_left_out
from mtsldsl.runtime.data.parallel_reading import Processes, ReadAhead
from mtsldsl.runtime.data.pictures import fit_of
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.data.sample_rows import SampleRows
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.target_files import TargetFiles
from mtsldsl.tables.table_parts import parted_rows


def load(spec: Part, place: Path, cache: bool) -> Splits[Samples]:
    """The images below `place` with what the tasks read; what is decoded is kept for other processes with `cache`,
    and samples that are large are decoded when their batch comes.

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
    skip = chosen.on_error == "skip"
    found = folder_table(place, chosen.images, chosen.table, chosen.file, chosen.split, skip=skip)
    shares = Shares(chosen.validation, chosen.test, chosen.train_samples, chosen.seed)
    rows = parted_rows(found.table, shares, split=chosen.split, group=chosen.group, stratify=chosen.stratify)
    broken = dict(found.table.broken)
    columns: dict[str, ColumnField] = {}
    targets: dict[str, Beside] = {}
    remarks = [*found.remarks, *remarks_on_left_out(found.astray, found.rows, str(place / str(chosen.table)))]
    for task in spec.tasks:
        name = field_of_task(spec.data, task)
        if task.target.kind == "reconstruct":
            continue
        own = columns_of_task(spec.data, task)
        if len(own) > 1 and any(map(_is_pattern, own)):
            cause = f"`field` of `{task.name}` names several columns, and one of them is a pattern of files"
            remedy = "name columns alone; files that have all numbers of the target are one pattern"
            raise MtlError.of("MTL603", cause, remedy, task.span)
        if _is_pattern(own[0]):
            files = TargetFiles.of(task, fit_of(spec.data), shape[1:], chosen.unit, name)
            if name in targets and targets[name].files.expected != files.expected:
                raise at_odds(name, task)
            if name not in targets:
                paths, more = beside(found.pattern, found.images, place, Pattern.of(name, "field"))
                targets[name] = Beside(files, with_labels(place, paths))
                remarks += _remarks_on_files(name, paths, targets[name].paths, more)
        else:
            columns[name] = labels_of(found.table, own, task, broken if skip else None)
    images = Images(spec.data.input, found, place, shape, fit_of(spec.data), targets, skip)
    sound = {split: [int(row) for row in rows[split] if row not in broken] for split in SPLITS}
    kept = images.in_memory([row for split in SPLITS for row in sound[split]])
    processes = Processes(spec.workers, f"`{place}`", spec.data.span)
    if spec.workers:
        processes = processes.worth_while(images.seconds(sound["train"]), spec.data.batch)
        remarks += processes.remark_on_none(spec.workers, spec.data.batch)
    if cache:
        facts = ("folder", shape, spec.data.options["resize"], spec.data.options["crop"], sound, kept, images.facts())
        decoded = kept_splits(facts, lambda: images.decoded(sound, kept, processes), images.every_file)
    else:
        decoded = images.decoded(sound, kept, processes)
    about = json.loads(decoded["about"]["text"].numpy().tobytes())
    broken |= {int(row): cause for row, cause in about["broken"].items()}
    left_out = {found.images[row].path: broken[row] for row in sorted(broken)}
    remarks += [*remarks_on_left_out(left_out, len(found.images), str(place)), *_remarks_on_turned(about["turned"])]
    layout = {spec.data.input: FieldKind.IMAGE} | {name: column.kind for name, column in columns.items()}
    layout |= {name: each.files.expected.kind for name, each in targets.items()}
    splits: dict[str, Samples] = {}
    for split in SPLITS:
        numbers = decoded[split]["rows"]
        known = {name: decoded[split][str(number)] for number, name in enumerate(images.names) if name in kept}
        known |= {name: column.labels[numbers] for name, column in columns.items()}
        if spec.data.input in kept:
            splits[split] = Samples({name: known[name] for name in layout}, layout)
        else:
            types = {name: getattr(torch, dtype) for name, dtype in about["types"][split].items()}
            read = {name: each.files.expected.shape for name, each in targets.items()} | {spec.data.input: shape}
            shapes = {name: tuple(known[name].shape[1:]) if name in known else read[name] for name in layout}
            reader = ImageReader(images, numbers.numpy(), shapes, known, types)
            ahead = ReadAhead(reader, Processes(processes.count, f"`{place}`", spec.data.span))
            splits[split] = ReadSamples.of(ahead, np.arange(len(numbers)), layout, known)
    for column in columns.values():
        remarks += column.remarks
    for name, each in targets.items():
        if name in about["extents"]:
            remarks += _remarks_on_numbers(name, each.files.expected, Extent(*about["extents"][name]))
    names = {name: list(column.names) for name, column in columns.items() if column.names}
    fit = {spec.data.name: {"classes": names}}
    train, validation, test = (splits[split] for split in SPLITS)
    in_split = {split: decoded[split]["rows"].numpy() for split in SPLITS}
    read_rows = {spec.data.name: SampleRows(in_split, [each.path for each in found.images])}
    return Splits(train, validation, test, tuple(dict.fromkeys(remarks)), fitted=fit, rows=read_rows)


def _is_pattern(field: str) -> bool:
    """Whether a field is files beside the images; else it is a column."""
    return "*" in field or "{" in field


# Remarks --------------------------------------------------------------------------------------------------------------


def _remarks_on_files(
    field: str, paths: Sequence[str | None], labels: Sequence[str | None], more: int
) -> Iterator[str]:
    without = sum(path is None for path in paths)
    empty = [path for path, label in zip(paths, labels, strict=True) if path is not None and label is None]
    if without:
        some = f"{without} of {counted(len(paths), 'image')} {'has' if without == 1 else 'have'}"
        yield f"{some} no file that matches `{field}`: a label that is missing"
    if empty:
        noun = "file has" if len(empty) == 1 else "files have"
        yield f"{len(empty)} {noun} 0 bytes, which is a label that is missing: {named(empty)}"
    if more:
        many, verb = ("1 file that matches", "goes") if more == 1 else (f"{more} files that match", "go")
        yield f"{many} `{field}` {verb} with no image"


def _remarks_on_turned(files: Sequence[str]) -> Iterator[str]:
    if files:
        yield (
            f"{counted(len(files), 'file is', 'files are')} taken to be upright, as "
            f"{'its image is' if len(files) == 1 else 'their images are'} only by what the camera noted (EXIF): "
            f"{named(files)}"
        )


def _remarks_on_numbers(field: str, expected: Expected, extent: Extent) -> Iterator[str]:
    """What the numbers of all files let one suspect."""
    target, called = expected.target, f"`{field}`, train,"
    if target is not None and target.kind == "unit_vectors":
        yield from one_sided(called, extent.low, extent.high)
    elif target is not None and expected.kind is FieldKind.DEPTH and target.valid == "finite":
        yield from unmeasured(called, extent)
