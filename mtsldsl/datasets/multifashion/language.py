"""`data multifashion` in the language."""

from __future__ import annotations

from mtsldsl.datasets.mnist_like import FASHION, PairSettings, pairs_of_mnist_like

Settings = PairSettings

KIND = pairs_of_mnist_like(
    "multifashion", "MultiFashion (after Lin et al., 2019): pairs of garments that overlap", FASHION
)
