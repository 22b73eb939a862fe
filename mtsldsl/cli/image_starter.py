"""The spec that `mtsldsl new --from images --data` writes: of a folder of pictures what was found in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import median_low

import attrs

from mtsldsl.cli.starter_text import (
    METRICS,
    STRUCTURE,
    described,
    header,
    options_of,
    path_from,
    plain,
    require_learned,
    share_missing,
    shares_of,
    target_of,
    task_name,
    training_block,
)
from mtsldsl.diagnostics import MtlError, Source, suggestion
from mtsldsl.diagnostics.bounded import named, shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.division import SPLITS
from mtsldsl.folders.file_patterns import Pattern
from mtsldsl.folders.folder_layout import Layout, layout_of
from mtsldsl.folders.folder_table import FolderTable, beside, folder_table, with_labels
from mtsldsl.folders.label_files import labels_of
from mtsldsl.folders.picture_files import GRAY, SIXTEEN_BITS, opened, size_of
from mtsldsl.folders.picture_fit import Size
from mtsldsl.language.written import quoted
from mtsldsl.syntax.format import format_text
from mtsldsl.tables.table_cells import Table, is_missing
from mtsldsl.tables.table_columns import as_target, is_identifying, missing_in
from mtsldsl.tables.table_parts import parted_rows

LAYERS = ("stem", "enc1", "enc2", "enc3")
DENSE_METRICS = {
    "classes": "miou, pixel_accuracy",
    "binary": "f1, bce",
    "values": "rmse, r2",
    "unit_vectors": "mean_angle, within(30)",
}

_OPTIONS = options_of("folder")

_LARGEST = 128
"""Pixels of a side that a picture keeps; larger ones are made smaller, so that a first run is short."""


@attrs.frozen
class _Goal:
    """What a task learns: its name, its field, the target, how many outputs, whether for every place, the metrics and
    what was found."""

    task: str
    field: str
    target: str
    outputs: int
    dense: bool
    metrics: str
    said: str


@attrs.frozen
class _Heads:
    """What the heads of all pictures say: channels, sizes, and which files have none that can be read."""

    channels: int
    sizes: Counter[Size]
    broken: Sequence[str]


def spec_of_folder(spec: Path, data: Path, targets: Sequence[str], excluded: Sequence[str]) -> str:
    """The text of a spec at `spec` whose tasks learn what a folder of pictures has labels of: all of it, or `targets`,
    which are names of columns, parts of paths or folders; but nothing `excluded`.

    Raises MTL601 for a folder that is not there or without pictures, MTL602 where nothing in it can be learned, MTL603
    for a target that is not there; as `folder_table` and `parted` do.
    """
    if not data.is_dir():
        what = "is no folder" if data.exists() else "is not there"
        raise MtlError.of("MTL601", f"the folder `{data}` {what}", "give the folder in which the images are")
    layout = layout_of(data)
    found = folder_table(data, layout.images, layout.table, layout.file, "part" if layout.parts else None)
    split = "part" if layout.parts else _column_of_splits(found.table)
    goals, left_out = _goals(data, layout, found, split, targets, excluded)
    for name in (*targets, *excluded):
        known = [*found.table.columns, *layout.labels]
        if name not in known:
            cause = f"`{data}` has no column and no folder of labels `{name}`"
            raise MtlError.of("MTL603", cause, suggestion(name, known, "names"))
    require_learned(targets, excluded)
    if not goals:
        reasons = shown(left_out, "; ") or "it has neither folders of classes, nor a table, nor folders of labels"
        remedy = "put pictures of one class into one folder, or a table beside them whose rows name them"
        raise MtlError.of("MTL602", f"`{data}` has nothing to learn ({reasons})", remedy)
    rows = parted_rows(found.table, shares_of(_OPTIONS), split=split, group=None, stratify=None)
    given = next(name for name in ("image", "picture", "pixels") if name not in {goal.field for goal in goals})
    heads = _heads(data, found)
    training = sum(found.images[row].path not in heads.broken for row in rows["train"])
    size, fit = _size(heads)
    lines = [
        *header(spec, f"{counted(len(found.images), 'picture')} of a folder", _ABOUT),
        *_data(spec, data, layout, found, split, heads, given, size, fit, training, left_out),
        *(line for goal in goals for line in _task(goal, given)),
        *_network(size, len(goals)),
    ]
    return format_text(Source(str(spec), "\n".join(lines) + "\n"))


# What is found --------------------------------------------------------------------------------------------------------


def _column_of_splits(table: Table) -> str | None:
    """The column whose cells say the splits."""
    said = {name: set(cells) for name, cells in table.columns.items() if name not in table.repeated}
    return next((name for name, cells in said.items() if {"train", "test"} <= cells <= set(SPLITS)), None)


def _goals(
    data: Path,
    layout: Layout,
    found: FolderTable,
    split: str | None,
    targets: Collection[str],
    excluded: Collection[str],
) -> tuple[list[_Goal], list[str]]:
    """What can be learned, and what not, with the reason."""
    goals: list[_Goal] = []
    left_out = list(layout.left_out)
    not_said = {"part", "ending"} & set(found.pattern.names)

    def wanted(name: str) -> bool:
        return name not in excluded and (not targets or name in targets)

    def called(name: str) -> str:
        return task_name(name, {"image", *LAYERS, *(goal.task for goal in goals)})

    for name in found.table.columns:
        if not wanted(name) or name in (split, layout.file, *not_said):
            continue
        try:
            if not name or name in found.table.repeated:
                raise MtlError.of("MTL602", "it has no name of its own", "give it one")
            if name not in targets and is_identifying(found.table, name):
                raise MtlError.of("MTL602", "no two images have the same, as in a column of identifiers", "name it")
            learned = as_target(found.table, name)
        except MtlError as error:
            if name in targets:
                raise
            left_out.append(f"`{plain(name)}`: {error.diagnostics[0].cause}")
            continue
        outputs = len(learned.names) or 1
        counts = _counted(found.table, name) if learned.kind == "classes" else described(learned)
        said = f"{share_missing(missing_in(found.table, name), len(found.images))}{counts}"
        goals.append(_Goal(called(name), name, target_of(learned), outputs, False, METRICS[learned.kind], said))
    for name, pattern in layout.labels.items():
        if not wanted(name):
            continue
        try:
            paths, _ = beside(found.pattern, found.images, data, Pattern.of(pattern, "field"))
            there = [data / path for path in with_labels(data, paths) if path is not None]
            if not there:
                raise MtlError.of("MTL602", "all of its files have 0 bytes", "save labels")
            labels = labels_of(there)
        except MtlError as error:
            if name in targets:
                raise
            left_out.append(f"the folder `{name}`: {error.diagnostics[0].cause}")
            continue
        said = f"{share_missing(len(paths) - len(there), len(paths))}{labels.said}"
        metrics = (DENSE_METRICS if labels.dense else METRICS)[labels.kind]
        goals.append(_Goal(called(name), pattern, labels.target, labels.channels, labels.dense, metrics, said))
    return goals, left_out


def _counted(table: Table, name: str) -> str:
    """The classes from 0, each with how many images it has."""
    counts = Counter(cell for cell in table.cells(name) if not is_missing(cell))
    return "classes, from 0: " + ", ".join(f"{each} ({counts[each]})" for each in sorted(counts))


def _heads(data: Path, found: FolderTable) -> _Heads:
    sizes: Counter[Size] = Counter()
    modes, broken = set(), []
    for image in found.images:
        try:
            with opened(data / image.path) as head:
                sizes[size_of(head)] += 1
                modes.add(head.mode)
        except MtlError:
            broken.append(image.path)
    if not sizes:
        raise MtlError.of("MTL602", f"no picture of `{data}` can be read", "save them again, as PNG or JPEG")
    channels = 1 if modes <= {*GRAY, *SIXTEEN_BITS} else 4 if modes == {"RGBA"} else 3
    return _Heads(channels, sizes, broken)


def _size(heads: _Heads) -> tuple[Size, tuple[str, str]]:
    """The size of the input, and how pictures come to it."""
    height, width = (median_low(size[side] for size in heads.sizes.elements()) for side in (0, 1))
    parts = -(-max(height, width) // _LARGEST)
    size = (max(1, height // parts), max(1, width // parts))
    if len(heads.sizes) > 1:
        return size, ("cover", "center")
    return size, ("none", "none") if parts == 1 else ("stretch", "none")


# Text -----------------------------------------------------------------------------------------------------------------


_ABOUT = "The comments say what was found. Where no share is said to be missing, every picture has a label."


def _data(
    spec: Path,
    data: Path,
    layout: Layout,
    found: FolderTable,
    split: str | None,
    heads: _Heads,
    given: str,
    size: Size,
    fit: tuple[str, str],
    training: int,
    left_out: Sequence[str],
) -> Iterator[str]:
    listed = [f"{high} x {wide} ({count})" for (high, wide), count in heads.sizes.most_common()]
    resize, crop = fit
    yield "data folder {"
    yield "# looked for from the working folder, then from the folder of this file"
    yield f"path = {quoted(path_from(spec, data))}"
    yield f"# {counted(len(found.images), 'picture')}; `*` and `{{name}}` stand for what differs in their paths"
    yield f"images = {quoted(layout.images)}"
    yield f"# height x width, with how many pictures have it: {shown(listed, ', ')}"
    yield f"input = {given}({heads.channels}, {size[0]}, {size[1]})"
    if resize != "none":
        yield f"resize = {resize} # to this size; a larger one sees more, and takes longer"
    if crop != "none":
        yield f"crop = {crop} # the middle; `resize = stretch` without it takes all, at other proportions"
    if layout.table is not None and layout.file is not None:
        yield f"table = {quoted(layout.table)}"
        yield f"file = {quoted(layout.file)} # its column that names the picture"
    if split is not None:
        yield f"split = {quoted(split)} # says train, validation or test"
    else:
        if "part" in found.pattern.names:
            said = named(sorted(set(found.table.cells("part"))))
            yield f"# The folders of splits are {plain(said)}, none is for the test: parts are drawn from all"
        yield f"test = {_OPTIONS['test']} # the part of all pictures kept for the test"
    yield f"validation = {_OPTIONS['validation']} # the part of the training pictures that chooses the best epoch"
    yield f"seed = {_OPTIONS['seed']} # of these parts; `group` keeps together what belongs together, as one person's"
    if heads.broken:
        yield f"on_error = skip # leaves out what cannot be read: {plain(named(heads.broken))}"
    else:
        yield "on_error = raise # a picture that cannot be read ends the run; skip leaves it out and says so"
    yield f"batch = {min(training, 16)}"
    yield "augment = [] # [hflip] where left and right do not matter"
    yield from (f"# Not learned: {plain(each)}" for each in left_out)
    yield "}"
    yield ""


def _task(goal: _Goal, given: str) -> Iterator[str]:
    yield f"task {goal.task} {{"
    yield f"# {plain(goal.said)}"
    yield f"target = {goal.target}"
    if goal.task != goal.field:
        yield f"field = {quoted(goal.field)}"
    end = f"conv2d({goal.outputs}, 1) | resize_as({given})"
    yield f"head = {end if goal.dense else f'adaptive_avg_pool2d(1) | flatten | linear({goal.outputs})'}"
    yield f"metrics = [{goal.metrics}]"
    yield "}"
    yield ""


def _network(size: Size, tasks: int) -> Iterator[str]:
    first = 2 if min(size) >= 48 else 1
    yield "# The building blocks: pipelines with a name, with weights of their own wherever they are used."
    yield "block basic(channels, stride=1) ="
    yield "residual(conv2d(channels, 3, stride=stride) | batch_norm | relu | conv2d(channels, 3) | batch_norm) | relu"
    yield ""
    yield "# The layers, in order. A layer is what tasks share, or do not."
    yield "backbone {"
    yield f"stem = conv2d(32, 3, stride={first}) | batch_norm | relu"
    yield "enc1 = basic(32, stride=2)"
    yield "enc2 = basic(64, stride=2)"
    yield "enc3 = basic(64)"
    yield "}"
    yield training_block(epochs=20, patience=8)
    if tasks > 1:
        yield STRUCTURE
