"""Omniglot (Lake et al., 2015): an alphabet is a source of its own, whose classes are its characters.

Of the 20 drawings of each character 10 are for training, 4 for validation and 6 for the test, as Liang et al. (2018)
divide them. Which ones is drawn for each alphabet from the seed and the alphabet alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.omniglot.drawings import DRAWERS, drawings_of, pictures_of, source_of
from mtsldsl.datasets.omniglot.language import CHARACTERS, OFFICIAL, Settings, spelt
from mtsldsl.diagnostics import Diagnostic, MtlError, suggestion
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.gray_images import area_averaged, gray_samples, gray_size, misfits
from mtsldsl.runtime.data.kept_splits import Fields, kept_splits
from mtsldsl.runtime.data.samples import Samples, Splits

_PARTS = (("train", slice(0, 10)), ("validation", slice(10, 14)), ("test", slice(14, DRAWERS)))

_ALPHABETS = tuple(CHARACTERS)


def load(spec: Demand, place: Path, cache: bool) -> dict[str, Splits[Samples]]:
    """The drawings of each task's alphabet, by the task's name; pictures are decoded once, or with `cache` kept.

    Raises MtlError: MTL602 for files that are not the data set's, MTL603 for alphabets and classes that it has not.
    """
    size, chosen = gray_size(spec), made(Settings, spec.data.options)
    read = _alphabets_read(spec, chosen.alphabets)
    wanted = tuple(dict.fromkeys(read.values()))
    source = source_of(place, size)

    def resized() -> Fields:
        found = drawings_of(source, wanted)
        return {"all": {name: torch.from_numpy(area_averaged(found[name], size)) for name in wanted}}

    def pictures() -> dict[str, Path]:
        paths = (path for name in wanted for path in pictures_of(source, name))
        return {path.relative_to(source).as_posix(): path for path in paths}

    keep = cache and source.is_dir()  # the arrays of a file are read as quickly as what is kept
    images = kept_splits(("omniglot", size, wanted), resized, pictures)["all"] if keep else resized()["all"]
    return {
        task.name: _split(spec, task, read[task.name], images[read[task.name]].numpy(), chosen.seed)
        for task in spec.tasks
    }


def _alphabets_read(spec: Demand, listed: tuple[str, ...]) -> dict[str, str]:
    """Each task's alphabet, by its official name."""
    tasks = spec.tasks
    if listed and len(listed) != len(tasks):
        readers = "1 task reads" if len(tasks) == 1 else f"{len(tasks)} tasks read"
        cause = f"`alphabets` lists {len(listed)}, but {readers} them"
        raise MtlError.of("MTL603", cause, "list one for each task, in the order of the tasks", spec.data.span)
    # a reconstruction has no field of its own
    called = listed or [
        task.name if task.target.kind == "reconstruct" else field_of_task(spec.data, task) for task in tasks
    ]
    faults = [
        fault for task, name in zip(tasks, called, strict=True) for fault in _faults(spec, task, name, bool(listed))
    ]
    if faults:
        raise MtlError(faults)
    return {task.name: OFFICIAL[spelt(name)] for task, name in zip(tasks, called, strict=True)}


def _faults(spec: Demand, task: Task, name: str, listed: bool) -> Iterator[Diagnostic]:
    official = OFFICIAL.get(spelt(name))
    if official is None:
        cause, remedy = f"Omniglot has no alphabet `{name}`", suggestion(spelt(name), OFFICIAL, "alphabets")
        yield from MtlError.of("MTL603", cause, remedy, spec.data.span if listed else task.span).diagnostics
    else:
        yield from misfits(task, f"`{official}`", CHARACTERS[official])


def _split(spec: Demand, task: Task, alphabet: str, images: NDArray[np.uint8], seed: int) -> Splits[Samples]:
    """The drawings of an alphabet, divided character by character."""
    characters = CHARACTERS[alphabet]
    random = np.random.default_rng((seed, _ALPHABETS.index(alphabet)))
    order = random.permuted(np.tile(np.arange(DRAWERS), (characters, 1)), axis=1)
    parts = {}
    for name, part in _PARTS:
        chosen = np.sort(order[:, part], axis=1)
        rows = (np.arange(characters)[:, None] * DRAWERS + chosen).ravel()
        labels = {} if task.target.kind == "reconstruct" else {field_of_task(spec.data, task): rows // DRAWERS}
        parts[name] = gray_samples(spec.data.input, images[rows], labels)
    return Splits(parts["train"], parts["validation"], parts["test"])
