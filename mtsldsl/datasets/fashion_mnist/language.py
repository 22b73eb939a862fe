"""`data fashion_mnist` in the language."""

from __future__ import annotations

from mtsldsl.datasets.mnist_like import FASHION, Settings, mnist_like

__all__ = ["KIND", "Settings"]

KIND = mnist_like("fashion_mnist", "Fashion-MNIST (Xiao et al., 2017): pictures of garments", FASHION)
