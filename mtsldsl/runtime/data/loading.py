"""The data set of a spec: found, loaded as far as the tasks need it, and split."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path

import attrs

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.ir.model import Spec
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.place import located
from mtsldsl.runtime.data.samples import Splits


def load_data(spec: Spec, recorded: Path | None = None, *, cache: bool = True) -> Splits:
    """The samples of `spec.data`, with the input and the fields that the tasks need.

    A relative `root` or `path` is looked for from the working folder, then from the spec's own; then the data is taken
    from `recorded`, where a run found it. What takes long to decode or to render is kept for other processes and taken
    from there (`kept_splits`), without `cache` neither; the samples are the same.

    Raises MTL601 for a data set that is not there, saying how to get it, MTL602 for files that are not as they should
    be, MTL603 for a field that the data set lacks, MTL804 for fewer training samples than a batch.
    """
    declared = [field.name for field in data_kind(spec.data.kind).fields]
    if declared:  # it may take long to load them
        _require_fields(spec, f"the data set `{spec.data.kind}` has", [spec.data.input, *declared])
    try:
        place = located(spec.data, spec.source.name, recorded)
        splits: Splits = import_module(f"{DATASETS[spec.data.kind]}.load").load(spec, place, cache)
    except MtlError as error:
        # what reads files knows nothing of specs: the place is added here, once
        raise MtlError(attrs.evolve(found, span=found.span or spec.data.span) for found in error.diagnostics) from error
    for name, samples in splits.named():
        _require_fields(spec, f"the {name} samples of `{spec.data.kind}` have", samples.fields)
        least = spec.data.batch if name == "train" else 1
        if len(samples) < least:
            cause = f"there are {len(samples)} {name} samples, fewer than {'a batch' if least > 1 else 'one'}"
            raise MtlError.of("MTL804", cause, "give more samples, or a smaller `batch`", spec.data.span)
    return attrs.evolve(splits, path=place)


def _require_fields(spec: Spec, who: str, fields: Collection[str]) -> None:
    """Raises MTL603 where the input, or what a task reads, is none of the fields."""
    wanted = [(spec.data.input, spec.data.span), *((field_of_task(spec, task), task.span) for task in spec.tasks)]
    for name, span in wanted:
        if name not in fields:
            raise MtlError.of("MTL603", f"{who} no field `{name}`", suggestion(name, fields, "fields"), span)
