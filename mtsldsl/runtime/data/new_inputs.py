"""Inputs without labels, given to networks as those of training were: the same shapes, types and scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.diagnostics.bounded import named
from mtsldsl.folders.picture_files import ENDINGS
from mtsldsl.ir.model import Data
from mtsldsl.runtime.data.array_columns import Column
from mtsldsl.runtime.data.array_fields import Columns, expected_inputs, wrong_with
from mtsldsl.runtime.data.array_fields import columns as columns_of
from mtsldsl.runtime.data.array_shapes import Expected, as_one_array
from mtsldsl.runtime.data.batches import batches
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.left_out import remarks_on_left_out, told_of_left_out
from mtsldsl.runtime.data.new_pictures import NewPictures
from mtsldsl.runtime.data.npz_files import UNREADABLE, no_numbers, opened_arrays, opened_npz
from mtsldsl.runtime.data.parallel_reading import Processes
from mtsldsl.runtime.data.pictures import fit_of
from mtsldsl.runtime.data.samples import Samples
from mtsldsl.runtime.data.table_fields import table_fields
from mtsldsl.syntax.files import is_file, is_folder
from mtsldsl.tables.table_files import TABLES, read_table
from mtsldsl.tables.table_inputs import TableInputs

Array: TypeAlias = NDArray[Any]
Extent: TypeAlias = tuple[float, float]
"""The least and the largest number."""

Read: TypeAlias = Callable[[range], Mapping[str, Tensor]]
"""The inputs by name of the samples of some numbers that follow each other."""


@attrs.frozen(eq=False)
class NewInputs:
    """Inputs of a data block in their order. `names` are those of the files, none where the samples are numbered: then
    `numbers` are those of the samples that are there, where others are left out. `read` gives the inputs of some, by
    their names, in the types of `Samples`; `processes` do so ahead."""

    data: Data
    count: int
    read: Read
    names: tuple[str, ...] | None = None
    numbers: tuple[int, ...] | None = None
    remarks: tuple[str, ...] = ()
    processes: Processes = attrs.field(factory=lambda: Processes(0, "samples", None))
    with_left_out: int | None = None
    """How many samples there are with those that are left out; None where none is."""

    def name(self, number: int) -> str:
        """What a sample is called: its file, or its number from 0."""
        if self.names is not None:
            return self.names[number]
        return str(number if self.numbers is None else self.numbers[number])

    def batches(self, device: torch.device) -> Iterator[tuple[range, dict[str, Tensor]]]:
        """Batches of the block's size, a last one smaller, on a device; with the numbers of their samples."""
        layout = {name: expected.kind for name, expected in expected_inputs(self.data).items()}
        size = self.data.batch
        lists = [range(start, min(start + size, self.count)) for start in range(0, self.count, size)]
        for numbers, found in zip(lists, self.processes.in_turn(self.read, lists), strict=True):
            for batch in batches(Samples(found, layout), len(numbers), device=device):
                yield numbers, batch


def new_inputs(
    place: Path,
    data: Data,
    *,
    array: str | None = None,
    resize: bool = False,
    trained: Mapping[str, Extent] = {},
    columns: TableInputs | None = None,
    workers: int = 0,
) -> NewInputs:
    """The samples of a file of arrays, `.npy` or `.npz` (the one called `array`, else as the input, else the only one),
    or of a folder of `.npy` files alike, of a folder of pictures, sorted by their names, or of one picture; where
    samples have several inputs, of an `.npz`, or such a folder, with an array for each; where training read a table,
    the rows of another with the same `columns`, which needs no targets.

    `trained` says between which numbers each input of training lay: what cannot be of the same scale is refused, what
    may not be is a remark. Pictures are opened when their batch comes, by as many `workers`, processes beside this one,
    and looked at before. Where the block says `on_error = skip` samples that cannot be used are left out, and a remark;
    then pictures are read twice.
    Raises MtlError: MTL703 where nothing is there, MTL602 for what is not as the block's inputs, MTL603 for an array
    that is missing, MTL804 where there is no sample.
    """
    ending = place.suffix.lower()
    several = len(data.inputs) > 1 and columns is None
    of_arrays = is_folder(place) and columns is None and (array is not None or _holds_arrays(place))
    whole = (of_arrays or ending == ".npz") and array is None
    if several and (is_folder(place) or is_file(place)) and not whole:
        raise _too_few(place, data, array)
    if of_arrays:
        found = _of_arrays(place, data, array, trained)
    elif is_folder(place) and columns is None:
        found = _pictures(place, data, resize=resize, trained=trained, workers=workers)
    elif not is_file(place):
        raise MtlError.of("MTL703", f"there is no file or folder `{place}`", "check the path of the inputs")
    elif columns is not None:
        found = _of_table(place, data, columns)
    elif ending in TABLES:
        cause = f"`{place}` is a table, and the network learned from none"
        raise MtlError.of("MTL602", cause, "give an .npz or .npy file, or pictures")
    elif ending in ENDINGS:
        found = _of_files(place, (place,), data, resize=resize, trained=trained, workers=workers)
    elif ending in (".npz", ".npy"):
        found = _of_arrays(place, data, array, trained)
    else:
        remedy = f"give a file of the endings .npz, .npy, {', '.join(ENDINGS)}, or a folder of pictures"
        raise MtlError.of("MTL602", f"`{place}` is no file of inputs that is known", remedy)
    if not found.count:
        left_out = told_of_left_out(found.remarks)
        cause = f"no sample of `{place}` can be used: {'; '.join(left_out)}"
        raise MtlError.of("MTL804", cause if left_out else f"`{place}` holds no sample", "give one at least")
    if workers and not found.processes.count:
        idle = f"`--workers {workers}` does nothing: `{place}` is read in one process; workers read pictures"
        return attrs.evolve(found, remarks=(*found.remarks, idle))
    return found


def _skips(data: Data) -> bool:
    return data.options.get("on_error") == "skip"


def _kept(count: int, causes: Mapping[int, str]) -> tuple[int, ...] | None:
    """The numbers of the samples that are not left out; None where none is."""
    return tuple(number for number in range(count) if number not in causes) if causes else None


# Tables ---------------------------------------------------------------------------------------------------------------


def _of_table(path: Path, data: Data, columns: TableInputs) -> NewInputs:
    """The rows, by what was fitted to those of training. Columns that the network does not read may be there."""
    if path.suffix.lower() not in TABLES:
        cause = f"the network learned from a table, and `{path}` is none"
        raise MtlError.of("MTL602", cause, f"give a file of the endings {' or '.join(TABLES)} with the same columns")
    table, kept, left_out = read_table(path, skip=_skips(data)), None, list[str]()
    whole = len(table)
    if _skips(data) and (causes := table.broken | columns.unfit_in(table.emptied(table.broken))):
        kept = _kept(len(table), causes)
        named_causes = {table.place(row): causes[row] for row in sorted(causes)}
        left_out = list(remarks_on_left_out(named_causes, len(table), str(path)))
        table = table.only(kept or ())
    fields = table_fields(data, columns, table)
    remarks = (*left_out, *columns.remarks(table))
    return NewInputs(data, len(table), _from(fields), numbers=kept, remarks=remarks, with_left_out=whole)


# Arrays ---------------------------------------------------------------------------------------------------------------


def _of_arrays(place: Path, data: Data, array: str | None, trained: Mapping[str, Extent]) -> NewInputs:
    """An array of each input."""
    several, remarks = len(data.inputs) > 1, list[str]()
    found: dict[str, Column] = {}
    causes: dict[int, str] = {}
    wanted, called = expected_inputs(data), dict[str, str]()
    for name, expected in wanted.items():
        called[name], given = _array(place, name, array, as_one_array(expected), several=several)
        read = _column(called[name], given, expected, trained.get(name), drop=_skips(data))
        found[name] = read.by_name[called[name]]
        remarks += read.remarks
        if found[name].unfit.size:
            wrong = wrong_with(called[name], given, expected)
            causes = {int(row): wrong for row in found[name].unfit} | causes
    counts = {name: len(column.array) for name, column in found.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"`{name}` {count}" for name, count in counts.items())
        raise MtlError.of("MTL602", f"the arrays of `{place}` differ in length: {listed}", "give one entry a sample")
    count = counts[data.input]
    kept = _kept(count, causes)
    rows = None if kept is None else np.array(kept, np.int64)
    tensors = {name: column.tensor(rows) for name, column in found.items()}
    for name, tensor in tensors.items():
        remarks += _beyond(called[name], found[name].array, tensor, wanted[name], trained.get(name))
    named_causes = {f"row {row} (from 0)": causes[row] for row in sorted(causes)}
    left_out = remarks_on_left_out(named_causes, count, str(place))
    said = (*left_out, *remarks)
    return NewInputs(data, len(tensors[data.input]), _from(tensors), numbers=kept, remarks=said, with_left_out=count)


def _from(tensors: Mapping[str, Tensor]) -> Read:
    return lambda rows: {name: tensor[rows.start : rows.stop] for name, tensor in tensors.items()}


def _too_few(place: Path, data: Data, array: str | None) -> MtlError:
    """The error that a file cannot hold all inputs."""
    names = list(data.inputs)
    what = f"the array `{array}` of `{place}` is" if array else f"`{place}` holds"
    arguments = ", ".join(f"{name}=..." for name in names)
    remedy = f'write them into one file with `numpy.savez("inputs.npz", {arguments})`'
    if array:
        remedy += ", and leave --array out"
    return MtlError.of("MTL602", f"{what} one input, and the network has {len(names)}: {named(names)}", remedy)


def _holds_arrays(folder: Path) -> bool:
    """Whether it has `.npy` files, as `data arrays` reads them, and no picture."""
    endings = {path.suffix.lower() for path in folder.iterdir()}
    return ".npy" in endings and endings.isdisjoint(ENDINGS)


def _array(path: Path, given: str, wanted: str | None, remedy: str, *, several: bool) -> tuple[str, Array]:
    """The array of an input, one of `several` or the only one, and what it is called in a report; `remedy` is for
    samples that are objects."""
    name = None
    try:
        if path.suffix.lower() == ".npy" and not is_folder(path):
            return f"`{path}`", np.asarray(np.load(path, allow_pickle=False))
        with (
            opened_arrays(path)
            if is_folder(path)
            else opened_npz(path, f"write it with numpy.savez({given}=...)") as file
        ):
            alone = len(file.files) == 1 and not several
            name = wanted or (given if given in file.files or not alone else file.files[0])
            if name not in file.files:
                instead = suggestion(name, file.files, "arrays")
                instead = instead if several else f"{instead}; or name one with --array"
                raise MtlError.of("MTL603", f"`{path}` has no array `{name}`", instead)
            return f"`{name}` of `{path}`", np.require(file[name], requirements="W")  # a copy of what lies on disk
    except UNREADABLE as error:
        what = f"`{name}` of `{path}`" if name else f"`{path}`"
        raise no_numbers(what, error, remedy) from error


def _column(called: str, array: Array, expected: Expected, trained: Extent | None, *, drop: bool) -> Columns:
    """How the array of an input is read, and remarks."""
    if array.shape == expected.shape and expected.shape[0] != 1:
        # of one channel, or one number, it would be a sample all the same
        cause = f"{called} has the shape of one sample, and none for their number"
        raise MtlError.of("MTL602", cause, "save `array[None]`")
    if not array.ndim:
        raise MtlError.of("MTL602", f"{called} is a single number", "save an array, the samples along its first axis")
    if _is_scaled(array, expected):
        _require_scale(called, trained)
    return columns_of({called: array}, expected, drop=drop)


def _is_scaled(array: Array, expected: Expected) -> bool:
    """Whether it is an image of whole numbers, which are brought to 0..1."""
    return expected.kind is FieldKind.IMAGE and array.dtype.kind in "iu"


# Pictures -------------------------------------------------------------------------------------------------------------


def _pictures(folder: Path, data: Data, *, resize: bool, trained: Mapping[str, Extent], workers: int) -> NewInputs:
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    files = [path for path in entries if path.suffix.lower() in ENDINGS and is_file(path)]
    if not files:
        remedy = "give a folder of pictures, or an .npz or .npy file"
        if folders := [f"{path.name}/" for path in entries if is_folder(path)]:
            remedy += f"; folders in it are not entered: give one of {named(folders)} itself"
        raise MtlError.of("MTL602", f"`{folder}` holds no picture of the endings {', '.join(ENDINGS)}", remedy)
    found = _of_files(folder, tuple(files), data, resize=resize, trained=trained, workers=workers)
    taken = set(files)
    others = [path.name for path in entries if path not in taken]
    left = f"left out of `{folder}`, as they are no pictures of the endings {', '.join(ENDINGS)}: {named(others)}"
    return attrs.evolve(found, remarks=(*found.remarks, left)) if others else found


def _of_files(
    place: Path,
    files: tuple[Path, ...],
    data: Data,
    *,
    resize: bool,
    trained: Mapping[str, Extent],
    workers: int,
) -> NewInputs:
    ((given, expected),) = expected_inputs(data).items()
    if len(data.shape) != 3:
        sizes = " x ".join(map(str, data.shape))
        cause = f"`{files[0]}` is a picture, but the input `{data.input}` is {sizes}"
        raise MtlError.of("MTL602", cause, "give an .npz or .npy file")
    shape = (data.shape[0], data.shape[1], data.shape[2])
    _require_scale(f"`{files[0]}`", trained.get(given))
    said = fit_of(data)
    fit = said if said.changes else None  # else it is asked of the person
    pictures = NewPictures(files, given, expected.kind, shape, resize and fit is None, fit, data_kind(data.kind).ink)
    processes = Processes(workers, f"`{place}`", data.span)
    left_out: Iterator[str] = iter(())
    if _skips(data):
        causes = pictures.unusable(processes)
        left_out = remarks_on_left_out({path.name: cause for path, cause in causes.items()}, len(files), str(place))
        files = tuple(path for path in files if path not in causes)
        pictures = attrs.evolve(pictures, files=files)
    else:
        pictures.require_heads()
    names = tuple(path.name for path in files)
    return NewInputs(data, len(files), pictures.read, names, remarks=tuple(left_out), processes=processes)


# Scales ---------------------------------------------------------------------------------------------------------------


def _require_scale(called: str, trained: Extent | None) -> None:
    """Whole numbers of images are brought to 0..1, which is no scale of a network that was trained on another."""
    if trained and (trained[0] < 0 or trained[1] > 1):
        cause = (
            f"{called} holds whole numbers, which are brought to 0..1, but the images of training had numbers from "
            f"{trained[0]:.3g} to {trained[1]:.3g}"
        )
        raise MtlError.of("MTL602", cause, "save float32 arrays that are scaled as those of training were")


def _beyond(called: str, array: Array, numbers: Tensor, expected: Expected, trained: Extent | None) -> Iterator[str]:
    """What lies so far outside of what was trained on that its scale may be another."""
    if trained is None or _is_scaled(array, expected) or expected.ids is not None or not numbers.numel():
        return
    least, largest = (float(end) for end in torch.aminmax(numbers))
    width = trained[1] - trained[0]
    if least < trained[0] - width or largest > trained[1] + width:
        yield (
            f"{called} has numbers from {least:.3g} to {largest:.3g}, and those of training were from "
            f"{trained[0]:.3g} to {trained[1]:.3g}: scale them as those were"
        )
