"""`data mnist` in the language."""

from __future__ import annotations

from mtsldsl.datasets.mnist_like import MNIST, Settings, mnist_like

__all__ = ["KIND", "Settings"]

KIND = mnist_like("mnist", "MNIST (LeCun et al., 1998): handwritten digits", MNIST)
