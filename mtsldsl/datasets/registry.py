"""Which kinds of data sets there are. Each is a folder, imported when it is asked for: `language.py` by all that reads
specs, `load.py` by what trains them."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from mtsldsl.datasets.kind import DataKind
from mtsldsl.language.schema import BlockSchema

DATASETS = {
    "scenes": "mtsldsl.datasets.scenes",
    "nyuv2": "mtsldsl.datasets.nyuv2",
    "arrays": "mtsldsl.datasets.arrays",
    "table": "mtsldsl.datasets.table",
    "folder": "mtsldsl.datasets.folder",
    "omniglot": "mtsldsl.datasets.omniglot",
    "mnist": "mtsldsl.datasets.mnist",
    "fashion_mnist": "mtsldsl.datasets.fashion_mnist",
    "multimnist": "mtsldsl.datasets.multimnist",
    "multifashion": "mtsldsl.datasets.multifashion",
    "planted": "mtsldsl.datasets.planted",
}
"""The folder of each kind, by the label of its `data` block."""


@cache
def data_kind(name: str) -> DataKind:
    """What the kind of that name says of itself; of a name that is none, a kind with the keys of all, each as the first
    kind that has it says, and no fields."""
    if name not in DATASETS:
        keys = {key.name: key for kind in map(data_kind, reversed(DATASETS)) for key in kind.block.keys or ()}
        return DataKind(BlockSchema("data", "a data set that is not known", tuple(keys.values())))
    found: DataKind = import_module(f"{DATASETS[name]}.language").KIND
    return found
