"""One's own torch Dataset: made by a function that the spec names, its items read when their batch comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch.utils.data import IterableDataset

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.python.language import Settings
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.diagnostics.own_code import Noted, own_object, said
from mtsldsl.division import CALLED_ELSEWHERE, SPLITS, Shares
from mtsldsl.runtime.data.demand import Part
from mtsldsl.runtime.data.drawing_apart import drawing_apart
from mtsldsl.runtime.data.expected_fields import expected_fields
from mtsldsl.runtime.data.fields_read import readers
from mtsldsl.runtime.data.left_out import remarks_on_left_out
from mtsldsl.runtime.data.own_samples import OwnReader, Survey, Wanted
from mtsldsl.runtime.data.parallel_reading import Processes, ReadAhead
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.data.sample_rows import SampleRows
from mtsldsl.runtime.data.samples import Samples, Splits
from mtsldsl.tables.sample_parts import Mark, Marks, Rows, parted


def load(spec: Part, _: Path | None, __: bool) -> Splits[Samples]:
    """The samples of the data set that the factory gives, each read once, to hold it against the spec.

    Raises MtlError: MTL606 for a factory that is not there or gives no such data set, MTL607 for a sample that cannot
    be read or does not fit, MTL603 for a field that none has.
    """
    chosen = made(Settings, spec.data.options)
    wanted = _wanted(spec)
    layout = {name: each.expected.kind for name, each in wanted.items()}
    samples: dict[str, Samples] = {}
    unfit: dict[str, Rows] = {}
    remarks: list[str] = []
    types: dict[str, Any] = {}
    keys = {key: name for key in _MARKS if (name := getattr(chosen, key)) is not None}
    words: dict[str, list[str | None]] = {name: [] for name in keys.values()}
    places: list[str] = []
    for split, dataset in _given(spec, chosen).items():
        called = f"`{split}` of `{chosen.factory}`" if split else f"`{chosen.factory}`"
        reader = OwnReader(dataset, called, wanted, spec.data.span, types, tuple(words))
        processes = Processes(spec.workers, called, spec.data.span)
        survey = reader.survey(processes, spec.data.batch, skip=chosen.on_error == "skip")
        processes = processes.worth_while(survey.seconds, spec.data.batch)
        types = {**survey.types, **types}
        causes = {f"sample {row}": wrong.cause for row, wrong in survey.unfit.items()}
        remarks += remarks_on_left_out(causes, len(dataset), chosen.factory)
        remarks += processes.remark_on_none(spec.workers, spec.data.batch)
        if survey.rows.size:
            _require_fields(reader, survey, split)
        for name, own in survey.words.items():
            words[name] += own
        places += [f"sample {row} (from 0) of {called}" for row in range(len(dataset) if keys else 0)]
        every = np.arange(len(dataset))
        samples[split] = ReadSamples.of(
            ReadAhead(attrs.evolve(reader, types=types), processes), every, layout, survey.known
        )
        unfit[split] = np.setdiff1d(every, survey.rows)
    marks = Marks(**{key: _mark(name, words[name], places, chosen) for key, name in keys.items()})
    broken = [row for row, each in enumerate(zip(*words.values(), strict=True)) if None in each]
    parts = [(source, rows[~np.isin(rows, unfit[source])]) for source, rows in _parts(samples, chosen, marks, broken)]
    train, validation, test = (samples[source].take(torch.from_numpy(rows)) for source, rows in parts)
    numbers = {split: rows for split, (_, rows) in zip(SPLITS, parts, strict=True)}
    return Splits(train, validation, test, tuple(remarks), rows={spec.data.name: SampleRows(numbers)})


_MARKS = ("split", "group", "stratify")


def _mark(name: str, words: Sequence[str | None], places: Sequence[str], chosen: Settings) -> Mark:
    """What the samples say by a key. Raises MTL603 where none has it."""
    if not any(words):
        cause = f"no sample of `{chosen.factory}` says anything by the key `{name}`"
        raise MtlError.of("MTL603", cause, "let `__getitem__` give it, or leave it out of `data`")
    called = f"the key `{name}` of samples of `{chosen.factory}`"
    return Mark.of_entries(called, [word or "" for word in words], lambda row: f"`{name}` of {places[row]}")


def _parts(
    samples: Mapping[str, Samples], chosen: Settings, marks: Marks, broken: Sequence[int]
) -> Iterator[tuple[str, Rows]]:
    """For each split the data set that has its samples, and their numbers; those that are left out among them, so that
    the splits of the others are what they would be without."""
    if marks.split is not None and "" not in samples:
        cause = f"{marks.split.called} says which part they are in, and so does the dict of data sets that it gives"
        raise MtlError.of("MTL602", cause, "leave `split` out, or give one data set")
    ends = np.cumsum([0, *map(len, samples.values())])
    every = {split: np.arange(*each) for split, each in zip(samples, pairwise(ends), strict=True)}
    shares = Shares(chosen.validation, chosen.test, chosen.train_samples, chosen.seed)
    found = parted(
        f"`{chosen.factory}`", int(ends[-1]), marks, shares, given=None if "" in samples else every, broken=broken
    )
    for split in SPLITS:
        source = "" if "" in samples else split if split in samples else "train"
        yield source, found[split] - every[source].min(initial=int(ends[-1]))


def _wanted(spec: Part) -> dict[str, Wanted]:
    """The fields by name, each with the first task that reads it."""
    tasks, found = readers(spec), {}
    for name, expected in expected_fields(spec).items():
        task = tasks.get(name)
        whose, span = ("the input", spec.data.span) if task is None else (f"the task `{task.name}`", task.span)
        found[name] = Wanted(expected, whose, span)
    return found


def _given(spec: Part, chosen: Settings) -> dict[str, Any]:
    """The data sets by split, one without a name where they are not parted."""
    given = _made(spec, chosen)
    if not isinstance(given, Mapping):
        _require_items(given, f"`{chosen.factory}`", spec)
        return {"": given}
    for name in given:
        meant = CALLED_ELSEWHERE.get(str(name).lower())
        if meant and meant not in given:
            cause = f"`{chosen.factory}` gives a data set named `{name}`, and no split is called so"
            raise MtlError.of("MTL606", cause, f"name it `{meant}`", spec.data.span)
    for split in ("train", "test"):
        if split not in given:
            names = ", ".join(f"`{name}`" for name in given) or "none"
            cause = f"`{chosen.factory}` gives data sets by name, {names}, and none for `{split}`"
            raise MtlError.of(
                "MTL606",
                cause,
                "name them `train`, `test` and, if there is one, `validation`, or give one data set",
                spec.data.span,
            )
    present = {split: given[split] for split in SPLITS if split in given}
    for split, dataset in present.items():
        _require_items(dataset, f"`{split}` of `{chosen.factory}`", spec)
    return present


def _made(spec: Part, chosen: Settings) -> Any:
    """What the factory gives."""
    target, span = chosen.factory, spec.data.span
    factory = own_object(target, span.source.name if span else "", span, noun="function", word="factory", code="MTL606")
    if not callable(factory):
        raise MtlError.of("MTL606", f"`{target}` is no function", "name a function that gives the data set", span)
    try:
        with Noted(span, f"factory {target}"), drawing_apart():
            return factory(*chosen.arguments)
    except (TypeError, ValueError, OSError) as error:
        cause = f"`{target}` gives no data set: {said(error)}"
        raise MtlError.of("MTL606", cause, "see that it takes these `arguments`, all as text", span) from error


def _require_items(dataset: Any, called: str, spec: Part) -> None:
    """Hold that items can be asked for by their number, and that it is known how many there are."""
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        cause = f"{called} is a {type(dataset).__name__}, whose samples cannot be asked for by number"
        remedy = (
            "give a torch Dataset with `__len__` and `__getitem__`; of what can only be gone through, keep the samples "
            "in a list, or write them to disk first"
        )
        raise MtlError.of("MTL606", cause, remedy, spec.data.span)
    try:
        with Noted(spec.data.span, f"the length of {called}"):
            len(dataset)
    except (NotImplementedError, OverflowError, TypeError, ValueError) as error:
        cause = f"{called} does not say how many samples it has: `len` raises {said(error)}"
        remedy = "let its `__len__` give a whole number that is not negative"
        raise MtlError.of("MTL606", cause, remedy, spec.data.span) from error


def _require_fields(reader: OwnReader, survey: Survey, split: str) -> None:
    """Hold that a small field which the first sample lacks is one that another has."""
    keys = reader.keys() if split in ("", "train") and len(reader.dataset) else None
    for name, wanted in reader.wanted.items():
        if keys is None or name in keys or not wanted.optional or name not in survey.known:
            continue
        if bool((survey.known[name] == wanted.missing()).logical_or(survey.known[name] != survey.known[name]).all()):
            cause = f"no sample of {reader.called} has a `{name}`, which {wanted.whose} reads"
            raise MtlError.of("MTL603", cause, suggestion(name, keys, "fields"), wanted.span)
