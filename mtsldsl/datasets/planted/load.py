"""Planted relations as samples: rows x ~ N(0, I), and fields y = M F x + noise.

F (4, n) are the features of a pair of fields, rows of one orthonormal basis for all pairs, so that those of different
pairs have nothing in common; M (4, 4) is an orthogonal matrix of each field's own. So the fields of a pair need the
same features, and are no more alike than that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.planted.language import FIELDS, PAIRS, WIDTH, Settings
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.samples import Samples, Splits

Floats = NDArray[np.float64]


def load(spec: Demand, _: Path | None, __: bool) -> Splits[Samples]:
    """The samples, made in a moment; nothing of them is worth keeping.

    Raises MtlError MTL602 where a sample is no row, or has no room for the features.
    """
    least = WIDTH * len(PAIRS)
    if len(spec.data.shape) != 1 or spec.data.shape[0] < least:
        cause = f"`planted` makes rows of at least {least} numbers, which `{spec.data.input}` is not"
        raise MtlError.of("MTL602", cause, f"write `input = {spec.data.input}(16)`", spec.data.span)
    chosen = made(Settings, spec.data.options)
    rows, fields = planted(chosen, spec.data.shape[0])
    arrays = {spec.data.input: rows, **fields}
    tensors = {name: torch.from_numpy(values.astype("float32")) for name, values in arrays.items()}
    samples = Samples(tensors, dict.fromkeys(tensors, FieldKind.PLAIN))
    train, validation, test = torch.split(torch.arange(len(samples)), list(chosen.parts()))
    return Splits(samples.take(train), samples.take(validation), samples.take(test))


def planted(chosen: Settings, size: int) -> tuple[Floats, dict[str, Floats]]:
    """The rows (n, size), and by its name each field (n, 4)."""
    chance = np.random.default_rng(chosen.seed)
    basis = _orthogonal(chance, size)
    mixtures = {name: _orthogonal(chance, WIDTH) for name in FIELDS}
    rows = chance.normal(size=(chosen.samples, size))
    fields = {}
    for name, mixture in mixtures.items():
        first = WIDTH * PAIRS.index(name[0])
        noise = chosen.noise * chance.normal(size=(chosen.samples, WIDTH))
        fields[name] = rows @ basis[:, first : first + WIDTH] @ mixture + noise
    return rows, fields


def _orthogonal(chance: np.random.Generator, size: int) -> Floats:
    found, _ = np.linalg.qr(chance.normal(size=(size, size)))
    return found
