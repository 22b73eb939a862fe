"""The data set of a spec: found, loaded as far as the tasks need it, and split."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.demand import Part
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.left_out import told_of_left_out
from mtsldsl.runtime.data.mixed import Mixed
from mtsldsl.runtime.data.place import given_place, located
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.runtime.data.scaling import standardised


def load_data(spec: Spec, recorded: Mapping[str, Path] = {}, *, cache: bool = True, workers: int = 0) -> Splits[Any]:
    """The samples of a spec, with the input and the fields that the tasks need: `Samples`, or `Mixed` where they come
    from several sources.

    A relative `root` or `path` is looked for from the working folder, then from the spec's own; then the data of a
    block is taken from `recorded`, where a run found it. What takes long to decode or to render is kept for other
    processes and taken from there (`kept_splits`), without `cache` neither; the samples are the same. So they
    are by however many `workers`, processes that read beside this one where samples are read when their batch comes.

    Raises MTL601 for a data set that is not there, saying how to get it, MTL602 for files that are not as they should
    be, MTL603 for a field that the data set lacks, MTL804 for fewer training samples than a batch.
    """
    loaded: dict[str, dict[str, Splits[Samples]]] = {}
    places: dict[str, Path] = {}
    for data in spec.blocks:
        tasks = tuple(task for task in spec.tasks if spec.data_of(task.name) is data)
        if tasks:
            recorded_place = recorded.get(data.name)
            loaded[data.name] = _load(Part(data, tasks, workers), spec.source.name, recorded_place, places, cache=cache)
    every = {each.name: loaded[each.data.name][each.tasks[0]] for each in spec.streams}
    remarks = tuple(
        dict.fromkeys([*(remark for each in every.values() for remark in each.remarks), *_idle(spec, workers)])
    )
    rows = {name: found for name, each in every.items() for found in each.rows.values()}
    if len(every) == 1:
        (whole,) = every.values()
        return attrs.evolve(whole, places=places, remarks=remarks, rows=rows)
    parts: dict[str, dict[str, Samples]] = {}
    for name, each in every.items():
        for split, samples in each.named():
            parts.setdefault(split, {})[name] = samples
    mixed = {split: Mixed(each, spec.streams) for split, each in parts.items()}
    fitted = {block: found for each in every.values() for block, found in each.fitted.items()}
    return Splits(**mixed, remarks=remarks, places=places, fitted=fitted, rows=rows)


def _idle(spec: Spec, workers: int) -> Iterator[str]:
    """What is said where workers have nothing to do."""
    if workers and not any(data_kind(data.kind).workers for data in spec.blocks):
        reading = " and ".join(f"`data {name}`" for name in DATASETS if data_kind(name).workers)
        kinds = ", ".join(dict.fromkeys(f"`data {data.kind}`" for data in spec.blocks))
        yield (
            f"`--workers {workers}` does nothing: samples of {kinds} are read in one process; workers read those of "
            f"{reading}"
        )


def load_for(spec: Spec, task: Task, *, cache: bool = True, workers: int = 0) -> Splits[Samples]:
    """The samples that one task reads, as if it were the only one. Raises MtlError as `load_data` does."""
    return _load(Part(spec.data_of(task.name), (task,), workers), spec.source.name, None, {}, cache=cache)[task.name]


def _load(
    part: Part, spec_file: str, recorded: Path | None, places: dict[str, Path], *, cache: bool
) -> dict[str, Splits[Samples]]:
    """The samples of a data block, by the tasks that read them. Where they are is noted."""
    data = part.data
    declared = [field.name for field in data_kind(data.kind).fields]
    if declared:  # it may take long to load them
        _require_fields(part, f"the data set `{data.kind}` has", [*data.inputs, *declared])
    try:
        place = located(data, spec_file, recorded)
        found = import_module(f"{DATASETS[data.kind]}.load").load(part, place, cache)
    except MtlError as error:
        # what reads files knows nothing of specs: the place is added here, once
        raise MtlError(attrs.evolve(each, span=each.span or data.span) for each in error.diagnostics) from error
    except OSError as error:
        file = str(given_place(data)) if error.filename is None else os.fsdecode(error.filename)
        cause = f"`{file}` cannot be read: {error.strerror or error}"
        raise MtlError.of("MTL602", cause, "check the path and its permissions", data.span) from error
    except MemoryError as error:
        cause = f"the data of `{given_place(data)}` needs more memory than there is" + (f": {error}" * bool(str(error)))
        raise MtlError.of("MTL812", cause, "take fewer or smaller samples, or keep them on disk", data.span) from error
    if place is not None:
        places[data.name] = place
    if not data.apart:
        _require_samples(part, f"of `{data.kind}`", found)
        scaled = standardised(found, data, part.tasks)
        return {task.name: scaled for task in part.tasks}
    for task in part.tasks:
        _require_samples(Part(data, (task,)), f"of `{task.name}`", found[task.name])
    return {task.name: standardised(found[task.name], data, (task,)) for task in part.tasks}


def _require_samples(part: Part, whose: str, splits: Splits[Samples]) -> None:
    """Hold that each split has the fields that are read, and enough samples."""
    data = part.data
    for name, samples in splits.named():
        _require_fields(part, f"the {name} samples {whose} have", samples.fields)
        least = data.batch if name == "train" else 1
        more = f" {whose}" if data.apart else ""
        if len(samples) < least:
            there = "is 1" if len(samples) == 1 else f"are {len(samples)}"
            kept = f"{name} sample{'' if len(samples) == 1 else 's'}{more}"
            cause = f"there {there} {kept}, fewer than {'a batch' if least > 1 else 'one'}"
            left_out = told_of_left_out(splits.remarks)
            remedy = "mend those that are left out, or give" if left_out else "give more samples, or"
            raise MtlError.of("MTL804", "; ".join([cause, *left_out]), f"{remedy} a smaller `batch`", data.span)


def _require_fields(part: Part, who: str, fields: Collection[str]) -> None:
    """Raises MTL603 where the input, or what a task reads, is none of the fields."""
    data = part.data
    inputs = ((name, data.span) for name in data.inputs)
    wanted = [*inputs, *((field_of_task(data, task), task.span) for task in part.tasks)]
    for name, span in wanted:
        if name not in fields:
            raise MtlError.of("MTL603", f"{who} no field `{name}`", suggestion(name, fields, "fields"), span)
