"""Data sets: rendered rooms, NYUv2 and one's own arrays, split, held compactly, and given out in batches."""

from mtsldsl.runtime.data.batches import batches, steps_per_epoch
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.labels import describe
from mtsldsl.runtime.data.loading import load_data
from mtsldsl.runtime.data.mixed import Mixed, Schedule
from mtsldsl.runtime.data.samples import Samples, Splits

__all__ = [
    "FieldKind",
    "Mixed",
    "Samples",
    "Schedule",
    "Splits",
    "batches",
    "describe",
    "load_data",
    "steps_per_epoch",
]
