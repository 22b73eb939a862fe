"""Waves as samples: a sine or its sign, of a height between 0 and 1."""

from __future__ import annotations

from pathlib import Path

import torch
from mtsldsl.datasets.waves.language import Settings

from mtsldsl.datasets.kind import made
from mtsldsl.ir.model import Spec
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.samples import Samples, Splits


def load(spec: Spec, _: Path | None, cache: bool) -> Splits:
    """The waves of the spec: half of them to train on, a quarter for validation and for the test."""
    count = made(Settings, spec.data.options).waves
    generator = torch.Generator().manual_seed(0)
    form = torch.randint(2, (count,), generator=generator)
    height = torch.rand(count, 1, generator=generator)
    sine = torch.sin(torch.linspace(0, 2 * torch.pi, spec.data.shape[0])).expand(count, -1)
    wave = height * torch.where(form[:, None] == 1, sine.sign(), sine)
    samples = Samples(
        {spec.data.input: wave, "form": form, "height": height},
        {spec.data.input: FieldKind.PLAIN, "form": FieldKind.LABEL, "height": FieldKind.PLAIN},
    )
    train, validation, test = torch.arange(count).tensor_split((count // 2, count * 3 // 4))
    return Splits(samples.take(train), samples.take(validation), samples.take(test))
