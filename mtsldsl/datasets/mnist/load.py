"""MNIST (LeCun et al., 1998): one image of a handwritten digit a sample."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.mnist_samples import turned_images
from mtsldsl.runtime.data.samples import Samples, Splits


def load(spec: Demand, place: Path, _: bool) -> dict[str, Splits[Samples]]:
    """The samples of each task, by its name; nothing of them is worth keeping. Raises as `turned_images` does."""
    return turned_images(spec, place)
