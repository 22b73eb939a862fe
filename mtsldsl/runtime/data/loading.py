"""The data set of a spec: found, loaded as far as the tasks need it, and split."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import attrs

from mtsldsl.datasets.registry import DATASETS
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Spec
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
    try:
        place = located(spec, recorded)
        splits: Splits = import_module(f"{DATASETS[spec.data.kind]}.load").load(spec, place, cache)
    except MtlError as error:
        # what reads files knows nothing of specs: the place is added here, once
        raise MtlError(attrs.evolve(found, span=found.span or spec.data.span) for found in error.diagnostics) from error
    for name, samples in splits.named():
        least = spec.data.batch if name == "train" else 1
        if len(samples) < least:
            cause = f"there are {len(samples)} {name} samples, fewer than {'a batch' if least > 1 else 'one'}"
            raise MtlError.of("MTL804", cause, "give more samples, or a smaller `batch`", spec.data.span)
    return attrs.evolve(splits, path=place)
