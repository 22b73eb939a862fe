"""Samples in training, validation and test, as far as they do not come in these."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mtsldsl.division import divided
from mtsldsl.runtime.data.samples import Samples


def in_splits(given: Mapping[str, Samples], *, validation: float, test: float, seed: int) -> dict[str, Samples]:
    """The samples of each split: of those that come without one, under the name "", a seeded `test` part, and of the
    others a `validation` part; of those of training that part where none are given for validation."""
    found = dict(given)
    if "" in found:
        found["train"], found["test"] = _divide(found.pop(""), test, seed)
    if "validation" not in found:
        found["train"], found["validation"] = _divide(found["train"], validation, seed + 1)
    return found


def _divide(samples: Samples, part: float, seed: int) -> tuple[Samples, Samples]:
    """All but a seeded part of the samples, and that part; both in their order."""
    kept, apart = map(torch.from_numpy, divided(len(samples), part, seed))
    return samples.take(kept), samples.take(apart)
