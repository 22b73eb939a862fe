"""`data multimnist` in the language."""

from __future__ import annotations

from mtsldsl.datasets.mnist_like import MNIST, PairSettings, pairs_of_mnist_like

Settings = PairSettings

KIND = pairs_of_mnist_like(
    "multimnist", "MultiMNIST (after Sabour et al., 2017): pairs of handwritten digits that overlap", MNIST
)
