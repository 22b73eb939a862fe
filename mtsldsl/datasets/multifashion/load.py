"""MultiFashion: two garments in one picture."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.mnist_samples import paired_images
from mtsldsl.runtime.data.samples import Samples, Splits


def load(spec: Demand, place: Path, _: bool) -> Splits[Samples]:
    """The pairs, put together in a moment; nothing of them is worth keeping. Raises as `paired_images` does."""
    return paired_images(spec, place)
